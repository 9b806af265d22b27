"""One look at the feed for all streams of a process, however many there are.

A stream costs a queue. When something was told (a wake-up, else every few seconds), one query asks
what is new for everybody who listens here, and each stream gets the ids of its own. Every few
seconds another asks who of them was shut out meanwhile: their streams end.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from handoff_kit.db import DATABASE_AWAY, Database
from handoff_kit.errors import Transient
from handoff_kit.wakes import Wakes

from notify_svc.tables.doors import shut_out_of
from notify_svc.tables.feed import told_since
from notify_svc.tables.wakes import FEED

log = logging.getLogger(__name__)

_AWAY: tuple[type[BaseException], ...] = (Transient, *DATABASE_AWAY)
_POLL = 2.0  # seconds, should a wake-up be lost
_DOORS = 2.0  # seconds between two looks at who was shut out
_PAUSE = 0.02  # seconds at least between two looks
_BACK = timedelta(seconds=30)  # what commits late is still found for so long
_QUEUE = 100
_REMEMBERED = 20_000

Listener = tuple[str, str]  # agency, owner
Caller = tuple[str, str]  # agency, a client or a person


class Stream:
    """What one connection has still to be told. An overrun says only that something changed."""

    def __init__(self, agency: str, owners: Sequence[str], callers: Sequence[str]) -> None:
        self.listeners: list[Listener] = [(agency, owner) for owner in owners]
        self.callers: list[Caller] = [(agency, caller) for caller in callers]
        self.ended = False
        # Told before the stream began: its reader has it from the feed, or will.
        self.before: frozenset[UUID] = frozenset()
        self._waiting: asyncio.Queue[UUID | None] = asyncio.Queue(_QUEUE)

    def put(self, id_: UUID) -> None:
        if id_ in self.before:
            return
        # Who reads too slowly loses ids, not the news: it reads the feed at each one that it gets.
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(id_)

    def end(self) -> None:
        """Nothing more is told: who listens was shut out."""
        self.ended = True
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(None)

    async def next(self, seconds: float) -> UUID | None:
        """The next item's id; None when there was none for so long, or the stream has ended."""
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        except TimeoutError:
            return None


class Hub:
    """Runs only while somebody listens."""

    def __init__(self, db: Database, wakes: Wakes) -> None:
        self._db = db
        self._wakes = wakes
        self._streams: dict[Listener, set[Stream]] = {}
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self.looks = 0
        self._doors_at = 0.0  # When it is looked next who was shut out.

    @contextlib.asynccontextmanager
    async def listen(
        self, agency: str, owners: Sequence[str], callers: Sequence[str] = ()
    ) -> AsyncIterator[Stream]:
        """A stream of what these owners are told from now on, until one of *callers* is shut out.

        *callers*: the client that listens, and the person whom it speaks for.
        """
        stream = Stream(agency, owners, callers)
        await self._begin(stream)
        try:
            yield stream
        finally:
            self._end(stream)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _begin(self, stream: Stream) -> None:
        await self._end_shut_out([stream])
        stream.before = frozenset([row.id for row in await self._told(stream.listeners)])
        for listener in stream.listeners:
            self._streams.setdefault(listener, set()).add(stream)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="notify-hub")

    def _end(self, stream: Stream) -> None:
        for listener in stream.listeners:
            there = self._streams.get(listener)
            if there is not None:
                there.discard(stream)
                if not there:
                    del self._streams[listener]
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        woken = self._wakes.subscribe([FEED])
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await woken.wait()
                woken.clear()
                try:
                    await self._look()
                    await asyncio.sleep(_PAUSE)
                except _AWAY as error:
                    log.warning("streams pause: %s", type(error).__name__)
                    await asyncio.sleep(_POLL)
        finally:
            self._wakes.unsubscribe(woken)

    async def _look(self) -> None:
        self.looks += 1
        now = time.monotonic()
        if now >= self._doors_at:
            self._doors_at = now + _DOORS
            await self._end_shut_out(list({s for all_ in self._streams.values() for s in all_}))
        for row in await self._told(list(self._streams)):
            if row.id in self._seen:
                continue
            self._remember(row.id)
            for stream in self._streams.get((row.agency_id, row.owner), ()):
                stream.put(row.id)

    async def _told(self, listeners: Sequence[Listener]) -> list[Any]:
        async with self._db.sets() as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            return await told_since(connection, listeners, now - _BACK)

    async def _end_shut_out(self, streams: Sequence[Stream]) -> None:
        """An access token outlives its client's revocation; no stream does for long."""
        callers = sorted({caller for stream in streams for caller in stream.callers})
        if not callers:
            return
        async with self._db.sets() as connection:
            gone = await shut_out_of(connection, callers)
        for stream in streams:
            if not gone.isdisjoint(stream.callers):
                stream.end()

    def _remember(self, id_: UUID) -> None:
        self._seen[id_] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
