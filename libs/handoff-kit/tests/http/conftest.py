"""The service of `support.manners`, running in the test."""

import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from handoff_kit.auth import (
    Signer,
    StaticJwks,
    Verifier,
    create_signing_keys,
)
from handoff_kit.http import (
    create_app,
)
from handoff_kit.telemetry import Metrics, configure_logging
from support.manners import ISSUER, a_router, nothing_wrong


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    create_signing_keys(tmp_path / "signing.json")
    return Signer(tmp_path / "signing.json", ISSUER)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(signer: Signer, metrics: Metrics) -> FastAPI:
    return create_app(
        "partner",
        title="Partner",
        verifier=Verifier(ISSUER, StaticJwks(signer.jwks())),
        routers=[a_router()],
        readiness={"database": nothing_wrong},
        metrics=metrics,
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def partner(signer: Signer) -> dict[str, str]:
    token = signer.issue(subject="p", agency="a", roles=["partner"], organization="o")
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def logged() -> Any:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
