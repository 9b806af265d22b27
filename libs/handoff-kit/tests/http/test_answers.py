"""Preconditions, keys, failures, headers, health, metrics."""

import io
import json

import httpx
import pytest
from handoff_kit.auth import (
    Signer,
    StaticJwks,
    Verifier,
)
from handoff_kit.http import (
    create_app,
)
from handoff_kit.telemetry import Metrics
from support.manners import CANARY, ISSUER, problem

# -- preconditions and keys ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 428),
        ('"3"', 200),
        ('"2", "3"', 200),
        ("*", 200),
        ('"2"', 412),
        ('W/"3"', 412),
        ('"33"', 412),
        ("3", 422),
        ('"3', 422),
        ("", 422),
    ],
)
async def test_if_match(
    client: httpx.AsyncClient, partner: dict[str, str], header: str | None, status: int
) -> None:
    headers = partner | ({"if-match": header} if header is not None else {})
    response = await client.put("/partner/v1/things/1", json={"name": "x"}, headers=headers)
    assert response.status_code == status, response.text


async def test_an_illegal_transition_says_what_is_allowed(
    client: httpx.AsyncClient, partner: dict[str, str]
) -> None:
    path = "/partner/v1/things/1/accept"
    problem(await client.post(path, headers=partner), 428, "precondition-required")
    response = await client.post(path, headers=partner | {"if-match": '"3"'})
    assert problem(response, 409, "illegal-transition")["allowed"] == ["decline"]


@pytest.mark.parametrize("path", ["/partner/v1/things", "/partner/v1/direct"])
@pytest.mark.parametrize(
    ("key", "status"), [("a", 201), ("k" * 255, 201), ("", 422), ("k" * 256, 422), ("a b", 422)]
)
async def test_idempotency_key(
    client: httpx.AsyncClient, partner: dict[str, str], path: str, key: str, status: int
) -> None:
    headers = partner | {"idempotency-key": key}
    response = await client.post(path, json={"name": "x"}, headers=headers)
    assert response.status_code == status, response.text


# -- everything else -----------------------------------------------------------------------------


async def test_unknown_paths_and_methods(client: httpx.AsyncClient) -> None:
    problem(await client.get("/partner/v1/nowhere"), 404, "not-found")
    response = await client.delete("/partner/v1/receipts")
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"
    response = await client.delete("/partner/v1/things")
    assert response.headers["allow"] == "GET, POST"
    problem(await client.post("/partner/v1/receipts/"), 404, "not-found")


async def test_an_unexpected_failure_says_nothing_but_its_trace(
    client: httpx.AsyncClient, logged: io.StringIO
) -> None:
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    response = await client.post(
        "/partner/v1/broken", json={"name": CANARY}, headers={"traceparent": sent}
    )
    body = problem(response, 500, "internal")
    assert body["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    line = json.loads(logged.getvalue())
    assert line["trace_id"] == body["trace_id"]
    assert line["error"]["type"] == "RuntimeError"
    assert line["route"] == "/partner/v1/broken"
    assert CANARY not in response.text + logged.getvalue()


async def test_a_stream_that_fails_is_broken_off(
    client: httpx.AsyncClient, logged: io.StringIO
) -> None:
    with pytest.raises(RuntimeError, match="response broken off") as caught:
        await client.get("/partner/v1/stream")
    assert caught.value.__cause__ is None
    assert '"route":"/partner/v1/stream"' in logged.getvalue()
    assert CANARY not in logged.getvalue()


async def test_unavailable_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    response = await client.get("/partner/v1/away")
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "7"


async def test_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/nowhere"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("prefix", ["", "/partner"])
async def test_health(client: httpx.AsyncClient, prefix: str) -> None:
    assert (await client.get(f"{prefix}/healthz")).json() == {"status": "ok", "service": "partner"}
    ready = (await client.get(f"{prefix}/readyz")).json()
    assert ready == {"status": "ready", "service": "partner", "checks": {"database": "ok"}}
    assert "handoff_outbox_pending" in (await client.get(f"{prefix}/metrics")).text


async def test_not_ready_names_the_check_and_nothing_else(
    signer: Signer, logged: io.StringIO
) -> None:
    async def away() -> None:
        raise OSError(f"cannot reach {CANARY}")

    app = create_app(
        "partner",
        title="Partner",
        verifier=Verifier(ISSUER, StaticJwks(signer.jwks())),
        routers=[],
        readiness={"database": away},
        metrics=Metrics(),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "failed"}
    assert CANARY not in response.text + logged.getvalue()


async def test_requests_are_counted_by_template(
    client: httpx.AsyncClient, partner: dict[str, str], metrics: Metrics
) -> None:
    for number in (1, 2):
        await client.put(f"/partner/v1/things/{number}", json={"name": "x"}, headers=partner)
    await client.post("/partner/v1/direct", json={"name": "x"}, headers=partner)
    await client.get(f"/{CANARY}")

    def counted(method: str, route: str, status_class: str) -> float | None:
        return metrics.value(
            "handoff_http_requests_total",
            service="partner",
            method=method,
            route=route,
            status_class=status_class,
        )

    assert counted("PUT", "/partner/v1/things/{thing_id}", "4xx") == 2
    assert counted("POST", "/partner/v1/direct", "2xx") == 1
    assert counted("GET", "unmatched", "4xx") == 1
