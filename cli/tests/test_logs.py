"""What status and replay ask of either log: how far behind, and where it begins."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from handoff_cli.commands.replay import EARLIEST, read_again
from handoff_cli.commands.status import report_now
from handoff_cli.logs import behind
from handoff_cli.services import all_services
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import Log, Outgoing, Publisher
from handoff_kit.bus.postgres import PostgresLog, PostgresPublisher, forget_old_records
from handoff_kit.db import Database
from handoff_kit.service import Service

INBOUND, CASES = "handoff.inbound.inspections", "handoff.cases"
ROLE = "handoff_intake_sets"
LOST = "are gone from the log"


@pytest.fixture
def services() -> tuple[Service, ...]:
    return tuple(all_services())


@pytest.fixture(autouse=True)
def _here(database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_DATABASE_URL", database.admin_url)
    for name in ("HANDOFF_BUS", "HANDOFF_KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)


def records(topic: str, count: int) -> list[Outgoing]:
    headers = {"ce_id": str(uuid4()), "ce_source": "/test", "ce_type": "t", "ce_agency": "a"}
    return [Outgoing(topic, str(n), headers, b"{}") for n in range(count)]


@pytest.fixture
def stand(admin) -> Callable[..., Awaitable[None]]:
    """``await stand(service, group, {place: offset})``: where a group stands."""

    async def stand(service: str, group: str, places: dict[tuple[str, int], int]) -> None:
        for (topic, partition), offset in places.items():
            await admin.execute(
                f"INSERT INTO {service}.consumer_offset (group_name, topic, partition, next_offset)"
                " VALUES ($1, $2, $3, $4)",
                group,
                topic,
                partition,
                offset,
            )

    return stand


@pytest.fixture
async def embedded(database) -> AsyncIterator[tuple[Log, Publisher]]:
    publisher = PostgresPublisher(database.url, ROLE)
    log = PostgresLog(database.url)
    yield log, publisher
    await log.close()
    await publisher.close()


@pytest.fixture
async def kafka(
    request, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[KafkaLog, KafkaPublisher]]:
    servers = request.getfixturevalue("kafka_bootstrap")
    monkeypatch.setenv("HANDOFF_BUS", "kafka")
    monkeypatch.setenv("HANDOFF_KAFKA_BOOTSTRAP_SERVERS", servers)
    settings = KafkaSettings(servers)
    publisher = KafkaPublisher(settings)
    yield KafkaLog(settings), publisher
    await publisher.close()


async def offset_of(admin, topic: str, partition: int = 0) -> int:
    return await admin.fetchval(
        "SELECT next_offset FROM intake.consumer_offset WHERE topic = $1 AND partition = $2",
        topic,
        partition,
    )


def test_lag_is_by_group_and_topic_and_never_below_nothing() -> None:
    offsets = [("g", "a", 0, 3), ("g", "a", 1, 9), ("g", "b", 0, 0), ("h", "a", 0, 5)]
    ends = {("a", 0): 5, ("a", 1): 4}
    assert behind(offsets, ends) == {"g": {"a": 2, "b": 0}, "h": {"a": 0}}


async def test_the_embedded_log_tells_lag_by_group_and_topic(embedded, stand, admin) -> None:
    _, publisher = embedded
    await publisher.send([*records(INBOUND, 20), *records(CASES, 5)])
    heads = await admin.fetch("SELECT topic, partition, next_offset FROM bus.head")
    all_of = {(r["topic"], r["partition"]): r["next_offset"] for r in heads}
    await stand("intake", "intake", {p: 0 for p in all_of if p[0] == INBOUND})
    await stand("portal", "portal", {p: n for p, n in all_of.items() if p[0] == CASES})
    report = await report_now()
    assert report["log"] == "ready"
    assert report["groups"] == {"intake": {INBOUND: 20}, "portal": {CASES: 0}}
    lags = {name: row["lag"] for name, row in report["services"].items()}
    assert lags == {"intake": 20, "referral": 0, "partner": 0, "notify": 0, "portal": 0}
    assert report["services"]["intake"]["oldest_seconds"] > 0
    assert report["services"]["portal"]["oldest_seconds"] == 0


@pytest.mark.kafka
async def test_kafka_tells_lag_by_group_and_topic_in_one_question(kafka, stand) -> None:
    log, publisher = kafka
    topics = [f"lag-{n}-{uuid4().hex[:8]}" for n in range(8)]
    await log.create_topics(dict.fromkeys(topics, (12, None)))
    for topic in topics:
        await publisher.send(records(topic, 30))
    await stand("intake", "intake", {(t, p): 0 for t in topics[:4] for p in range(12)})
    ends = await log.ends([(t, p) for t in topics[4:] for p in range(12)])
    assert sum(ends.values()) == 4 * 30
    await stand("portal", "portal", ends)
    began = time.monotonic()
    report = await report_now()
    assert time.monotonic() - began < 2  # 96 partitions, asked one by one, would take longer.
    assert report["log"] == "ready"
    assert report["groups"] == {
        "intake": dict.fromkeys(topics[:4], 30),
        "portal": dict.fromkeys(topics[4:], 0),
    }
    assert report["services"]["intake"]["lag"] == 120
    assert report["services"]["portal"]["lag"] == 0


@pytest.mark.parametrize(
    ("servers", "why"),
    [(None, "name the brokers, HANDOFF_KAFKA_BOOTSTRAP_SERVERS"), ("127.0.0.1:1", "do not say")],
)
async def test_without_brokers_the_rest_is_told_and_why_no_lag(
    monkeypatch: pytest.MonkeyPatch, stand, servers: str | None, why: str
) -> None:
    monkeypatch.setenv("HANDOFF_BUS", "kafka")
    if servers:
        monkeypatch.setenv("HANDOFF_KAFKA_BOOTSTRAP_SERVERS", servers)
    await stand("intake", "intake", {(INBOUND, 0): 0})
    report = await report_now()
    assert why in report["log"]
    assert report["groups"] == {}
    assert {row["lag"] for row in report["services"].values()} == {None}
    assert report["parked"] == 0


async def test_a_replay_of_the_earliest_begins_at_what_is_left(
    database, embedded, stand, admin, caplog: pytest.LogCaptureFixture
) -> None:
    log, publisher = embedded
    key = records(INBOUND, 1)[0]
    await publisher.send([key] * 6)
    ((partition, end),) = await admin.fetch("SELECT partition, next_offset FROM bus.head")
    assert end == 6
    await admin.execute(
        "UPDATE bus.log SET written_at = now() - interval '8 days' WHERE log_offset < 4"
    )
    db = Database(database.url, "intake")
    try:
        async with db.sets() as connection:
            assert await forget_old_records(connection) == 4
    finally:
        await db.close()
    empty = (partition + 1) % 12
    await stand("intake", "intake", {(INBOUND, partition): 6, (INBOUND, empty): 0})
    for start in (EARLIEST, 0):  # An offset that is gone is no place to begin at, either.
        await admin.execute(
            "UPDATE intake.consumer_offset SET next_offset = 6 WHERE partition = $1", partition
        )
        done = await read_again("intake", start, None, "test", dry_run=False)
        assert done["moved"] == [
            {"topic": INBOUND, "partition": partition, "from": 6, "to": 4, "events": 2}
        ]
        assert await offset_of(admin, INBOUND, partition) == 4

    async def read() -> list[int]:
        async def lookup(places):
            stood = await offset_of(admin, INBOUND, partition)
            return {place: stood if place[1] == partition else 0 for place in places}

        reader = await log.reader("intake", [INBOUND], lookup)
        try:
            return [record.offset for record in await reader.fetch(10, 1.0)]
        finally:
            await reader.close()

    assert await read() == [4, 5]
    assert LOST not in caplog.text
    # Who stands where the log has let go of what was not read has lost it, and that is told.
    await admin.execute("UPDATE intake.consumer_offset SET next_offset = 1")
    assert await read() == [4, 5]
    assert [r.levelno for r in caplog.records if LOST in r.message] == [logging.CRITICAL]


@pytest.mark.kafka
async def test_a_replay_of_the_earliest_on_kafka(kafka, stand, admin) -> None:
    log, publisher = kafka
    topic = f"replay-{uuid4().hex[:8]}"
    await log.create_topics({topic: (1, 3600.0)})
    await publisher.send(records(topic, 10))
    await delete_before(log, topic, 7)
    await stand("intake", "intake", {(topic, 0): 10})
    for start, to in ((EARLIEST, 7), (3, 7), (8, 8)):
        await admin.execute("UPDATE intake.consumer_offset SET next_offset = 10")
        done = await read_again("intake", start, topic, "test", dry_run=False)
        assert [(m["from"], m["to"]) for m in done["moved"]] == [(10, to)]
        assert await offset_of(admin, topic) == to


@pytest.mark.kafka
async def test_a_replay_by_time_on_kafka(kafka, stand, admin) -> None:
    log, publisher = kafka
    usual, restricted = f"since-{uuid4().hex[:8]}", f"handoff.restricted.{uuid4().hex[:8]}"
    await log.create_topics({usual: (2, None), restricted: (1, None)})
    early = datetime.now(UTC)
    await publisher.send([*records(usual, 8), *records(restricted, 3)])
    await asyncio.sleep(0.05)
    between = datetime.now(UTC)
    await asyncio.sleep(0.05)
    await publisher.send([*records(usual, 4), *records(restricted, 2)])
    places = [(usual, 0), (usual, 1), (restricted, 0)]
    ends = await log.ends(places)
    await stand("intake", "intake", ends)

    async def events_since(moment: datetime) -> dict[str, int]:
        done = await read_again("intake", moment, None, "test", dry_run=True)
        topics = [m["topic"] for m in done["moved"]]
        return {t: sum(m["events"] for m in done["moved"] if m["topic"] == t) for t in topics}

    # A restricted record bears its minute alone, so all of that minute are read again.
    assert await events_since(early) == {usual: 12, restricted: 5}
    assert (await events_since(between))[usual] == 4
    assert (await events_since(between - timedelta(minutes=1))) == {usual: 12, restricted: 5}
    assert await events_since(datetime.now(UTC) + timedelta(minutes=2)) == {}


async def delete_before(log: KafkaLog, topic: str, offset: int) -> None:
    """As retention does, at once."""
    from aiokafka import TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    admin = AIOKafkaAdminClient(**log._settings.client())
    await admin.start()
    try:
        gone = {TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)}
        await admin.delete_records(gone)
    finally:
        await admin.close()
