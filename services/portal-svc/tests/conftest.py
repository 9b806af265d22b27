"""The portal on a database of its own."""

from pathlib import Path

import pytest
from handoff_kit.service import Service
from portal_svc.app import SERVICE


@pytest.fixture
def service() -> Service:
    return SERVICE


@pytest.fixture(autouse=True)
def _signing_keys(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_SIGNING_KEYS_FILE", str(secrets / "signing_keys.json"))
