"""What bounds B1: the rows that ours wrote, written again from prebuilt columns, without logic.

The rows come from a database that ours has just routed in. Each set of ours becomes one
transaction here, one bare ``unnest`` insert a table, on as many connections as ours has sets in
hand; one more connection moves the outbox to the log, as ours does; to Kafka it is sent by our
own publisher, in batches, and deleted.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.bus.ports import Outgoing
from handoff_kit.consumer import ABREAST
from handoff_kit.db import Connection, connect

ROLE = "handoff_referral_sets"
# Table: what orders a row into its set, and the columns that JSONB makes text of.
_BY_CASE = {"case": "id", "need": "case_id", "offer": "case_id", "timeline": "case_id"}


@dataclass
class Statement:
    """One insert of one set: SQL and its columns."""

    sql: str
    columns: list[list[Any]]


@dataclass
class Set:
    """What one transaction of ours wrote, and the records that the relay moved for it."""

    statements: list[Statement] = field(default_factory=list)
    log: Statement | None = None
    outbox: Statement | None = None
    records: list[Outgoing] = field(default_factory=list)


async def write(*, url: str, source: str, bootstrap: str | None = None) -> dict[str, Any]:
    """Write the rows of the database at *source* into the one at *url*; the seconds it took.

    *source* and *url* are of databases where referral is migrated; *source* is an administrative
    address. With *bootstrap* the records go to Kafka, else to the embedded log.
    """
    sets = await captured(source, to_kafka=bootstrap is not None)
    publisher = KafkaPublisher(KafkaSettings(bootstrap)) if bootstrap is not None else None
    waiting = iter(sets)
    ready: asyncio.Queue[Set | None] = asyncio.Queue()
    connections = [await connect(url, ROLE) for _ in range(ABREAST + 1)]
    mover, *writers = connections
    cpu, began = time.process_time(), time.perf_counter()

    async def lane(connection: Connection) -> None:
        for each in waiting:
            async with connection.transaction():
                for statement in each.statements:
                    await connection.execute(statement.sql, *statement.columns)
                assert each.outbox is not None
                await connection.execute(each.outbox.sql, *each.outbox.columns)
            ready.put_nowait(each)

    async def relay() -> None:
        while (each := await ready.get()) is not None:
            assert each.outbox is not None
            count = len(each.outbox.columns[0])
            if publisher is not None:
                assert not any(await publisher.send(each.records))
                await mover.execute(_FORGET, count)
            else:
                assert each.log is not None
                await mover.execute(each.log.sql, count, *each.log.columns)

    relaying = asyncio.create_task(relay())
    await asyncio.gather(*(lane(writer) for writer in writers))
    ready.put_nowait(None)
    await relaying
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if publisher is not None:
        await publisher.close()
    for connection in connections:
        await connection.close()
    return {"seconds": seconds, "python_cpu": cpu, "sets": len(sets)}


_FORGET = (
    "DELETE FROM referral.outbox WHERE id IN"
    " (SELECT id FROM referral.outbox ORDER BY id LIMIT $1::bigint)"
)


async def captured(source: str, *, to_kafka: bool) -> list[Set]:
    """The sets of ours, in order; each case's rows belong to the set that opened the case."""
    connection = await asyncpg.connect(source)
    try:
        cases = await connection.fetch('SELECT id, opened_at FROM referral."case"')
        times = sorted({row["opened_at"] for row in cases})
        number = {at: n for n, at in enumerate(times)}
        home = {row["id"]: number[row["opened_at"]] for row in cases}
        sets = [Set() for _ in times]
        for table, column in _BY_CASE.items():
            await _rows(connection, sets, table, lambda row, c=column: home[row[c]])
        await _rows(connection, sets, "match", lambda row: number.get(row["made_at"], 0))
        by_key = {str(id_): n for id_, n in home.items()}
        for table in ("gate", "outbox_head"):
            await _rows(connection, sets, table, lambda row: by_key.get(row["key"], 0))
        await _turns(connection, sets, home)
        await _records(connection, sets, by_key, to_kafka=to_kafka)
    finally:
        await connection.close()
    return sets


