"""Real PostgreSQL, tokens and events for tests. ``plugin`` has the fixtures."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
from event_schemas.base import Event
from event_schemas.registry import BY_TOPIC_AND_TYPE

from handoff_kit.bus.ports import Record
from handoff_kit.consumer import Consumer, Group
from handoff_kit.db import Database
from handoff_kit.urls import with_database


@dataclass(frozen=True)
class TestDatabase:
    """A database of one test: ``url`` for the services' login role, ``admin_url`` for the owner."""

    __test__ = False

    name: str
    url: str
    admin_url: str


@dataclass(frozen=True)
class Said:
    """An event that a service put into its outbox."""

    topic: str
    type: str
    agency: str
    key: str
    sequence: int
    data: Any
    headers: Mapping[str, str]


async def said(db: Database) -> list[Said]:
    """Everything in the outbox of *db*, in order, parsed by its schema."""
    async with db.sets() as connection:
        rows = await connection.fetch(
            f"SELECT topic, key, sequence, headers, value FROM {db.service}.outbox ORDER BY id"
        )
    found = []
    for row in rows:
        headers = orjson.loads(row["headers"])
        model = BY_TOPIC_AND_TYPE[row["topic"], headers["ce_type"]]
        found.append(
            Said(
                row["topic"],
                headers["ce_type"],
                headers["ce_agency"],
                row["key"],
                row["sequence"],
                model.model_validate_json(row["value"]),
                headers,
            )
        )
    return found


@dataclass
class Feeder:
    """Feeds events to a group as if they came from the log, with true sequences and offsets."""

    db: Database
    group: Group
    agency: str = "test-city"
    _sequences: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _offset: "itertools.count[int]" = field(default_factory=itertools.count)
    consumer: Consumer = field(init=False)

    def __post_init__(self) -> None:
        self.consumer = Consumer(self.db, self.group)

    def record(
        self, event: Event, *, source: str, sequence: int | None = None, event_id: str | None = None
    ) -> Record:
        """*event* as a record of its topic, at the next offset."""
        topic, key = event.topic_name(), event.key_value()
        where = (source, topic, key)
        number = sequence or self._sequences.get(where, 0) + 1
        self._sequences[where] = number
        return Record(
            topic,
            0,
            next(self._offset),
            key,
            {
                "ce_specversion": "1.0",
                "ce_id": event_id or str(uuid4()),
                "ce_source": source,
                "ce_type": event.TYPE,
                "ce_time": datetime.now(UTC).isoformat(),
                "ce_agency": self.agency,
                "ce_sequence": str(number),
            },
            event.model_dump_json(exclude_none=True, by_alias=True).encode(),
        )

    async def feed(self, *events: Event, source: str = "/handoff/intake") -> None:
        """Process *events* as one set."""
        await self.feed_records([self.record(e, source=source) for e in events])

    async def feed_records(self, records: Sequence[Record]) -> None:
        places = sorted({(r.topic, r.partition) for r in records})
        missing = [p for p in places if p not in self.consumer.committed]
        if missing:
            await self.consumer.lookup([*self.consumer.committed, *missing])
        # Offsets are shared by all topics here: move each partition to its first record.
        firsts: dict[tuple[str, int], int] = {}
        for r in records:
            firsts.setdefault((r.topic, r.partition), r.offset)
        async with self.db.sets() as connection:
            for (topic, partition), offset in firsts.items():
                await connection.execute(
                    f"UPDATE {self.db.service}.consumer_offset SET next_offset = $4"
                    " WHERE group_name = $1 AND topic = $2 AND partition = $3",
                    self.group.name,
                    topic,
                    partition,
                    offset,
                )
        self.consumer.committed.update(firsts)
        await self.consumer.process(records)

    async def repair(self) -> int:
        """Try what waits or was asked to be retried or dropped."""
        return await self.consumer.repair(frozenset(self.consumer.committed))


async def clone(admin_url: str, template: str, name: str) -> str:
    """Make database *name* from *template*; returns its administrative address.

    Files are copied as they are: with PostgreSQL's default, each page through its log, a clone
    takes ten times as long, which is most of a short test.
    """
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'
        )
    finally:
        await connection.close()
    return with_database(admin_url, name)
