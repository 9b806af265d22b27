"""The log of a running system, read behind the services' backs: the table, or Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from event_schemas.registry import TOPICS
from handoff_kit.bus.kafka_settings import KafkaSettings

from support.system import System

Place = tuple[str, int]


class Said(NamedTuple):
    """A record of the log. Departments' own records have no sequence."""

    source: str
    topic: str
    key: str
    sequence: int | None
    event: str


class Behind(NamedTuple):
    """A group that has not read all of a partition, and by how many records."""

    group: str
    topic: str
    partition: int
    records: int


class Log(Protocol):
    async def behind(self, service: str) -> list[Behind]:
        """The groups of *service* that have not read all there is."""

    async def said(self) -> list[Said]:
        """Everything, each partition in its order."""


class EmbeddedLog:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def behind(self, service: str) -> list[Behind]:
        rows = await self._connection.fetch(
            "SELECT o.group_name, o.topic, o.partition, h.next_offset - o.next_offset"
            f" FROM {service}.consumer_offset o"
            " JOIN bus.head h ON h.topic = o.topic AND h.partition = o.partition"
            " WHERE o.next_offset < h.next_offset"
        )
        return [Behind(*row) for row in rows]

    async def said(self) -> list[Said]:
        rows = await self._connection.fetch(
            "SELECT topic, key, sequence, headers FROM bus.log"
            " ORDER BY topic, partition, log_offset"
        )
        return [
            _said(r["topic"], r["key"], orjson.loads(r["headers"]), r["sequence"]) for r in rows
        ]


class KafkaLog:
    def __init__(self, connection: asyncpg.Connection, consumer: AIOKafkaConsumer) -> None:
        self._connection, self._consumer = connection, consumer

    async def behind(self, service: str) -> list[Behind]:
        rows = await self._connection.fetch(
            f"SELECT group_name, topic, partition, next_offset FROM {service}.consumer_offset"
        )
        # Asked after the offsets, so that what comes in between shows.
        ends = await self._ends()
        found = [
            Behind(group, topic, number, ends.get(TopicPartition(topic, number), 0) - offset)
            for group, topic, number, offset in rows
        ]
        return [one for one in found if one.records > 0]

    async def said(self) -> list[Said]:
        ends = await self._ends()
        self._consumer.assign(list(ends))
        await self._consumer.seek_to_beginning(*ends)
        found: dict[TopicPartition, list[Said]] = {p: [] for p in ends}
        while [p for p, end in ends.items() if await self._consumer.position(p) < end]:
            for partition, records in (await self._consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    sequence = headers.get("ce_sequence")
                    found[partition].append(
                        _said(
                            record.topic,
                            record.key.decode(),
                            headers,
                            int(sequence) if sequence else None,
                        )
                    )
        return [record for records in found.values() for record in records]

    async def _ends(self) -> Mapping[TopicPartition, int]:
        """Of the partitions that hold anything."""
        partitions = [
            TopicPartition(t.name, p) for t in TOPICS.values() for p in range(t.partitions)
        ]
        ends = await self._consumer.end_offsets(partitions)
        return {partition: end for partition, end in ends.items() if end}


def _said(topic: str, key: str, headers: Mapping[str, str], sequence: int | None) -> Said:
    return Said(headers.get("ce_source", ""), topic, key, sequence, headers.get("ce_id", ""))


@asynccontextmanager
async def log_of(system: System, connection: asyncpg.Connection) -> AsyncIterator[Log]:
    """Raises: KafkaError where the brokers do not answer."""
    if system.log == "embedded":
        yield EmbeddedLog(connection)
        return
    servers = system.environment["HANDOFF_KAFKA_BOOTSTRAP_SERVERS"]
    consumer = AIOKafkaConsumer(**KafkaSettings(servers).client(), auto_offset_reset="earliest")
    try:
        await consumer.start()
        yield KafkaLog(connection, consumer)
    finally:
        await consumer.stop()


async def told_to_kafka(system: System, group: str, places: Sequence[Place]) -> Mapping[Place, int]:
    """The offsets that *group* committed to Kafka; 0 where it committed none."""
    servers = system.environment["HANDOFF_KAFKA_BOOTSTRAP_SERVERS"]
    consumer = AIOKafkaConsumer(
        **KafkaSettings(servers).client(), group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        found = await asyncio.gather(*(consumer.committed(TopicPartition(*p)) for p in places))
        return {place: offset or 0 for place, offset in zip(places, found, strict=True)}
    finally:
        await consumer.stop()
