"""Keeps a consumer group going: fetch, apply, repair; made anew after whatever breaks."""

import asyncio
import logging
import random
import time
from collections import Counter

from handoff_kit.bus.ports import Log, Reader, Record
from handoff_kit.consumer import Consumer, Fenced, Group
from handoff_kit.db import AWAY, Database
from handoff_kit.errors import Transient
from handoff_kit.outbox import next_pause, pause
from handoff_kit.telemetry import process_metrics, record_poll, recording
from handoff_kit.wakes import Wakes

log = logging.getLogger(__name__)
_REPAIR_SECONDS = 1.0
_WAITING_SECONDS = 0.1
_MEASURE_SECONDS = 5.0
# After this long without news, what was of no concern is passed for good.
_HELD_SECONDS = 0.25


class GroupRunner:
    """One lane of one group.

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
        lane: int = 0,
        stall: float = 60.0,
    ) -> None:
        self._group = group
        self._log = log_
        self._wakes = wakes
        self._stall = stall
        self._outbox = f"outbox:{db.service}"
        self.consumer = Consumer(db, group, shard=lane)
        self.readers_made = 0
        self._level: dict[str, float] = {}  # When each topic was last read to its end.

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until *stop*; the set in hand is finished first."""
        wait = 0.0
        while not stop.is_set():
            reader: Reader | None = None
            began = time.monotonic()
            before = self.consumer.applied
            try:
                reader = await self._log.reader(
                    self._group.name, self._group.topics, self.consumer.lookup
                )
                self.readers_made += 1
                await self._consume(reader, stop)
            except AWAY as error:
                log.warning("group %s pauses: %s", self._group.name, type(error).__name__)
            except Exception:
                log.exception("group %s starts again", self._group.name)
            finally:
                if reader is not None:
                    await reader.close()
            last = wait if self.consumer.applied == before else 0.0
            wait = next_pause(last, time.monotonic() - began)
            await pause(stop, wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    async def _consume(self, reader: Reader, stop: asyncio.Event) -> None:
        repaired = measured = 0.0
        progressed = time.monotonic()
        while not stop.is_set():
            records = await self._fetch(reader)
            now = time.monotonic()
            quiet = not records and now - progressed > _HELD_SECONDS
            try:
                if records:
                    progressed = now
                    moved = await self.consumer.process(records)
                else:
                    moved = quiet and await self.consumer.settle()
            except Fenced:
                await reader.rewind()
                continue
            if moved:
                self._committed()
                await reader.told(self.consumer.committed)
            due = _WAITING_SECONDS if self.consumer.waiting else _REPAIR_SECONDS
            if now - repaired > due:
                repaired = now
                if await self.consumer.repair(reader.assigned()):
                    self._committed()
            if now - measured > _MEASURE_SECONDS:
                measured = now
                if await self.consumer.moved():
                    await reader.rewind()
                    continue
                behind = await self._measure(reader)
                if behind and now - progressed > self._stall:
                    raise Transient(f"behind by {behind} and not moving")
                if not behind:
                    progressed = now

    async def _fetch(self, reader: Reader) -> list[Record]:
        began = time.time_ns()
        records = await reader.fetch(self._group.batch, 0.25)
        left = self._group.batch - len(records)
        if records and left and self._group.linger:
            await asyncio.sleep(self._group.linger)
            records += await reader.fetch(left, 0)
        if records and recording():
            record_poll(self._group.name, Counter(r.topic for r in records), began)
        return records

    def _committed(self) -> None:
        if self.consumer.emitted:
            self.consumer.emitted = False
            self._wakes.wake(self._outbox)
        if self._group.after is not None:
            self._group.after()

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
