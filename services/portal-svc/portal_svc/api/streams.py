"""The open streams of one process, and whose session has ended meanwhile."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Final

from handoff_kit.db import DATABASE_AWAY
from handoff_kit.errors import Transient
from handoff_kit.wakes import Wakes, Woken

EVERY: Final = 5.0  # seconds between two questions, however many streams there are

log = logging.getLogger(__name__)

_AWAY: tuple[type[BaseException], ...] = (Transient, *DATABASE_AWAY)
Standing = Callable[[Collection[str]], Awaitable[set[str]]]


class Stream:
    """One stream: ``woken`` is set by a change, and once when its session has ended."""

    def __init__(self, token: str, woken: Woken) -> None:
        self.token = token
        self.woken = woken
        self.ended = False

    def end(self) -> None:
        self.ended = True
        self.woken.set()


class Streams:
    """Runs only while somebody listens. ``standing``: those of some tokens that still hold."""

    def __init__(self, wakes: Wakes, standing: Standing, *, every: float = EVERY) -> None:
        self._wakes = wakes
        self._standing = standing
        self._every = every
        self._open: set[Stream] = set()
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def open(self, token: str, name: str) -> AsyncIterator[Stream]:
        """A stream of the session *token* that wake-ups of *name* wake."""
        stream = Stream(token, self._wakes.subscribe([name]))
        self._open.add(stream)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="portal-streams")
        try:
            yield stream
        finally:
            self._wakes.unsubscribe(stream.woken)
            self._open.discard(stream)
            if not self._open:
                await self.close()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._look()
            except _AWAY as error:
                log.warning("sessions of streams are not known: %s", type(error).__name__)

    async def _look(self) -> None:
        asked = list(self._open)
        standing = await self._standing({stream.token for stream in asked})
        for stream in asked:
            if stream.token not in standing:
                stream.end()
