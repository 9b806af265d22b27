"""The doorway's manners, on a small service made for the purpose."""

import io
import json
import logging
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from handoff_kit.auth import (
    PUBLIC,
    Principal,
    Signer,
    StaticJwks,
    Verifier,
    create_signing_keys,
    operations,
    requires,
)
from handoff_kit.errors import IllegalTransition, Invalid, Unavailable
from handoff_kit.http import (
    BodyRule,
    IdempotencyKey,
    IfMatch,
    Page,
    PageParams,
    Strict,
    body_of,
    check_if_match,
    create_app,
    direct,
    etag,
    idempotency_header,
    json_body,
    json_response,
    page_of,
    parse,
    parse_idempotency_key,
    require_if_match,
)
from handoff_kit.telemetry import Metrics, configure_logging
from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from starlette.responses import Response

ISSUER = "http://localhost"
CANARY = "canary-7f3a"
JSON = {"content-type": "application/json"}


class Need(Strict):
    category: str = Field(min_length=1, max_length=40)
    weight: float = 1.0


class Thing(Strict):
    name: str = Field(max_length=20)
    needs: list[Need] = []

    @field_validator("name")
    @classmethod
    def _no_bang(cls, name: str) -> str:
        if name.endswith("!"):
            raise PydanticCustomError("no-bang", "A name does not end so.")
        if name.endswith("?"):
            raise ValueError(f"who is {name}")
        return name


async def nothing_wrong() -> None:
    return None


def a_router() -> APIRouter:
    router = APIRouter()

    @router.post("/things", status_code=201)
    async def make(
        caller: Annotated[Principal, requires("offers:answer")], thing: Thing, key: IdempotencyKey
    ) -> Thing:
        return thing

    @router.post(
        "/direct",
        status_code=201,
        openapi_extra=json_body(Thing),
        dependencies=[Depends(idempotency_header)],
    )
    @direct
    async def make_directly(
        request: Request, caller: Annotated[Principal, requires("offers:answer")]
    ) -> Response:
        parse_idempotency_key(request.headers.getlist("idempotency-key"))
        thing = parse(Thing, await body_of(request))
        return json_response(thing.model_dump(), 201, {"etag": etag(1)})

    @router.get("/things")
    async def things(
        caller: Annotated[Principal, requires("offers:read")], page: PageParams
    ) -> Page[int]:
        after = page.after(int)
        first = after[0] + 1 if after else 0
        rows = range(first, min(first + page.fetch, 120))
        return page_of(rows, page, position=lambda n: (n, str(n)), item=lambda n: n)

    @router.put("/things/{thing_id}")
    async def change(
        caller: Annotated[Principal, requires("offers:answer")],
        thing_id: int,
        thing: Thing,
        if_match: IfMatch = None,
    ) -> Thing:
        check_if_match(if_match, 3)
        return thing

    @router.post("/things/{thing_id}/accept")
    async def accept(
        request: Request, caller: Annotated[Principal, requires("offers:answer")], thing_id: int
    ) -> Response:
        require_if_match(request, 3)
        raise IllegalTransition(allowed=["decline"])

    @router.post("/receipts", dependencies=[PUBLIC])
    async def receipt(thing: Thing) -> Thing:
        return thing

    @router.post("/broken", dependencies=[PUBLIC])
    async def broken(thing: Thing) -> Thing:
        raise RuntimeError(f"driver said {thing.name}")

    @router.get("/away", dependencies=[PUBLIC])
    async def away() -> None:
        raise Unavailable(retry_after=7)

    @router.get("/stream", dependencies=[PUBLIC])
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            raise RuntimeError(f"driver said {CANARY}")

        return StreamingResponse(parts(), media_type="text/event-stream")

    return router


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


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert len(body["trace_id"]) == 32
    assert body["title"]
    assert body["detail"]
    return body


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


# -- fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/partner/v1/things", "/partner/v1/direct"])
async def test_field_errors_name_the_field_and_never_the_value(
    client: httpx.AsyncClient, partner: dict[str, str], path: str
) -> None:
    body = {
        "name": CANARY * 4,
        "needs": [{"category": "ok"}, {"category": "", "weight": CANARY}, CANARY],
        "surname": CANARY,
        f"{CANARY} in a key": 1,
    }
    response = await client.post(path, json=body, headers=partner)
    found = problem(response, 422, "invalid")["errors"]
    assert {(error["field"], error["code"]) for error in found} == {
        ("name", "string-too-long"),
        ("needs.1.category", "string-too-short"),
        ("needs.1.weight", "float-type"),
        ("needs.2", "model-type" if path.endswith("direct") else "model-attributes-type"),
        ("surname", "unknown-field"),
        ("(unnamed)", "unknown-field"),
    }
    assert all(error["message"] for error in found)
    assert CANARY not in response.text


class Dated(Strict):
    at: datetime
    day: date | None = None
    id: UUID | None = None
    count: int = 0
    share: float = 0
    sure: bool = False
    inner: list["Dated"] = []


TIME = "2026-01-31T09:00:00-05:00"


