"""Who calls, and what bodies are taken."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from handoff_kit.auth import (
    PUBLIC,
    Signer,
    StaticJwks,
    Verifier,
)
from handoff_kit.http import (
    BodyRule,
    body_of,
    create_app,
)
from handoff_kit.telemetry import Metrics
from starlette.responses import Response
from support.manners import ISSUER, JSON, problem

# -- the caller comes first ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/partner/v1/things", "/partner/v1/direct"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"name": "x"}', "application/json"),
        (b"{", "application/json"),
        (b"x", "text/plain"),
        (b"x" * 300_000, "application/json"),
        (b"", "application/json"),
    ],
)
async def test_without_a_token_it_is_a_401_whatever_the_body(
    client: httpx.AsyncClient, path: str, content: bytes, kind: str
) -> None:
    response = await client.post(path, content=content, headers={"content-type": kind})
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/partner/v1/things", "/partner/v1/direct"])
async def test_without_the_scope_it_is_a_403(
    client: httpx.AsyncClient, signer: Signer, path: str
) -> None:
    token = signer.issue(subject="c", agency="a", roles=["coordinator"])
    response = await client.post(path, json={}, headers={"authorization": f"Bearer {token}"})
    problem(response, 403, "scope-missing")
    assert 'scope="offers:answer"' in response.headers["www-authenticate"]


# -- bodies --------------------------------------------------------------------------------------

BODIES: list[tuple[bytes, str, int, str]] = [
    (b'{"name": "x"}', "application/json", 201, ""),
    (b'{"name": "x"}', "application/json; charset=utf-8", 201, ""),
    (b'{"name": "x"}', "Application/JSON", 201, ""),
    (b'{"name": "\\\\u0000"}', "application/json", 201, ""),
    (b'{"name": "x"}', "application/json; charset=latin-1", 415, "wrong-content-type"),
    (b'{"name": "x"}', "text/plain", 415, "wrong-content-type"),
    (b'{"name": "x"}', "application/jsonx", 415, "wrong-content-type"),
    (b'{"name": "x"}', "", 415, "wrong-content-type"),
    (b"{", "application/json", 422, "malformed"),
    (b'{"name": "\xff"}', "application/json", 422, "malformed"),
    (b'{"name": "\\ud800"}', "application/json", 422, "malformed"),
    (b'{"name": NaN}', "application/json", 422, "malformed"),
    (b'{"name": "a\\u0000b"}', "application/json", 422, "malformed"),
    (b'{"name": "\\\\\\u0000"}', "application/json", 422, "malformed"),
    (b"[" * 5000, "application/json", 422, "malformed"),
    (b"\xef\xbb\xbf{}", "application/json", 422, "malformed"),
    (b"[]", "application/json", 422, "invalid"),
    (b"null", "application/json", 422, "invalid"),
    (b"", "application/json", 422, ""),
    (b'{"name": "' + b"x" * 262_144 + b'"}', "application/json", 413, "too-large"),
]


@pytest.mark.parametrize("path", ["/partner/v1/things", "/partner/v1/direct"])
@pytest.mark.parametrize(("content", "kind", "status", "code"), BODIES)
async def test_bodies(
    client: httpx.AsyncClient,
    partner: dict[str, str],
    path: str,
    content: bytes,
    kind: str,
    status: int,
    code: str,
) -> None:
    headers = partner | ({"content-type": kind} if kind else {})
    response = await client.post(path, content=content, headers=headers)
    if status == 201:
        assert response.status_code == 201, response.text
    else:
        problem(response, status, code or response.json()["code"])


async def test_the_limit_is_256_kib_to_the_byte_and_counts_chunks(
    client: httpx.AsyncClient, partner: dict[str, str]
) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        start, end = b'{"name": "x"', b"}"
        yield start
        left = size - len(start) - len(end)
        while left:
            part = min(left, 10_000)
            left -= part
            yield b" " * part
        yield end

    for size, status in ((262_144, 201), (262_145, 413)):
        response = await client.post(
            "/partner/v1/things", content=chunks(size), headers=partner | JSON
        )
        assert response.status_code == status
        assert "content-length" not in response.request.headers


async def test_reading_stops_at_the_limit(app: FastAPI) -> None:
    given = 0

    async def receive() -> dict[str, Any]:
        nonlocal given
        given += 1
        return {"type": "http.request", "body": bytes(65_536), "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/partner/v1/receipts",
        "raw_path": b"/partner/v1/receipts",
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"content-type", b"application/json")],
        "client": None,
        "server": ("test", 80),
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 413
    assert given == 5


async def test_a_path_may_take_other_bodies(signer: Signer) -> None:
    router = APIRouter(dependencies=[PUBLIC])

    @router.post("/oauth/token")
    async def token(request: Request) -> Response:
        return Response(await body_of(request))

    form = BodyRule(max_bytes=100, content_types=frozenset({"application/x-www-form-urlencoded"}))
    app = create_app(
        "portal",
        title="Portal",
        verifier=Verifier(ISSUER, StaticJwks(signer.jwks())),
        routers=[],
        root_routers=[router],
        body_rules={"/oauth/": form},
        metrics=Metrics(),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/oauth/token", data={"a": "b"})).text == "a=b"
        problem(await client.post("/oauth/token", json={}), 415, "wrong-content-type")
        problem(await client.post("/oauth/token", data={"a": "b" * 99}), 413, "too-large")