async def _rows(connection: Any, sets: list[Set], table: str, set_of: Any) -> None:
    columns = await connection.fetch(
        "SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute"
        " WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        f'referral."{table}"',
    )
    names = [c["name"] for c in columns]
    sql = _insert(f'referral."{table}"', [(c["name"], c["type"]) for c in columns])
    members: defaultdict[int, list[Any]] = defaultdict(list)
    for row in await connection.fetch(f'SELECT * FROM referral."{table}"'):
        members[set_of(row)].append(row)
    for n, rows in members.items():
        sets[n].statements.append(Statement(sql, [[row[name] for row in rows] for name in names]))


def _insert(table: str, columns: Sequence[tuple[str, str]], first: int = 1) -> str:
    arrays = ", ".join(
        f"${i}::{'text' if kind == 'jsonb' else kind}[]"
        for i, (_, kind) in enumerate(columns, first)
    )
    names = ", ".join(f'"{name}"' for name, _ in columns)
    values = ", ".join(
        f'v."{name}"' + ("::jsonb" if kind == "jsonb" else "") for name, kind in columns
    )
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM unnest({arrays}) AS v({names})"


async def _turns(connection: Any, sets: list[Set], home: dict[Any, int]) -> None:
    """Ours moves the turn of each target that a set asked."""
    asked: defaultdict[int, set[Any]] = defaultdict(set)
    rows = await connection.fetch(
        "SELECT agency_id, case_id, coalesce(service_id, organization_id) AS target"
        " FROM referral.offer"
    )
    for row in rows:
        asked[home[row["case_id"]]].add((row["agency_id"], row["target"]))
    for n, targets in asked.items():
        keys = sorted(targets)
        columns = [[k[0] for k in keys], [k[1] for k in keys], [n] * len(keys)]
        sets[n].statements.append(Statement(_TURN, columns))


_TURN = (
    "INSERT INTO referral.turn AS t (agency_id, id, asked)"
    " SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[])"
    " ON CONFLICT (agency_id, id) DO UPDATE SET asked = EXCLUDED.asked"
)
_OUTBOX = _insert(
    "referral.outbox",
    [
        ("topic", "text"),
        ("key", "text"),
        ("sequence", "bigint"),
        ("headers", "text"),
        ("value", "bytea"),
    ],
)
_LOG = f"WITH gone AS ({_FORGET}) " + _insert(
    "bus.log",
    [
        ("topic", "text"),
        ("partition", "int"),
        ("log_offset", "bigint"),
        ("key", "text"),
        ("headers", "text"),
        ("sequence", "bigint"),
        ("value", "bytea"),
    ],
    2,
)


async def _records(
    connection: Any, sets: list[Set], by_key: dict[str, int], *, to_kafka: bool
) -> None:
    """What referral said, as outbox rows and as records of the log."""
    rows = await connection.fetch(
        "SELECT topic, partition, log_offset, key, headers, sequence, value FROM bus.log"
        " WHERE headers::jsonb ->> 'ce_source' = '/handoff/referral' ORDER BY written_at"
    )
    members: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        members[by_key[row["key"]]].append((row, orjson.loads(row["headers"])))
    for n, said in members.items():
        events = [row for row, _ in said]
        named = ("topic", "key", "sequence", "headers", "value")
        sets[n].outbox = Statement(_OUTBOX, [[r[c] for r in events] for c in named])
        if to_kafka:
            sets[n].records = [
                Outgoing(row["topic"], row["key"], headers, row["value"]) for row, headers in said
            ]
        else:
            named = ("topic", "partition", "log_offset", "key", "headers", "sequence", "value")
            sets[n].log = Statement(_LOG, [[r[c] for r in events] for c in named])
