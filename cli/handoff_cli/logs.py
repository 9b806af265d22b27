"""Where the log begins and ends, asked for all places at once: of the database or the brokers."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from handoff_kit.db import Connection

from handoff_cli.console import CommandFailed

if TYPE_CHECKING:
    from handoff_kit.bus.kafka import KafkaLog

Place = tuple[str, int]  # topic, partition

_PLACES = "FROM unnest($1::text[], $2::int[]) AS w(topic, partition)"
_HEAD = "LEFT JOIN bus.head h ON h.topic = w.topic AND h.partition = w.partition"
_ENDS = f"SELECT w.topic, w.partition, coalesce(h.next_offset, 0) AS place {_PLACES} {_HEAD}"
_STARTS = f"""
SELECT w.topic, w.partition, coalesce((SELECT min(l.log_offset) FROM bus.log l
    WHERE l.topic = w.topic AND l.partition = w.partition), h.next_offset, 0) AS place
{_PLACES} {_HEAD}
"""
_SINCE = f"""
SELECT w.topic, w.partition, coalesce((SELECT min(l.log_offset) FROM bus.log l
    WHERE l.topic = w.topic AND l.partition = w.partition
    AND l.written_at >= CASE WHEN starts_with(w.topic, 'handoff.restricted.')
        THEN date_trunc('minute', $3::timestamptz) ELSE $3 END), h.next_offset, 0) AS place
{_PLACES} {_HEAD}
"""


class Ends(Protocol):
    """What either log can say; of every place that was asked for."""

    async def starts(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """The earliest record that there still is; where there is none, the end."""
        ...

    async def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """The offset of the next record to come."""
        ...

    async def since(self, places: Sequence[Place], time: datetime) -> Mapping[Place, int]:
        """The first record written at *time* or later; where there is none, the end.

        Of restricted topics that knows the minute alone, so what was said in that minute counts.
        """
        ...


class EmbeddedLog:
    """The log in the database, read by a connection that may see it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def starts(self, places: Sequence[Place]) -> Mapping[Place, int]:
        return await self._ask(_STARTS, places)

    async def ends(self, places: Sequence[Place]) -> Mapping[Place, int]:
        return await self._ask(_ENDS, places)

    async def since(self, places: Sequence[Place], time: datetime) -> Mapping[Place, int]:
        return await self._ask(_SINCE, places, time)

    async def _ask(
        self, question: str, places: Sequence[Place], *more: object
    ) -> Mapping[Place, int]:
        topics, partitions = [topic for topic, _ in places], [partition for _, partition in places]
        rows = await self._connection.fetch(question, topics, partitions, *more)
        return {(row["topic"], row["partition"]): row["place"] for row in rows}


async def is_embedded(connection: Connection) -> bool:
    """Whether the log that runs here is the database's."""
    if os.environ.get("HANDOFF_BUS") == "kafka":
        return False
    found: bool = await connection.fetchval("SELECT to_regclass('bus.head') IS NOT NULL")
    return found


def brokers() -> "KafkaLog":
    """The brokers that the environment names. Raises: CommandFailed, SettingsRefused."""
    if not os.environ.get("HANDOFF_KAFKA_BOOTSTRAP_SERVERS"):
        raise CommandFailed(
            "the log is not this database's: name the brokers, HANDOFF_KAFKA_BOOTSTRAP_SERVERS"
        )
    from handoff_kit.bus.kafka import KafkaLog
    from handoff_kit.settings import CoreSettings, read

    return KafkaLog(read(CoreSettings).kafka())


def behind(
    offsets: Iterable[tuple[str, str, int, int]], ends: Mapping[Place, int]
) -> dict[str, dict[str, int]]:
    """``{group: {topic: records}}`` that groups have not read. Pure.

    *offsets*: (group, topic, partition, the offset that is read next).
    """
    found: dict[str, dict[str, int]] = {}
    for group, topic, partition, offset in offsets:
        topics = found.setdefault(group, {})
        topics[topic] = topics.get(topic, 0) + max(0, ends.get((topic, partition), 0) - offset)
    return found
