"""Members of a group that lose their partitions, their coordinator or their way to commit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, NodeNotReadyError
from aiokafka.protocol.fetch import FetchRequest
from handoff_kit.errors import Unavailable

on_kafka = pytest.mark.parametrize(
    "bus", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)


@dataclass
class Watched:
    """A log whose readers are kept, and changed by ``mend`` once they are there."""

    inner: object
    mend: Callable[[object, int], None] = lambda reader, number: None
    readers: list = field(default_factory=list)

    async def reader(self, group, topics, lookup):
        reader = await self.inner.reader(group, topics, lookup)
        self.mend(reader, len(self.readers))
        self.readers.append(reader)
        return reader


@dataclass
class Stopped:
    """A reader that holds back its first records until it may go on, as a stopped process does."""

    inner: object
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    rewound: int = 0

    async def fetch(self, limit, wait, linger=0.0):
        records = await self.inner.fetch(limit, wait, linger)
        if records:
            self.holding.set()
            await self.go_on.wait()
        return records

    async def rewind(self):
        self.rewound += 1
        await self.inner.rewind()

    def __getattr__(self, name):
        return getattr(self.inner, name)


@dataclass
class Stopping:
    inner: object
    readers: list = field(default_factory=list)

    async def reader(self, group, topics, lookup):
        self.readers.append(Stopped(await self.inner.reader(group, topics, lookup)))
        return self.readers[-1]


async def test_f12_an_owner_stopped_with_a_batch_in_hand_is_fenced_when_it_goes_on(
    bus, closed, outgoing, start_member, whole, until
):
    cases = [uuid4() for _ in range(30)]
    log = Stopping(bus.new_log())
    zombie = start_member(log)

    async def reads():
        return bool(log.readers) and len(log.readers[0].assigned()) == 12

    if bus.name == "kafka":
        await until(reads)
    await bus.publisher.send([outgoing(closed(c, n), n) for n in (1, 2, 3) for c in cases])
    async with asyncio.timeout(30):
        while not log.readers:
            await asyncio.sleep(0.02)
        await log.readers[0].holding.wait()
    owner = start_member()

    async def taken_over():
        return owner.runner.consumer.applied > 0

    await until(taken_over)
    log.readers[0].go_on.set()
    await whole(cases, 3)
    await bus.publisher.send([outgoing(closed(c, n), n) for n in (4, 5) for c in cases])
    await whole(cases, 5)
    assert log.readers[0].rewound > 0  # It was told no, and nothing else happened to it.
    assert zombie.runner.readers_made == 1


async def test_f12_an_owner_stopped_in_its_transaction_commits_or_is_fenced_and_never_both(
    bus, group, closed, outgoing, start_member, whole
):
    cases = [uuid4() for _ in range(30)]
    inside, go_on = asyncio.Event(), asyncio.Event()
    inner = group.apply

    async def slow(tx, events):
        if not inside.is_set():
            inside.set()
            await go_on.wait()
        await inner(tx, events)

    start_member(of=replace(group, apply=slow))
    await asyncio.sleep(1)
    await bus.publisher.send([outgoing(closed(c, n), n) for n in (1, 2, 3) for c in cases])
    async with asyncio.timeout(30):
        await inside.wait()
    start_member()
    await asyncio.sleep(7)  # The new owner meets the locks of the one that still holds them.
    go_on.set()
    await whole(cases, 3)
    await bus.publisher.send([outgoing(closed(c, n), n) for n in (4, 5) for c in cases])
    await whole(cases, 5)


def _refused(error):
    async def commit(offsets):
        raise error

    return lambda reader, _number: setattr(reader._consumer, "commit", commit)


def _endless(reader, _number):
    async def commit(offsets):
        await asyncio.Event().wait()

    reader._consumer.commit = commit


@on_kafka
@pytest.mark.parametrize(
    "mend",
    [_refused(CommitFailedError()), _refused(KafkaError("broken")), _endless],
    ids=["rebalanced", "error", "endless"],
)
async def test_f13_offsets_that_cannot_be_committed_to_kafka_hold_nothing_up(
    bus, closed, outgoing, start_member, whole, mend
):
    """``endless`` is what aiokafka does while the group's coordinator is away."""
    case = uuid4()
    member = start_member(Watched(bus.new_log(), mend))
    for n in (1, 2, 3):
        await bus.publisher.send([outgoing(closed(case, n), n)])
        await whole([case], n, 15)
        await asyncio.sleep(1.1)  # It tells once a second.
    assert member.runner.readers_made == 1
    await member.end()
    start_member()
    await bus.publisher.send([outgoing(closed(case, 4), 4)])
    await whole([case], 4)


