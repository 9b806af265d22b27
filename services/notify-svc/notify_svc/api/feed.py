"""The feed and its stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from handoff_kit.auth import Principal
from handoff_kit.db import Connection
from handoff_kit.http import IdempotencyKey, Page, PageParams, body_of, page_of

from notify_svc.api.hub import Hub
from notify_svc.api.models import FeedItem
from notify_svc.api.parts import Parts, Self, idempotency, known_id, owners
from notify_svc.domain.words import DEFAULT_LANGUAGE, LANGUAGES, render
from notify_svc.handlers.commands import MarkRead
from notify_svc.tables.feed import feed_page, visible_notices

HEARTBEAT = 15.0  # seconds
# At most, as an access token lives; then the client comes again with a new one.
STREAM_SECONDS = 600.0
_BEGIN = b"retry: 2000\n: here is what changes from now on\n\n"
_BEAT = b": still here\n\n"

AcceptLanguage = Annotated[str | None, Header(alias="Accept-Language", max_length=200)]


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(tags=["feed"])

    @routes.get("/feed")
    async def feed(
        caller: Self,
        page: PageParams,
        *,
        unread: Annotated[bool, Query()] = False,
        accept_language: AcceptLanguage = None,
    ) -> Page[FeedItem]:
        """What the caller was told, newest first, in its language."""
        after = _after(page.after(datetime))
        async with parts.db.tenant(caller.agency) as connection:
            language = await language_of(connection, caller, accept_language)
            rows = await feed_page(
                connection,
                caller.agency,
                owners(caller),
                caller.subject,
                unread=unread,
                after=after,
                limit=page.fetch,
            )
        return page_of(
            rows,
            page,
            position=lambda row: (row.created_at, row.id),
            item=lambda row: item_of(row, language, read=row.read),
        )

    @routes.post("/feed/{item_id}/read")
    async def read(
        caller: Self,
        item_id: str,
        request: Request,
        key: IdempotencyKey,
        accept_language: AcceptLanguage = None,
    ) -> FeedItem:
        """Mark one item as read by the caller; again changes nothing."""
        id_ = known_id(item_id)
        await parts.doorway.submit(
            MarkRead(caller.agency, id_, tuple(owners(caller)), caller.subject),
            idempotency=idempotency(caller, f"POST /feed/{id_}/read", key, await body_of(request)),
        )
        async with parts.db.tenant(caller.agency) as connection:
            language = await language_of(connection, caller, accept_language)
            rows = await visible_notices(connection, caller.agency, owners(caller), [id_])
        return item_of(rows[0], language, read=True)

    @routes.get(
        "/stream",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def stream(caller: Self) -> Response:
        """Server-sent events: ``changed`` with the id of a feed item, and nothing else.

        Ends with the access token, after ten minutes at most; connect again and read the feed. Ends
        within seconds when the client is revoked, or the person disabled.
        """
        seconds = min(STREAM_SECONDS, caller.expires_at - time.time())
        who = [name for name in (caller.subject, caller.client_id) if name]
        return StreamingResponse(
            stream_of(parts.hub, caller.agency, owners(caller), who, seconds=seconds),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return routes


async def stream_of(
    hub: Hub,
    agency: str,
    owners_: list[str],
    callers: Sequence[str] = (),
    *,
    heartbeat: float = HEARTBEAT,
    seconds: float = STREAM_SECONDS,
) -> AsyncIterator[bytes]:
    """The bytes of one stream: a comment first, then items' ids, a comment where all is quiet."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    async with hub.listen(agency, owners_, callers) as listening:
        yield _BEGIN
        while not listening.ended and (left := ends - loop.time()) > 0:
            id_ = await listening.next(min(heartbeat, left))
            yield _BEAT if id_ is None else _event(id_)


def _event(id_: UUID) -> bytes:
    return b"event: changed\ndata: " + orjson.dumps({"id": str(id_)}) + b"\n\n"


async def language_of(
    connection: Connection, caller: Principal, accept_language: str | None
) -> str:
    """The caller's chosen language, else the first of Accept-Language that there is."""
    chosen = await connection.fetchval(
        "SELECT language FROM notify.preference WHERE agency_id = $1 AND owner = $2",
        caller.agency,
        owners(caller)[0],
    )
    if chosen is not None:
        return str(chosen)
    for part in (accept_language or "").split(","):
        short = part.split(";", 1)[0].strip().split("-", 1)[0].lower()
        if short in LANGUAGES:
            return short
    return DEFAULT_LANGUAGE


def item_of(row: Any, language: str, *, read: bool) -> FeedItem:
    """A notice as its reader sees it."""
    return FeedItem(
        id=row.id,
        at=row.at,
        type=row.type,
        case_id=row.case_id,
        need_id=row.need_id,
        offer_id=row.offer_id,
        text=render(row.template, row.params, language),
        read=read,
    )


def _after(position: tuple[datetime, str] | None) -> tuple[datetime, UUID] | None:
    return None if position is None else (position[0], known_id(position[1]))
