"""``/events``: tells an open page that something changed, and nothing more.

Each page then fetches its own list with its own rights, so nothing personal is ever streamed.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from portal_svc.api.session import Sessions, Visitor
from portal_svc.api.streams import Streams
from portal_svc.handlers.follow import CHANGED

HEARTBEAT: Final = 15.0  # seconds
# A stream ends before long, and within seconds of its session's end.
STREAM_SECONDS: Final = 600.0
_PAUSE: Final = 0.5  # seconds at least between two words of change
_BEGIN: Final = b"retry: 2000\n: here is what changes from now on\n\n"
_BEAT: Final = b": still here\n\n"
_EVENT: Final = b"event: changed\ndata: {}\n\n"


def live_router(sessions: Sessions, streams: Streams) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/events")
    async def events(visitor: Annotated[Visitor, sessions.of_anybody()]) -> Response:
        return StreamingResponse(
            stream(streams, visitor.token),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return router


async def stream(
    streams: Streams,
    token: str,
    *,
    heartbeat: float = HEARTBEAT,
    seconds: float = STREAM_SECONDS,
    pause: float = _PAUSE,
) -> AsyncIterator[bytes]:
    """The bytes of one stream of a session: a comment first, then a word at each change, else a
    comment.

    Many changes at once are one word. A lost one costs little: pages also look once a minute.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    async with streams.open(token, CHANGED) as open_:
        yield _BEGIN
        while (left := ends - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(heartbeat, left)):
                    await open_.woken.wait()
            except TimeoutError:
                yield _BEAT
                continue
            if open_.ended:
                break
            open_.woken.clear()
            yield _EVENT
            await asyncio.sleep(pause)
