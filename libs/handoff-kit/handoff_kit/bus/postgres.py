"""The embedded log: tables of PostgreSQL with the guarantees of a partitioned log."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from handoff_kit.bus.ahead import Ahead
from handoff_kit.bus.ports import (
    MAX_RECORD_BYTES,
    Lookup,
    Outgoing,
    Place,
    Record,
    Rejected,
    tell_of_lost,
)
from handoff_kit.bus.schema import BUS_GRANTS, BUS_READER, BUS_TABLES, READER, WRITTEN_AT
from handoff_kit.db import AWAY, DATABASE_AWAY, Connection, Pool, connect, role_made
from handoff_kit.errors import Transient
from handoff_kit.wakes import Wakes

POLL_SECONDS = 0.25
# Of all readers of a process together; when nothing comes they need one.
_CONNECTIONS = 4
# A member that has not been seen for this long has lost its partitions.
MEMBER_SECONDS = 5.0
_HEARTBEAT_SECONDS = 1.0
# Records of a partition that one round trip reads ahead at least, when it is behind.
_LEAST = 20
# The same for the first look, which does not know yet which of them are behind.
_FIRST = 50
_FORGOTTEN_AT_ONCE = 1000
# Places of which records are gone that a group has not read, and where the log goes on.
_LOST = """
SELECT w.t AS topic, w.p AS partition, coalesce(l.first, h.next_offset) AS first
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w(t, p, o)
JOIN bus.topic k ON k.name = w.t AND k.kept_seconds IS NOT NULL
JOIN bus.head h ON h.topic = w.t AND h.partition = w.p AND h.next_offset > w.o,
LATERAL (SELECT min(log_offset) AS first FROM bus.log
    WHERE topic = w.t AND partition = w.p) l
WHERE coalesce(l.first, h.next_offset) > w.o
"""
_HEADS = "SELECT topic, partition, next_offset FROM bus.head WHERE topic = ANY($1::text[])"
_AHEAD = """
WITH behind AS MATERIALIZED (
    SELECT w.t, w.p, w.o, h.next_offset
    FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w(t, p, o)
    JOIN bus.head h ON h.topic = w.t AND h.partition = w.p AND h.next_offset > w.o
)
SELECT b.next_offset, l.topic, l.partition, l.log_offset, l.key, l.headers, l.sequence, l.value
FROM behind b, LATERAL (SELECT * FROM bus.log l WHERE l.topic = b.t AND l.partition = b.p
    AND l.log_offset >= b.o ORDER BY l.log_offset LIMIT $4) l