@on_kafka
async def test_f13_nothing_is_told_of_partitions_that_went_away(bus, group):
    async def lookup(places):
        return dict.fromkeys(places, 0)

    reader = await bus.new_log().reader(group.name, group.topics, lookup)
    try:
        await reader.told({("handoff.parked", 0): 1})
        assert await reader._consumer.committed(TopicPartition("handoff.parked", 0)) is None
    finally:
        await reader.close()


def _bad_heartbeat(consumer):
    async def heartbeat():
        # What aiokafka raises for an error code that it did not expect.
        raise KafkaError("Unexpected exception in heartbeat task: UnknownError()")

    consumer._coordinator._do_heartbeat = heartbeat


def _coordinator_ends(consumer):
    consumer._coordinator._coordination_task.cancel()


def _fetcher_ends(consumer):
    consumer._fetcher._fetch_task.cancel()


def _broker_gone(consumer):
    """Every fetch fails, and waits before the next: so it is when the reader is closed."""
    inner = consumer._client.send

    async def send(node, request, **more):
        if isinstance(request, FetchRequest):
            raise NodeNotReadyError
        return await inner(node, request, **more)

    consumer._client.send = send
    consumer._coordinator._coordination_task.cancel()


@on_kafka
@pytest.mark.parametrize("end", [_bad_heartbeat, _coordinator_ends, _fetcher_ends, _broker_gone])
async def test_f14_a_reader_whose_coordinator_died_is_made_anew_within_ten_seconds(
    bus, closed, outgoing, start_member, whole, until, end
):
    case = uuid4()
    log = Watched(bus.new_log())
    member = start_member(log)
    await bus.publisher.send([outgoing(closed(case, 1), 1)])
    await whole([case], 1)
    end(log.readers[0]._consumer)

    async def made_anew():
        return member.runner.readers_made >= 2

    await until(made_anew, 10)
    await bus.publisher.send([outgoing(closed(case, n), n) for n in (2, 3)])
    await whole([case], 3, 10)


async def test_f14_a_cancellation_that_the_log_lets_out_ends_no_group(
    bus, closed, outgoing, start_member, whole
):
    case = uuid4()

    def cancelled(reader, number):
        inner = reader.fetch

        async def fetch(*arguments):
            if records := await inner(*arguments):
                raise asyncio.CancelledError
            return records

        if number == 0:
            reader.fetch = fetch

    member = start_member(Watched(bus.new_log(), cancelled))
    await bus.publisher.send([outgoing(closed(case, n), n) for n in (1, 2)])
    await whole([case], 2)
    assert member.runner.readers_made == 2


@on_kafka
async def test_f12_a_failed_seek_at_assignment_is_not_read_past(
    bus, db, admin, group, closed, outgoing, start_member, whole, until
):
    """aiokafka swallows what its listener raises, and would read from Kafka's committed offset."""
    case = uuid4()
    first = start_member()
    await bus.publisher.send([outgoing(closed(case, n), n) for n in (1, 2, 3)])
    await whole([case], 3)
    await asyncio.sleep(1.2)
    await bus.publisher.send([outgoing(closed(case, 4), 4)])
    await whole([case], 4)
    await first.end()  # Kafka was told 4; the database goes back to the beginning.
    await admin.executemany(
        "UPDATE toy.consumer_offset SET next_offset = $3 WHERE group_name = $1 AND partition = $2",
        [(group.name, p, end) for p, end in bus.ends.items()],
    )
    await admin.execute("DELETE FROM toy.gate")
    await admin.execute("DELETE FROM toy.applied")
    fails = []

    class Failing:
        async def reader(self, name, topics, lookup):
            async def once(places):
                found = await lookup(places)
                if not fails:
                    fails.append(places)
                    raise Unavailable("the database cannot be reached now")
                return found

            return await bus.new_log().reader(name, topics, once)

    start_member(Failing())
    await bus.publisher.send([outgoing(closed(case, 5), 5)])
    await whole([case], 5)
    assert fails
