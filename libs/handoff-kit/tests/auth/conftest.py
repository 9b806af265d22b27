"""A signer and who verifies its tokens."""

from pathlib import Path

import pytest
from handoff_kit.auth import (
    Signer,
    StaticJwks,
    Verifier,
    create_signing_keys,
)
from support.tokens import ISSUER, Moment


@pytest.fixture
def now() -> Moment:
    return Moment()


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    path = tmp_path / "signing.json"
    create_signing_keys(path)
    return path


@pytest.fixture
def signer(key_path: Path, now: Moment) -> Signer:
    return Signer(key_path, ISSUER, now=now)


@pytest.fixture
def verifier(signer: Signer, now: Moment) -> Verifier:
    return Verifier(ISSUER, StaticJwks(signer.jwks()), now=now)