@pytest.mark.parametrize(
    "body",
    [
        {"at": TIME},
        {"at": "2026-01-31T14:00:00Z", "day": "2026-01-31", "id": str(UUID(int=7))},
        {"at": TIME, "count": 3, "share": 2, "sure": True, "inner": [{"at": TIME}]},
    ],
)
def test_what_the_schema_allows_is_taken(body: dict[str, Any]) -> None:
    by_value = Dated.model_validate(body)
    assert by_value == parse(Dated, json.dumps(body).encode())
    assert by_value.at.utcoffset() is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": 1_700_000_000},
        {"at": "1700000000"},
        {"at": "2026-01-31T09:00:00"},
        {"at": "2026-01-31"},
        {"day": 20_000},
        {"day": "20260131"},
        {"id": 7},
        {"count": "3"},
        {"count": True},
        {"share": "1"},
        {"share": True},
        {"sure": 1},
        {"sure": "true"},
        {"inner": [{"at": TIME, "count": "3"}]},
    ],
)
def test_nothing_is_converted(wrong: dict[str, Any]) -> None:
    body = {"at": TIME} | wrong
    with pytest.raises(ValidationError):
        Dated.model_validate(body)
    with pytest.raises(Invalid):
        parse(Dated, json.dumps(body).encode())


async def test_our_own_checks_speak_and_foreign_ones_do_not(
    client: httpx.AsyncClient, partner: dict[str, str]
) -> None:
    ours = await client.post("/partner/v1/things", json={"name": "x!"}, headers=partner)
    assert problem(ours, 422, "invalid")["errors"] == [
        {"field": "name", "code": "no-bang", "message": "A name does not end so."}
    ]
    foreign = await client.post("/partner/v1/things", json={"name": "zz?"}, headers=partner)
    assert problem(foreign, 422, "invalid")["errors"][0]["code"] == "value-error"
    assert "zz" not in foreign.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/partner/v1/things?limit=201", "limit"),
        ("/partner/v1/things?limit=0", "limit"),
        ("/partner/v1/things?limit=x", "limit"),
        ("/partner/v1/things?cursor=x", "cursor"),
    ],
)
async def test_bad_queries_name_the_parameter(
    client: httpx.AsyncClient, partner: dict[str, str], path: str, field: str
) -> None:
    body = problem(await client.get(path, headers=partner), 422, "invalid")
    assert body["errors"][0]["field"] == field


@pytest.mark.parametrize("path", ["/partner/v1/things?cursor=%00", "/partner/v1/things/%00"])
async def test_nul_in_an_address_is_refused(
    client: httpx.AsyncClient, partner: dict[str, str], path: str
) -> None:
    method = "PUT" if "?" not in path else "GET"
    problem(await client.request(method, path, headers=partner), 422, "malformed")


async def test_pages_follow_each_other(client: httpx.AsyncClient, partner: dict[str, str]) -> None:
    seen: list[int] = []
    sizes: list[int] = []
    query = ""
    while True:
        page = (await client.get(f"/partner/v1/things{query}", headers=partner)).json()
        seen += page["items"]
        sizes.append(len(page["items"]))
        if page["next_cursor"] is None:
            break
        query = f"?cursor={page['next_cursor']}"
    assert seen == list(range(120))
    assert sizes == [50, 50, 20]


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


# -- wiring and document -------------------------------------------------------------------------


def test_a_route_with_neither_scope_nor_public_is_refused(signer: Signer) -> None:
    router = APIRouter()

    @router.get("/open")
    async def forgotten() -> None:
        return None

    with pytest.raises(ValueError, match="/partner/v1/open needs either a scope or PUBLIC"):
        create_app(
            "partner",
            title="Partner",
            verifier=Verifier(ISSUER, StaticJwks(signer.jwks())),
            routers=[router],
            metrics=Metrics(),
        )


def test_every_operation_is_found_with_its_scope(app: FastAPI) -> None:
    found = {(o.method, o.path): o.scope for o in operations(app.routes) if o.in_schema}
    assert found[("GET", "/partner/v1/things")] == "offers:read"
    assert found[("POST", "/partner/v1/direct")] == "offers:answer"
    assert found[("POST", "/partner/v1/receipts")] is None
    assert len(found) == 9


async def test_the_document_states_security_and_failures(client: httpx.AsyncClient) -> None:
    document = (await client.get("/partner/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    things = paths["/partner/v1/things"]
    assert things["get"]["security"] == [{"access_token": ["offers:read"]}]
    assert paths["/partner/v1/receipts"]["post"]["security"] == []
    assert things["get"]["responses"].keys() == {"200", "401", "403", "422", "default"}
    change = paths["/partner/v1/things/{thing_id}"]["put"]["responses"]
    assert change.keys() == {
        *("200", "401", "403", "404", "409", "412", "413", "415", "422", "428", "default")
    }
    names = {parameter["name"] for parameter in things["post"]["parameters"]}
    assert "Idempotency-Key" in names
    direct_body = paths["/partner/v1/direct"]["post"]["requestBody"]["content"]["application/json"]
    assert "$defs" not in direct_body["schema"]
    assert document["components"]["schemas"].keys() >= {"Thing", "Need", "Problem", "ProblemField"}
    scopes = document["components"]["securitySchemes"]["access_token"]["flows"]
    assert "offers:read" in scopes["clientCredentials"]["scopes"]
    (tag,) = [
        parameter
        for parameter in paths["/partner/v1/things/{thing_id}"]["put"]["parameters"]
        if parameter["name"] == "If-Match"
    ]
    assert tag["required"]
    assert tag["schema"]["type"] == "string"
    assert "HTTPValidationError" not in json.dumps(document)
