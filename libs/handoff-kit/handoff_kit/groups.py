"""Keeps a consumer group going: fetch, apply, repair; made anew after whatever breaks."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from handoff_kit.bus.ports import Log, Place, Reader, Record
from handoff_kit.consumer import Consumer, Fenced, Group, InHand
from handoff_kit.db import AWAY, Database
from handoff_kit.errors import Transient
from handoff_kit.outbox import is_cancelled, next_pause, pause
from handoff_kit.telemetry import process_metrics, record_poll, recording
from handoff_kit.wakes import Wakes

log = logging.getLogger(__name__)
_FETCH_SECONDS = 0.25
_REPAIR_SECONDS = 1.0
_WAITING_SECONDS = 0.1
# The same while sets are in hand, which have to end first.
_BUSY_REPAIR_SECONDS = 5.0
_BUSY_WAITING_SECONDS = 0.5
_MEASURE_SECONDS = 5.0
# After this long without news, what was of no concern is passed for good.
_HELD_SECONDS = 0.25


class GroupRunner:
    """One member of one group.

    A reader that raised is closed and another one made, after a pause of 0.2 to 30 seconds with
    jitter. A reader that is behind but has not moved for ``stall`` seconds is treated likewise: a
    Kafka consumer whose coordinator died answers nothing for ever without an error.
    """

    def __init__(
        self,
        db: Database,
        group: Group,
        log_: Log,
        wakes: Wakes,
        *,
        stall: float = 60.0,
    ) -> None:
        self._group = group
        self._log = log_
        self._wakes = wakes
        self._stall = stall
        self._outbox = f"outbox:{db.service}"
        self.consumer = Consumer(db, group)
        self._hands = InHand(self.consumer, group.batch)
        self.readers_made = 0
        self._repaired = self._measured = self._progressed = 0.0
        self._level: dict[str, float] = {}  # When each topic was last read to its end.

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until *stop*; the set in hand is finished first."""
        wait = 0.0
        while not stop.is_set():
            reader: Reader | None = None
            began = time.monotonic()
            before = self.consumer.applied
            try:
                reader = await self._log.reader(self._group.name, self._group.topics, self._lookup)
                self.readers_made += 1
                await self._consume(reader, stop)
            except AWAY as error:
                log.warning("group %s pauses: %s", self._group.name, type(error).__name__)
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                log.exception("group %s starts again", self._group.name)
            except Exception:
                log.exception("group %s starts again", self._group.name)
            finally:
                await self._hands.forget()
                if reader is not None:
                    await reader.close()
            last = wait if self.consumer.applied == before else 0.0
            wait = next_pause(last, time.monotonic() - began)
            await pause(stop, wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    async def _lookup(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Where to read from: nothing may be under way from before."""
        await self._hands.forget()
        return await self.consumer.lookup(places)

    async def _consume(self, reader: Reader, stop: asyncio.Event) -> None:
        self._repaired = self._measured = 0.0
        self._progressed = time.monotonic()
        while not stop.is_set():
            records = await self._fetch(reader)
            try:
                if await self._work(records):
                    await self._committed(reader)
                if self._looks_after():
                    # It looks at where the database stands, which the sets in hand move.
                    if await self._hands.finish():
                        await self._committed(reader)
                    await self._look_after(reader)
            except Fenced:
                await reader.rewind()
        if await self._hands.finish():
            await self._committed(reader)

    async def _work(self, records: list[Record]) -> bool:
        began = time.monotonic()
        self._hands.give(records)
        moved = await self._hands.work()
        if records or moved:
            self._progressed = began
        elif began - self._progressed > _HELD_SECONDS:
            moved = await self.consumer.settle()
        return moved

    def _looks_after(self) -> bool:
        """Whether it is time to look after what was set aside."""
        if self._hands.busy:
            due = _BUSY_WAITING_SECONDS if self.consumer.waiting else _BUSY_REPAIR_SECONDS
        else:
            due = _WAITING_SECONDS if self.consumer.waiting else _REPAIR_SECONDS
        return time.monotonic() - self._repaired > due

    async def _look_after(self, reader: Reader) -> None:
        """Repair, and now and then see where we stand. Raises: Fenced, Transient."""
        self._repaired = now = time.monotonic()
        if await self.consumer.repair(reader.assigned()):
            await self._committed(reader)
        if now - self._measured > _MEASURE_SECONDS:
            self._measured = now
            if await self.consumer.moved():
                raise Fenced(f"group {self._group.name} was moved")
            behind = await self._measure(reader)
            if behind and now - self._progressed > self._stall:
                raise Transient(f"behind by {behind} and not moving")
            if not behind:
                self._progressed = now

    async def _fetch(self, reader: Reader) -> list[Record]:
        began = time.time_ns()
        hands = self._hands
        most = hands.room
        if not most:
            return []
        wait, linger = (0, 0) if hands.busy else (_FETCH_SECONDS, self._group.linger)
        records = await reader.fetch(most, wait, linger)
        if records and recording():
            record_poll(self._group.name, Counter(r.topic for r in records), began)
        return records

    async def _committed(self, reader: Reader) -> None:
        if self.consumer.emitted:
            self.consumer.emitted = False
            self._wakes.wake(self._outbox)
        if self._group.after is not None:
            self._group.after()
        await reader.told(self.consumer.committed)

    async def _measure(self, reader: Reader) -> int:
        lag = await reader.lag()
        topics: dict[str, int] = {}
        for (topic, _), behind in lag.items():
            topics[topic] = topics.get(topic, 0) + behind
        metrics, group, now = process_metrics(), self._group.name, time.monotonic()
        for topic, behind in topics.items():
            if not behind:
                self._level[topic] = now
            oldest = now - self._level.setdefault(topic, now)
            metrics.set("handoff_consumer_lag", behind, group=group, topic=topic)
            metrics.set("handoff_consumer_oldest_seconds", oldest, group=group, topic=topic)
        return sum(topics.values())
