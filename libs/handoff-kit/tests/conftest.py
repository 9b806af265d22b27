"""A toy service, which notes what it was given, in order, and fails as it is told to; and both
logs to run it on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from event_schemas.cases import CaseClosed
from event_schemas.codes import CaseStatus
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import Log, Outgoing, Publisher
from handoff_kit.bus.postgres import PostgresLog, PostgresPublisher
from handoff_kit.consumer import Group, Received, each
from handoff_kit.groups import GroupRunner
from handoff_kit.http import create_app
from handoff_kit.kafka_cluster import KafkaCluster, _running_in
from handoff_kit.outbox import Mover, Relay, Sender
from handoff_kit.service import Built, Context, Service
from handoff_kit.tx import Tx
from handoff_kit.wakes import Wakes


@dataclass
class Toy:
    """``refuse`` maps an event's reason to what handling it raises.

    ``blind``: it does not say which events of a set wait.
    """

    refuse: dict[str, Exception] = field(default_factory=dict)
    blind: bool = False
    sets: list[int] = field(default_factory=list)

    async def apply(self, tx: Tx, events: Sequence[Received]) -> None:
        self.sets.append(len(events))

        def take(event: Received) -> None:
            if event.data.reason in self.refuse:
                raise self.refuse[event.data.reason]

        if self.blind:
            for event in events:
                take(event)
        else:
            each(events, take)
        await tx.conn.execute(
            "INSERT INTO toy.applied (agency_id, key, event_id, sequence)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[])",
            [e.agency for e in events],
            [e.key for e in events],
            [e.id for e in events],
            [e.sequence for e in events],
        )


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def service(toy: Toy) -> Service:
    async def build(context: Context) -> Built:
        app = create_app("toy", title="toy", verifier=context.verifier, routers=[])
        group = Group("toy", frozenset({CaseClosed}), toy.apply)
        return Built(lambda: app, [group])

    return Service("toy", "handoff_kit", build, Path(__file__).parent / "toy" / "migrations")


@pytest.fixture
def closed():
    """``closed(case_id, version, reason)`` → an event that is easy to make."""

    def make(case_id: UUID, version: int = 1, reason: str = "needs-settled") -> CaseClosed:
        from datetime import UTC, datetime

        return CaseClosed(
            case_id=case_id,
            at=datetime.now(UTC),
            version=version,
            status=CaseStatus.CLOSED,
            reason=reason,
        )

    return make


@dataclass
class Bus:
    """A log under test. ``new_log`` makes one more member's view of it, ``step`` a relay's work."""

    name: str
    new_log: Callable[[], Log]
    publisher: Publisher
    step: Callable[[], Callable[[asyncpg.Connection], Awaitable[int]]]
    wakes: Wakes
    settings: KafkaSettings | None = None
    ends: dict[int, int] = field(default_factory=dict)  # Of the topic, when the test began.


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def bus(request, database, db) -> AsyncIterator[Bus]:
    wakes = Wakes()
    if request.param == "embedded":
        logs: list[PostgresLog] = []

        def new_log() -> Log:
            logs.append(PostgresLog(database.url, wakes))
            return logs[-1]

        yield Bus(
            "embedded",
            new_log,
            PostgresPublisher(database.url, db.sets_role, wakes),
            lambda: Mover("toy", wakes),
            wakes,
        )
        for log in logs:
            await log.close()
        return
    settings = KafkaSettings(request.getfixturevalue("kafka_bootstrap"))
    await KafkaLog(settings).create_topics(
        {"handoff.cases": (12, None), "handoff.parked": (12, None)}
    )
    publisher = KafkaPublisher(settings)
    yield Bus(
        "kafka",
        lambda: KafkaLog(settings),
        publisher,
        lambda: Sender("toy", publisher),
        wakes,
        settings,
        await _ends(settings),
    )
    await publisher.close()


async def _ends(settings: KafkaSettings) -> dict[int, int]:
    consumer = AIOKafkaConsumer(**settings.client())
    await consumer.start()
    try:
        partitions = [TopicPartition("handoff.cases", p) for p in range(12)]
        return {p.partition: o for p, o in (await consumer.end_offsets(partitions)).items()}
    finally:
        await consumer.stop()


class Member:
    """A member of the toy's group that applies what comes."""

    def __init__(self, runner: GroupRunner) -> None:
        self.runner = runner
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(runner.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 20)


