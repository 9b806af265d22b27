"""Members that stand still: a fetcher that fetches no more, a group that is not joined, a process
that is stopped in the midst of its transaction.
"""

import asyncio
import signal
import sys
import time
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from handoff_kit.groups import GroupRunner

on_kafka = pytest.mark.parametrize(
    "bus", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)


@pytest.fixture
def lookup(bus):
    """Every partition of the topic at its end."""

    async def at_the_end(places):
        return {(topic, partition): bus.ends.get(partition, 0) for topic, partition in places}

    return at_the_end


async def read(reader, count: int) -> list:
    """*count* records, and that the group has been joined."""
    found: list = []
    async with asyncio.timeout(30):
        while len(found) < count or not reader.assigned():
            found += await reader.fetch(100, 0.25)
    return found


@on_kafka
async def test_the_lag_counts_what_a_stuck_fetcher_has_not_seen(
    bus, group, lookup, closed, outgoing
):
    case = uuid4()
    reader = await bus.new_log().reader(group.name, group.topics, lookup)
    try:
        await bus.publisher.send([outgoing(closed(case, 1), 1)])
        await read(reader, 1)
        assert sum((await reader.lag()).values()) == 0
        # From here on no fetch tells of a later end.
        reader._consumer.pause(*reader._consumer.assignment())
        await asyncio.sleep(0.3)
        await bus.publisher.send([outgoing(closed(case, n), n) for n in (2, 3, 4)])
        assert sum((await reader.lag()).values()) == 3
    finally:
        await reader.close()


@on_kafka
async def test_a_reader_with_a_stuck_fetcher_is_made_anew(
    bus, db, admin, group, closed, outgoing, whole, until
):
    case, readers = uuid4(), []

    class Sticking:
        """The first reader stops to fetch once it has joined."""

        async def reader(self, name, topics, lookup_):
            made = await bus.new_log().reader(name, topics, lookup_)
            readers.append(made)
            return made

    await admin.executemany(
        "INSERT INTO toy.consumer_offset (group_name, topic, partition, next_offset)"
        " VALUES ($1, 'handoff.cases', $2, $3)",
        [(group.name, partition, end) for partition, end in bus.ends.items()],
    )
    runner, stop = GroupRunner(db, group, Sticking(), bus.wakes, stall=3.0), asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    try:
        await bus.publisher.send([outgoing(closed(case, 1), 1)])
        await whole([case], 1)
        readers[0]._consumer.pause(*readers[0]._consumer.assignment())
        await asyncio.sleep(0.3)
        await bus.publisher.send([outgoing(closed(case, 2), 2)])
        await whole([case], 2, 30)
        assert len(readers) == 2
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)


class Hesitant(ConsumerRebalanceListener):
    """A member that beats its heart and does not give its partitions up."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def on_partitions_revoked(self, revoked):
        if revoked:
            self.asked.set()
            await self.may.wait()

    async def on_partitions_assigned(self, assigned):
        """Nothing."""


@on_kafka
async def test_a_group_that_is_joined_anew_for_long_holds_no_reader_up(
    bus, group, lookup, closed, outgoing
):
    reader = await bus.new_log().reader(group.name, group.topics, lookup)
    listener = Hesitant()
    other = AIOKafkaConsumer(
        **bus.settings.client(),
        group_id=group.name,
        max_poll_interval_ms=300_000,
        heartbeat_interval_ms=500,
        partition_assignment_strategy=(StickyPartitionAssignor,),
    )
    other.subscribe(topics=list(group.topics), listener=listener)
    third = None
    try:
        await read(reader, 0)
        await other.start()
        async with asyncio.timeout(30):
            while not other.assignment() or len(reader.assigned()) == 12:
                await reader.fetch(100, 0.1)
        third = await bus.new_log().reader(group.name, group.topics, lookup)
        async with asyncio.timeout(30):
            while not listener.asked.is_set():
                await reader.fetch(100, 0.1)
            while not reader._consumer._subscription.reassignment_in_progress:
                await reader.fetch(100, 0.1)
        began = time.monotonic()
        assert await reader.fetch(100, 0.25) == []
        assert await third.fetch(100, 0.25) == []
        assert time.monotonic() - began < 3
        await reader.close()
        assert time.monotonic() - began < 6
    finally:
        listener.may.set()
        for one in (reader, third):
            if one is not None:
                await one.close()
        await other.stop()


# A member that prints "inside" within its transaction, and goes on when it gets a line.
STOPPED = """
import asyncio, sys
from event_schemas.cases import CaseClosed
from handoff_kit.bus.postgres import PostgresLog
from handoff_kit.consumer import Group
from handoff_kit.db import AWAY, Database
from handoff_kit.groups import GroupRunner
from handoff_kit.wakes import Wakes

dsn, name = sys.argv[1:]

async def apply(tx, events):
    print("inside", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await tx.conn.execute("SELECT 1")
    except AWAY:
        print("ended", flush=True)
        raise

async def main():
    db, wakes = Database(dsn, "toy"), Wakes()
    group = Group(name, frozenset({CaseClosed}), apply, topics=("handoff.cases",))
    log = PostgresLog(dsn, wakes)
    await GroupRunner(db, group, log, wakes).run(asyncio.Event())

asyncio.run(main())
"""


@pytest.mark.parametrize("bus", ["embedded"], indirect=True)
async def test_f12_a_process_stopped_in_its_transaction_is_replaced_within_ten_seconds(
    bus, database, group, closed, outgoing, start_member, whole
):
    cases = [uuid4() for _ in range(20)]
    await bus.publisher.send([outgoing(closed(c, n), n) for n in (1, 2) for c in cases])
    zombie = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STOPPED,
        database.url,
        group.name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert zombie.stdin is not None
    assert zombie.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await zombie.stdout.readline() == b"inside\n"
        zombie.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        start_member()
        await whole(cases, 2, 20)
        assert time.monotonic() - stopped < 12
        zombie.send_signal(signal.SIGCONT)
        zombie.stdin.write(b"go on\n")
        async with asyncio.timeout(20):
            assert await zombie.stdout.readline() == b"ended\n"
    finally:
        zombie.kill()
        await zombie.wait()
    await bus.publisher.send([outgoing(closed(c, 3), 3) for c in cases])
    await whole(cases, 3, 20)
