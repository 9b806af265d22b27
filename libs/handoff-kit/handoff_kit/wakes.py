"""Who has new work: an event in this process, a coalesced NOTIFY to the others.

Nothing depends on a wake-up: everybody polls as well. No business transaction notifies: NOTIFY
takes a lock of the whole database until the commit. So it is sent afterwards, on a connection of
its own, and many wishes become one.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable

from handoff_kit.db import DATABASE_AWAY, Connection, connect

log = logging.getLogger(__name__)
CHANNEL = "handoff_wake"


class Woken(asyncio.Event):
    """Set by a wake-up; ``take`` says by which, and begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self._names: set[str] = set()

    def wake(self, name: str) -> None:
        self._names.add(name)
        self.set()

    def take(self) -> set[str]:
        names, self._names = self._names, set()
        self.clear()
        return names


class Wakes:
    """Wake-ups by name, such as ``outbox:intake`` or ``topic:handoff.offers``."""

    def __init__(self, dsn: str | None = None) -> None:
        self._dsn = dsn
        self._subscribers: defaultdict[str, list[Woken]] = defaultdict(list)
        self._wanted: set[str] = set()
        self._notify = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def subscribe(self, names: Iterable[str]) -> Woken:
        """An event that is set whenever one of *names* is woken; the subscriber clears it."""
        event = Woken()
        for name in names:
            self._subscribers[name].append(event)
        return event

    def unsubscribe(self, event: Woken) -> None:
        for events in self._subscribers.values():
            with contextlib.suppress(ValueError):
                events.remove(event)

    def wake(self, name: str) -> None:
        """Wake who waits for *name*: here, and in other processes if nobody here does."""
        events = self._subscribers.get(name)
        if events:
            for event in events:
                event.wake(name)
        elif self._dsn is not None:
            self._wanted.add(name)
            self._notify.set()

    async def start(self, *, listen: bool) -> None:
        """Begin to notify other processes; with *listen* also to hear them."""
        if self._dsn is None:
            return
        self._tasks.append(asyncio.create_task(self._notifier(), name="wakes-notify"))
        if listen:
            self._tasks.append(asyncio.create_task(self._listener(), name="wakes-listen"))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _heard(self, _connection: Connection, _pid: int, _channel: str, payload: str) -> None:
        for name in payload.split(","):
            for event in self._subscribers.get(name, ()):
                event.wake(name)

    async def _notifier(self) -> None:
        assert self._dsn is not None
        connection: Connection | None = None
        try:
            while True:
                await self._notify.wait()
                self._notify.clear()
                payload = ",".join(sorted(self._wanted))
                self._wanted.clear()
                try:
                    if connection is None:
                        connection = await connect(self._dsn, name="handoff-notify")
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
                except DATABASE_AWAY:
                    # Whoever was to be woken polls as well; try with a new connection next time.
                    await _drop(connection)
                    connection = None
                    await asyncio.sleep(0.25)
        finally:
            await _drop(connection)

    async def _listener(self) -> None:
        assert self._dsn is not None
        connection: Connection | None = None
        try:
            while True:
                try:
                    connection = await connect(self._dsn, name="handoff-listen")
                    await connection.add_listener(CHANNEL, self._heard)
                    lost = asyncio.Event()
                    connection.add_termination_listener(lambda _c, e=lost: e.set())
                    await lost.wait()
                except DATABASE_AWAY:
                    log.info("cannot listen for wake-ups; polling")
                await _drop(connection)
                connection = None
                await asyncio.sleep(1)
        finally:
            await _drop(connection)


async def _drop(connection: Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(*DATABASE_AWAY):
            connection.terminate()
