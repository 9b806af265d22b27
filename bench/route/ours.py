"""Handoff's side of B1: referral's own service, its consumer and its relay, as a worker runs
them, on the embedded log or on Kafka."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from event_schemas.registry import TOPICS
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import Log, Lookup, Place, Reader, Record
from handoff_kit.bus.postgres import PostgresLog, PostgresPublisher
from handoff_kit.consumer import Group
from handoff_kit.db import Connection, connect
from handoff_kit.groups import GroupRunner
from handoff_kit.outbox import Mover, Relay, Sender
from handoff_kit.service import Context, Stage
from handoff_kit.settings import CoreSettings, read

from bench.route.needs import directory, needs, outgoing
from bench.stand import until


class Timed:
    """A log that notes when the first records were asked for, and what was read."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.first: float | None = None

    async def reader(self, group: str, topics: Sequence[str], lookup: Lookup) -> Reader:
        return _TimedReader(self, await self._log.reader(group, topics, lookup))

    async def close(self) -> None:
        await self._log.close()


class _TimedReader:
    def __init__(self, owner: Timed, reader: Reader) -> None:
        self._owner = owner
        self._reader = reader

    async def fetch(self, limit: int, wait: float, linger: float = 0.0) -> list[Record]:
        asked = time.perf_counter()
        records = await self._reader.fetch(limit, wait, linger)
        if records and self._owner.first is None:
            self._owner.first = asked
        return records

    def assigned(self) -> frozenset[Place]:
        return self._reader.assigned()

    async def rewind(self) -> None:
        await self._reader.rewind()

    async def told(self, committed: Mapping[Place, int]) -> None:
        await self._reader.told(committed)

    async def lag(self) -> dict[Place, int]:
        return await self._reader.lag()

    async def close(self) -> None:
        await self._reader.close()


async def prepare(*, url: str, admin_url: str, number: int) -> dict[str, Any]:
    """Fill a migrated database: the directory in referral's tables, *number* needs on the log."""
    settings = read(CoreSettings).model_copy(update={"database_url": url})
    stage, context, groups = await _built(settings)
    try:
        publisher = PostgresPublisher(url, context.db.sets_role, stage.wakes)
        said = outgoing(directory(), "partner")
        await publisher.send(said)
        stop = asyncio.Event()
        log = PostgresLog(url, stage.wakes)
        runner = GroupRunner(context.db, groups["referral-directory"], log, stage.wakes)
        running = asyncio.create_task(runner.run(stop))
        await until(lambda: runner.consumer.applied >= len(said))
        stop.set()
        await running
        given = outgoing(needs(number), "intake")
        for at in range(0, number, 5000):
            await publisher.send(given[at : at + 5000])
    finally:
        await stage.close()
    admin = await connect(admin_url)
    await admin.execute("VACUUM ANALYZE")
    await admin.close()
    return {"services": len(said)}


async def _built(settings: CoreSettings) -> tuple[Stage, Context, dict[str, Group]]:
    from referral_svc.app import SERVICE

    stage = Stage(settings)
    await stage.build([SERVICE])
    context, built = stage.built[0]
    return stage, context, {group.name: group for group in built.groups}


async def publish(*, bootstrap: str, url: str, number: int) -> dict[str, Any]:
    """Put *number* needs on Kafka, and let the group in this database stand just before them."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    settings = read(CoreSettings).model_copy(update={"database_url": url})
    stage, context, groups = await _built(settings)
    kafka = KafkaSettings(bootstrap)
    kept = {t.name: (t.partitions, None) for t in TOPICS.values()}
    await KafkaLog(kafka).create_topics(kept)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    group = groups["referral"]
    places = [TopicPartition(t, p) for t in group.topics for p in range(TOPICS[t].partitions)]
    ends = await consumer.end_offsets(places)
    await consumer.stop()
    async with context.db.sets() as connection:
        await connection.execute(
            "INSERT INTO referral.consumer_offset (group_name, topic, partition, next_offset)"
            " SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])",
            group.name,
            [place.topic for place in places],
            [place.partition for place in places],
            [ends[place] for place in places],
        )
    publisher = KafkaPublisher(kafka)
    given = outgoing(needs(number), "intake")
    for at in range(0, number, 2000):
        results = await publisher.send(given[at : at + 2000])
        assert not any(results)
    await publisher.close()
    await stage.close()
    return {}


async def emptied(connection: Connection) -> None:
    """Until nothing is left in referral's outbox."""
    question = "SELECT EXISTS (SELECT FROM referral.outbox)"
    while await connection.fetchval(question):  # noqa: ASYNC110 - the database is asked
        await asyncio.sleep(0.002)


async def route(*, url: str, number: int, bootstrap: str | None = None) -> dict[str, Any]:
    """Route *number* waiting needs; seconds from the first fetch until the last is published."""
    settings = read(CoreSettings).model_copy(update={"database_url": url})
    if bootstrap:
        settings = settings.model_copy(
            update={"bus": "kafka", "kafka_bootstrap_servers": bootstrap}
        )
    stage, context, groups = await _built(settings)
    await stage.wakes.start(listen=True)
    group, stop = groups["referral"], asyncio.Event()
    publisher = KafkaPublisher(settings.kafka()) if bootstrap else None
    step: Any = Sender("referral", publisher) if publisher else Mover("referral", stage.wakes)
    relay = Relay(url, "referral", step, stage.wakes)
    kafka = KafkaLog(settings.kafka()) if bootstrap else None
    log = Timed(kafka or PostgresLog(url, stage.wakes))
    runner = GroupRunner(context.db, group, log, stage.wakes)
    work = [asyncio.create_task(relay.run(stop))]
    await until(lambda: relay.active)
    cpu = time.process_time()
    work.append(asyncio.create_task(runner.run(stop)))
    watcher = await connect(url, context.db.sets_role)
    await until(lambda: runner.consumer.applied >= number)
    routed = time.perf_counter()
    await emptied(watcher)
    ended = time.perf_counter()
    cpu = time.process_time() - cpu
    await watcher.close()
    stop.set()
    await asyncio.gather(*work)
    if publisher is not None:
        await publisher.close()
    await stage.close()
    assert log.first is not None
    return {
        "seconds": ended - log.first,
        "routed_after": routed - log.first,
        "python_cpu": cpu,
        "published": relay.moved,
        "parked": runner.consumer.parked,
    }