"""


async def create_schema(
    connection: Connection, roles: Sequence[str], app_role: str | None = None
) -> None:
    """Create the log's tables and let *roles* use them; harmless when they are there.

    *app_role*, who logs in, may read as `READER` from then on.
    """
    await connection.execute(role_made(READER))
    for statement in (BUS_TABLES + BUS_READER + BUS_GRANTS.format(roles=", ".join(roles))).split(
        ";\n"
    ):
        if statement.strip():
            await connection.execute(statement)
    if app_role:
        await connection.execute(f'GRANT {READER} TO "{app_role}"')


async def create_topics(
    connection: Connection, topics: Mapping[str, tuple[int, float | None]]
) -> None:
    """Make what is missing. The number of partitions of a topic never changes."""
    await connection.execute(
        "INSERT INTO bus.topic (name, partitions, kept_seconds)"
        " SELECT * FROM unnest($1::text[], $2::int[], $3::float[]) ON CONFLICT DO NOTHING",
        list(topics),
        [partitions for partitions, _ in topics.values()],
        [kept for _, kept in topics.values()],
    )


async def forget_old_records(connection: Connection) -> int:
    """Let go of records that their topic keeps no longer, oldest first; how many went.

    At most 1,000 of each partition, so that nobody waits long: call again until none goes.
    """
    gone: int = await connection.fetchval("SELECT bus.forget($1)", _FORGOTTEN_AT_ONCE)
    return gone


class PostgresLog:
    """Opens readers on the embedded log. They share connections, in a role for reading it alone."""

    def __init__(self, dsn: str, wakes: Wakes | None = None) -> None:
        self._pool = Pool(dsn, READER, name="handoff-read", max_size=_CONNECTIONS)
        self._wakes = wakes or Wakes()
        # Names of closed readers. The next one takes one over, with what the database still holds
        # for it: else a reader that lost its connection would keep its partitions for five seconds.
        self._names: dict[str, list[str]] = {}

    async def reader(self, group: str, topics: Sequence[str], lookup: Lookup) -> "PostgresReader":
        names = self._names.setdefault(group, [])
        reader = PostgresReader(self._pool, group, topics, lookup, self._wakes, names)
        try:
            await reader.join()
        except BaseException:
            await reader.close()
            raise
        return reader

    async def close(self) -> None:
        await self._pool.close()


class PostgresReader:
    """One member of a group. Which partitions are its own follows from who else was seen lately.

    Two members may believe for a moment that they own the same partition; the fence on the stored
    offset lets one of them commit.
    """

    def __init__(
        self,
        pool: Pool,
        group: str,
        topics: Sequence[str],
        lookup: Lookup,
        wakes: Wakes,
        names: list[str],
    ) -> None:
        self._pool = pool
        self._group = group
        self._topics = sorted(topics)
        self._lookup = lookup
        self._wakes = wakes
        self._names = names
        self._member = names.pop() if names else f"{time.time_ns():x}-{id(self):x}"
        self._woken = wakes.subscribe([f"topic:{t}" for t in topics])
        self._positions: dict[Place, int] = {}
        self._ahead = Ahead()
        self._beat = 0.0
        self._look_at = 0.0  # When all partitions are looked at, woken or not.

    async def _fetch(self, statement: str, *values: object) -> list[Any]:
        async with self._pool.acquire() as connection:
            rows: list[Any] = await connection.fetch(statement, *values)
        return rows

    async def join(self) -> None:
        await self._heartbeat()

    async def _heartbeat(self) -> None:
        rows = await self._fetch(
            "WITH me AS (INSERT INTO bus.member VALUES ($1, $2, clock_timestamp())"
            "  ON CONFLICT (group_name, member) DO UPDATE SET seen_at = clock_timestamp()),"
            " gone AS (DELETE FROM bus.member WHERE group_name = $1 AND member <> $2"
            "  AND seen_at < clock_timestamp() - make_interval(secs => $3))"
            " SELECT member FROM bus.member WHERE group_name = $1"
            "  AND seen_at >= clock_timestamp() - make_interval(secs => $3)",
            self._group,
            self._member,
            MEMBER_SECONDS,
        )
        self._beat = time.monotonic()
        members = sorted({row["member"] for row in rows} | {self._member})
        mine, count = members.index(self._member), len(members)
        owned = {
            (row["name"], p)
            for row in await self._fetch(
                "SELECT name, partitions FROM bus.topic WHERE name = ANY($1::text[])", self._topics
            )
            for p in range(row["partitions"])
            if p % count == mine
        }
        if owned != set(self._positions):
            self._ahead.clear()
            self._look_at = 0.0
            self._positions = await self._stand(owned)

    async def _stand(self, places: Iterable[Place]) -> dict[Place, int]:
        """Where the database stands on *places*, loudly if the log has lost that place."""
        positions = dict.fromkeys(places, 0) | dict(await self._lookup(sorted(places)))
        lost = await self._fetch(
            _LOST,
            [topic for topic, _ in positions],
            [partition for _, partition in positions],
            list(positions.values()),
        )
        for topic, partition, first in lost:
            tell_of_lost(topic, partition, first, self._group, positions[topic, partition])
            positions[topic, partition] = first
        return positions

    async def fetch(self, limit: int, wait: float, linger: float = 0.0) -> list[Record]:
        try:
            until = time.monotonic() + wait
            while True:
                now = time.monotonic()
                if now - self._beat > _HEARTBEAT_SECONDS:
                    await self._heartbeat()
                if linger and self._woken.is_set() and not len(self._ahead):
                    # One look for all that comes meanwhile, and none beside those who hurry.
                    await asyncio.sleep(linger)
                woken = self._woken.take()
                if len(self._ahead) or now >= self._look_at:
                    self._look_at = now + POLL_SECONDS
                    records = await self._read(limit, await self._all_ends())
                else:
                    records = await self._read(limit, await self._ends_of(woken))
                left = until - time.monotonic()
                if records or left <= 0:
                    return records
                try:
                    await asyncio.wait_for(self._woken.wait(), min(left, POLL_SECONDS))
                except TimeoutError:
                    continue
        except DATABASE_AWAY as error:
            raise Transient("the embedded log cannot be read now") from error

    async def _all_ends(self) -> dict[Place, int]:
        """Where each partition ends."""
        heads = await self._fetch(_HEADS, self._topics)
        return {(row["topic"], row["partition"]): row["next_offset"] for row in heads}

    async def _ends_of(self, woken: set[str]) -> dict[Place, int]:
        """The same of topics that have news, of which the first records are read at once."""
        if not woken:
            return {}
        places = [place for place in self._positions if f"topic:{place[0]}" in woken]
        return await self._read_ahead(places, _FIRST) if places else {}

    async def _read(self, limit: int, ends: dict[Place, int]) -> list[Record]:
        records: list[Record] = []
        while len(records) < limit:
            behind = self._behind(ends)
            share = max(2 * limit // len(behind), _LEAST) if behind else 0
            short = [p for p in behind if self._ahead.held(p) < share // 4]
            if short:
                found = await self._read_ahead(short, share)
                for place in set(short) - set(found):
                    del ends[place]
                behind = self._behind(ends)
            taken = self._ahead.take(limit - len(records), behind)
            records += taken
            if not taken:
                break
        if len(records) == limit:
            self._look_at = 0.0  # There may be more.
        return records

    def _behind(self, ends: Mapping[Place, int]) -> list[Place]:
        return [p for p, at in self._positions.items() if ends.get(p, 0) > at]

    async def _read_ahead(self, places: Sequence[Place], share: int) -> dict[Place, int]:
        """Read up to *share* records of each; where the log ends, for those that had any."""
        rows = await self._fetch(
            _AHEAD,
            [topic for topic, _ in places],
            [partition for _, partition in places],
            [self._positions[place] for place in places],
            share,
        )
        ends: dict[Place, int] = {}
        for end, topic, partition, offset, key, text, sequence, value in rows:
            headers = orjson.loads(text)
            if sequence is not None:
                headers["ce_sequence"] = str(sequence)
            self._ahead.add(Record(topic, partition, offset, key, headers, value))
            self._positions[topic, partition] = offset + 1
            ends[topic, partition] = end
        return ends

    def assigned(self) -> frozenset[Place]:
        return frozenset(self._positions)

    async def rewind(self) -> None:
        try:
            self._ahead.clear()
            self._look_at = 0.0
            self._positions = await self._stand(self._positions)
        except DATABASE_AWAY as error:
            raise Transient("the embedded log cannot be read now") from error

    async def told(self, committed: Mapping[Place, int]) -> None:
        """The database is the log: nothing more to tell."""

    async def lag(self) -> dict[Place, int]:
        ends = await self._all_ends()
        return {
            place: end - self._positions[place] + self._ahead.held(place)
            for place, end in ends.items()
            if place in self._positions
        }

    async def close(self) -> None:
        self._wakes.unsubscribe(self._woken)
        with contextlib.suppress(*AWAY):  # It would be missed soon enough anyway.
            async with asyncio.timeout(2):
                await self._fetch(
                    "DELETE FROM bus.member WHERE group_name = $1 AND member = $2",
                    self._group,
                    self._member,
                )
        self._names.append(self._member)


class PostgresPublisher:
    """Puts records on the embedded log directly; the relay uses ``outbox.Mover`` instead."""

    def __init__(self, dsn: str, role: str, wakes: Wakes | None = None) -> None:
        self._dsn = dsn
        self._role = role
        self._wakes = wakes or Wakes()

    async def send(self, records: Sequence[Outgoing]) -> list[BaseException | None]:
        good = [r for r in records if len(r.value) <= MAX_RECORD_BYTES]
        connection = await connect(self._dsn, self._role)
        try:
            await connection.execute(_APPEND, *_append_columns(good))
        finally:
            await connection.close()
        for topic in {r.topic for r in good}:
            self._wakes.wake(f"topic:{topic}")
        return [
            None
            if len(r.value) <= MAX_RECORD_BYTES
            else Rejected(f"a record of {len(r.value)} bytes is larger than {MAX_RECORD_BYTES}")
            for r in records
        ]

    async def close(self) -> None:
        """Nothing stays open."""


def _append_columns(records: Sequence[Outgoing]) -> list[list[object]]:
    headers = [dict(r.headers) for r in records]
    sequences = [int(h.pop("ce_sequence")) if "ce_sequence" in h else None for h in headers]
    return [
        [r.topic for r in records],
        [r.key for r in records],
        [orjson.dumps(h).decode() for h in headers],
        list(sequences),
        [r.value for r in records],
    ]


_APPEND = """
WITH given AS MATERIALIZED (
    SELECT g.*, (('x' || substr(md5(g.key), 1, 7))::bit(28)::int % coalesce(p.partitions, 1))
        AS partition
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[])
        WITH ORDINALITY AS g(topic, key, headers, sequence, value, n)
    LEFT JOIN bus.topic p ON p.name = g.topic
), counted AS MATERIALIZED (
    SELECT topic, partition, count(*) AS n FROM given GROUP BY topic, partition
), head AS MATERIALIZED (
    INSERT INTO bus.head AS h (topic, partition, next_offset)
    SELECT topic, partition, n FROM counted ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = h.next_offset + EXCLUDED.next_offset
    RETURNING topic, partition, next_offset
)
INSERT INTO bus.log (topic, partition, log_offset, key, headers, sequence, value,
        written_at)
SELECT g.topic, g.partition,
       h.next_offset - c.n - 1
           + row_number() OVER (PARTITION BY g.topic, g.partition ORDER BY g.n),
       g.key, g.headers, g.sequence, g.value, {written_at}
FROM given g JOIN counted c USING (topic, partition) JOIN head h USING (topic, partition)
""".format(written_at=WRITTEN_AT.format(topic="g.topic"))
