"""From a service's outbox to the log.

One relay per (service, cluster), by an advisory lock on a connection of its own: losing the
connection loses the lock and stops the relay in the same moment. What is published is deleted;
there is no cursor, so a row that commits late is never passed over.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from handoff_kit.bus.ports import Outgoing, Publisher
from handoff_kit.bus.schema import WRITTEN_AT
from handoff_kit.db import AWAY, Connection, connect
from handoff_kit.errors import Transient
from handoff_kit.faults import async_fault
from handoff_kit.telemetry import record_send
from handoff_kit.wakes import Wakes

log = logging.getLogger(__name__)
BATCH = 1000
# Sent at once: beside a busy consumer each wait for the database or a broker takes long.
SENT = 4000
POLL_SECONDS = 0.25
# A relay that was stopped holds the lock no longer than this. A send to Kafka may take twenty.
_SILENT_SECONDS = 30

# Moves up to $1 rows of one outbox to the log, with dense offsets, in one statement. The rows of
# bus.head stay locked until the commit: offsets of a partition become visible in order.
_MOVE = """
WITH taken AS MATERIALIZED (
    DELETE FROM {s}.outbox WHERE id IN (SELECT id FROM {s}.outbox ORDER BY id LIMIT $1)
    RETURNING id, topic, key, sequence, headers, value
), placed AS MATERIALIZED (
    SELECT t.*, (('x' || substr(md5(t.key), 1, 7))::bit(28)::int % coalesce(p.partitions, 1))
        AS partition
    FROM taken t LEFT JOIN bus.topic p ON p.name = t.topic
), counted AS MATERIALIZED (
    SELECT topic, partition, count(*) AS n FROM placed GROUP BY topic, partition
), head AS MATERIALIZED (
    INSERT INTO bus.head AS h (topic, partition, next_offset)
    SELECT topic, partition, n FROM counted ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = h.next_offset + EXCLUDED.next_offset
    RETURNING topic, partition, next_offset
), written AS (
    INSERT INTO bus.log (topic, partition, log_offset, key, headers, sequence, value,
        written_at)
    SELECT p.topic, p.partition,
           h.next_offset - c.n - 1
               + row_number() OVER (PARTITION BY p.topic, p.partition ORDER BY p.id),
           p.key, p.headers, p.sequence, p.value, {written_at}
    FROM placed p JOIN counted c USING (topic, partition) JOIN head h USING (topic, partition)
)
SELECT topic, n FROM counted
"""


class Mover:
    """Embedded log: outbox and log are in one database, so moving is one transaction."""

    def __init__(self, service: str, wakes: Wakes) -> None:
        self._sql = _MOVE.format(s=service, written_at=WRITTEN_AT.format(topic="p.topic"))
        self._wakes = wakes

    async def __call__(self, connection: Connection) -> int:
        began = time.time_ns()
        rows = await connection.fetch(self._sql, BATCH)
        counts: Counter[str] = Counter()
        for row in rows:
            counts[row["topic"]] += row["n"]
        for topic in counts:
            self._wakes.wake(f"topic:{topic}")
        record_send(counts, began)
        return counts.total()


class Sender:
    """Kafka: send in order, then delete what was acknowledged. A crash between sends again."""

    def __init__(self, service: str, publisher: Publisher) -> None:
        self._service = service
        self._publisher = publisher

    async def __call__(self, connection: Connection) -> int:
        rows = await connection.fetch(
            f"SELECT id, topic, key, sequence, headers, value FROM {self._service}.outbox"
            " ORDER BY id LIMIT $1",
            SENT,
        )
        if not rows:
            return 0
        began = time.time_ns()
        results = await self._publisher.send([_outgoing(row) for row in rows])
        record_send(Counter(row["topic"] for row in rows), began)
        await async_fault("outbox.after_send")
        sent = [row["id"] for row, error in zip(rows, results, strict=True) if error is None]
        if sent:
            await connection.execute(
                f"DELETE FROM {self._service}.outbox WHERE id = ANY($1::bigint[])", sent
            )
        failed = next((error for error in results if error is not None), None)
        if failed is not None:
            raise Transient(f"the log did not take {len(rows) - len(sent)} records") from failed
        return len(sent)


def _outgoing(row: Any) -> Outgoing:
    headers = orjson.loads(row["headers"])
    headers["ce_sequence"] = str(row["sequence"])
    return Outgoing(row["topic"], row["key"], headers, row["value"])


class Relay:
    """Runs a mover or a sender under the service's lock, woken after commits and by the clock."""

    def __init__(
        self,
        dsn: str,
        service: str,
        step: Callable[[Connection], Awaitable[int]],
        wakes: Wakes,
    ) -> None:
        self._dsn = dsn
        self._service = service
        self._step = step
        self._wakes = wakes
        self.active = False
        self.moved = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until *stop*, then move what is left once more. Never raises.

        Failures back off from 0.2 to 30 seconds; anew when something was moved in between.
        """
        woken = self._wakes.subscribe([f"outbox:{self._service}"])
        wait = 0.0
        while not stop.is_set():
            began, before = time.monotonic(), self.moved
            try:
                await self._hold_and_move(stop, woken)
            except AWAY as error:
                log.warning("relay of %s pauses: %s", self._service, type(error).__name__)
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                log.exception("relay of %s starts again", self._service)
            except Exception:
                # A relay that ended would be missed by nobody until the outbox is long.
                log.exception("relay of %s starts again", self._service)
            self.active = False
            last = wait if self.moved == before else 0.0
            wait = next_pause(last, time.monotonic() - began)
            await pause(stop, wait)
        self._wakes.unsubscribe(woken)

    async def _hold_and_move(self, stop: asyncio.Event, woken: asyncio.Event) -> None:
        connection = await connect(
            self._dsn,
            f"handoff_{self._service}_sets",
            name=f"handoff-relay-{self._service}",
            idle_seconds=_SILENT_SECONDS,
        )
        try:
            while not await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", f"relay:{self._service}"
            ):
                if await pause(stop, 1.0):
                    return
            self.active = True
            while True:
                woken.clear()
                moved = await self._step(connection)
                self.moved += moved
                if moved >= BATCH:
                    continue
                if stop.is_set():
                    return
                await _either(woken, stop, POLL_SECONDS)
        finally:
            self.active = False
            connection.terminate()


def is_cancelled() -> bool:
    """Whether somebody ends this task, and not only what it waited for was cancelled.

    aiokafka cancels tasks of its own and lets that out. Like any CancelledError it would end
    the task, and nobody would hear of it.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def next_pause(last: float, ran: float) -> float:
    """Seconds to pause after a failure: 0.2 to 30, doubled unless it *ran* well meanwhile.

    *last* is the pause before, 0 at first. What ran for a minute had recovered: its failure is a
    new one.
    """
    return 0.2 if not last or ran > 60 else min(last * 2, 30.0)


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep, but no longer than until *stop*; whether it was set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _either(first: asyncio.Event, second: asyncio.Event, seconds: float) -> None:
    """Wait for one of two events, at most *seconds*. *second* is looked at by the clock alone."""
    if second.is_set():
        return
    try:
        await asyncio.wait_for(first.wait(), seconds)
    except TimeoutError:
        return