@pytest.fixture
def group(built: Built) -> Group:
    """Of its own for each test, as the broker is shared by all."""
    base = built.groups[0]
    return Group(f"toy-{uuid4().hex[:8]}", base.events, base.apply, topics=("handoff.cases",))


@pytest.fixture
async def start_member(bus, db, admin, group) -> AsyncIterator[Callable[..., Member]]:
    """``start_member()`` or ``start_member(log, group)`` → a running Member.

    The group begins where the log ended when the test began: other tests' events are not its own.
    """
    members: list[Member] = []
    await admin.executemany(
        "INSERT INTO toy.consumer_offset (group_name, topic, partition, next_offset)"
        " VALUES ($1, 'handoff.cases', $2, $3)",
        [(group.name, partition, end) for partition, end in bus.ends.items()],
    )

    def start(log: Log | None = None, of: Group | None = None) -> Member:
        members.append(Member(GroupRunner(db, of or group, log or bus.new_log(), bus.wakes)))
        return members[-1]

    yield start
    for member in members:
        await member.end()


@pytest.fixture
async def start_relay(bus, database) -> AsyncIterator[Callable[..., Relay]]:
    """``start_relay()`` or ``start_relay(step)`` → a running Relay of the toy's outbox."""
    stop = asyncio.Event()
    running: list[asyncio.Task[None]] = []

    def start(step: Callable[[asyncpg.Connection], Awaitable[int]] | None = None) -> Relay:
        relay = Relay(database.url, "toy", step or bus.step(), bus.wakes)
        running.append(asyncio.create_task(relay.run(stop)))
        return relay

    yield start
    stop.set()
    await asyncio.wait_for(asyncio.gather(*running), 30)


@pytest.fixture
def outgoing():
    """``outgoing(event, sequence, **headers)`` → a record for the log."""

    def make(event, sequence, **more) -> Outgoing:
        headers = {
            "ce_id": str(uuid4()),
            "ce_source": "/handoff/test",
            "ce_type": event.TYPE,
            "ce_agency": "test-city",
            "ce_sequence": str(sequence),
            "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
            **more,
        }
        value = event.model_dump_json().encode()
        return Outgoing("handoff.cases", event.key_value(), headers, value)

    return make


@pytest.fixture
def emit():
    """``await emit(db, events)``: a transaction of the toy that says *events*."""

    async def say(db, events) -> None:
        async with db.sets() as connection:
            tx = Tx(connection, await connection.fetchval("SELECT clock_timestamp()"), "toy")
            for event in events:
                tx.emit(event, agency="test-city")
            await tx.save()

    return say


@pytest.fixture
def applied():
    """``await applied(admin, keys)`` → the sequences applied for each key, in order."""

    async def read(admin, keys) -> dict[str, list[int]]:
        rows = await admin.fetch(
            "SELECT key, sequence FROM toy.applied WHERE key = ANY($1::text[]) ORDER BY id",
            [str(k) for k in keys],
        )
        found: dict[str, list[int]] = {str(k): [] for k in keys}
        for row in rows:
            found[row["key"]].append(row["sequence"])
        return found

    return read


@pytest.fixture(scope="session")
def started_three(kafka_runs, tmp_path_factory) -> Iterator[KafkaCluster]:
    cluster = KafkaCluster(tmp_path_factory.mktemp("three") / "kafka", brokers=3)
    cluster.start()
    yield cluster
    for node in (1, 2, 3):
        if cluster.is_running(node):
            cluster.kill(node)
    assert list(_running_in(cluster.folder)) == []


@pytest.fixture
def three_brokers(started_three) -> KafkaCluster:
    """Apache Kafka with three brokers, started once; all of them run, whatever ended before."""
    for node in (1, 2, 3):
        started_three.start_node(node)
    return started_three


@pytest.fixture
def until():
    """``await until(condition, seconds)``: poll an async condition."""

    async def wait(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():
                await asyncio.sleep(0.05)

    return wait


@pytest.fixture
def whole(admin, applied, until):
    """``await whole(cases, n)``: wait until each case holds exactly 1..n, in order."""

    async def wait(cases, n: int, seconds: float = 30) -> None:
        expected = {str(c): list(range(1, n + 1)) for c in cases}
        found: dict[str, list[int]] = {}

        async def there() -> bool:
            nonlocal found
            found = await applied(admin, cases)
            return found == expected

        try:
            await until(there, seconds)
        except TimeoutError:
            raise AssertionError(f"expected 1..{n} for each, found {found}") from None

    return wait
