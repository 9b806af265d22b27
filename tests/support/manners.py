"""A small service on which the doorway's manners are tried."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from handoff_kit.auth import (
    PUBLIC,
    Principal,
    requires,
)
from handoff_kit.errors import IllegalTransition, Unavailable
from handoff_kit.http import (
    IdempotencyKey,
    IfMatch,
    Page,
    PageParams,
    Strict,
    body_of,
    check_if_match,
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
from pydantic import Field, field_validator
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
