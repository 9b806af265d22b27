"""Parked events: tried again, in order within their key, by the member that owns the partition."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from handoff_kit.bus.ports import Record
from handoff_kit.consumer.model import Fenced, Group, Place
from handoff_kit.consumer.planning import decode, fate_of
from handoff_kit.db import Connection, Database
from handoff_kit.errors import HandoffError, Transient, Waiting
from handoff_kit.tx import Tx, flush

log = logging.getLogger(__name__)
# A waiting event is tried again after 0.1 s, then less and less often, at last every minute.
_FIRST, _LAST = 0.1, 60.0


def next_wait(attempts: int) -> timedelta:
    """How long an event that waits for another rests after its *attempts*-th try."""
    return timedelta(seconds=min(_FIRST * 2 ** min(attempts, 12), _LAST))


async def repair(
    db: Database,
    group: Group,
    shard: int,
    committed: Mapping[Place, int],
    owned: frozenset[Place],
) -> tuple[int, bool]:
    """Handle keys with something to do; returns (events settled, whether some still wait)."""
    schema = db.service
    async with db.sets() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT topic, partition, source, key, sequence IS NULL AS loose,"
            "  CASE WHEN sequence IS NULL THEN id END AS loose_id"
            f" FROM {schema}.parked WHERE group_name = $1 AND (state IN ('retry', 'drop')"
            "  OR (state = 'waiting' AND next_try_at <= clock_timestamp())) LIMIT 200",
            group.name,
        )
        waiting = await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {schema}.parked WHERE group_name = $1"
            " AND state = 'waiting')",
            group.name,
        )
    done = 0
    for row in rows:
        place = (row["topic"], row["partition"])
        if place in owned:
            done += await _repair_key(db, group, shard, committed[place], row)
    return done, bool(waiting)


async def _repair_key(db: Database, group: Group, shard: int, offset: int, where: Any) -> int:
    """Take the parked events of one key from the first on, until one does not go through."""
    done = 0
    while True:
        try:
            async with db.sets() as connection:
                step = await _step(connection, db.service, group, shard, offset, where)
        except Transient:
            raise
        except Exception as error:
            if not isinstance(error, HandoffError):
                log.exception("a parked event failed again")
            async with db.sets() as connection:
                await _note_failure(connection, db.service, group, where, error)
            return done
        if not step:
            return done
        done += 1


def _first(schema: str, where: Any) -> str:
    match = "id = $2" if where["loose"] else "topic = $2 AND key = $3 AND source = $4"
    return (
        f"SELECT * FROM {schema}.parked WHERE group_name = $1 AND {match}"
        " AND state NOT IN ('done', 'dropped') ORDER BY sequence LIMIT 1 FOR UPDATE"
    )


def _arguments(group: Group, where: Any) -> list[Any]:
    if where["loose"]:
        return [group.name, where["loose_id"]]
    return [group.name, where["topic"], where["key"], where["source"]]


async def _step(
    connection: Connection, schema: str, group: Group, shard: int, offset: int, where: Any
) -> bool:
    """Settle the first parked event of the key; False when there is nothing to do now."""
    stands = await connection.fetchval(
        f"SELECT next_offset FROM {schema}.consumer_offset WHERE group_name = $1 AND topic = $2"
        " AND partition = $3 FOR UPDATE",
        group.name,
        where["topic"],
        where["partition"],
    )
    if stands != offset:
        raise Fenced(f"group {group.name} stands elsewhere than this member believes")
    row = await connection.fetchrow(_first(schema, where), *_arguments(group, where))
    if row is None:
        if not where["loose"]:
            await connection.execute(
                f"UPDATE {schema}.gate SET blocked = false WHERE group_name = $1 AND topic = $2"
                " AND key = $3 AND source = $4",
                *_arguments(group, where),
            )
        return False
    if row["state"] == "failed":
        return False
    now = await connection.fetchval("SELECT clock_timestamp()")
    if row["sequence"] is not None:
        applied = await connection.fetchval(
            f"SELECT sequence FROM {schema}.gate WHERE group_name = $1 AND topic = $2"
            " AND key = $3 AND source = $4",
            *_arguments(group, where),
        )
        if row["sequence"] > (applied or 0) + 1:
            raise Waiting("an earlier event of this key has not come")
    tx = Tx(connection, now, schema, shard)
    if row["state"] != "drop":
        entry = decode(_record(row), group.events)
        if entry.fault is not None:
            raise HandoffError(entry.detail, code=entry.fault)
        if entry.received is not None:
            await group.apply(tx, [entry.received])
    await connection.execute(
        f"UPDATE {schema}.parked SET state = CASE state WHEN 'drop' THEN 'dropped' ELSE 'done' END,"
        " resolved_at = $2, attempts = attempts + 1 WHERE id = $1",
        row["id"],
        now,
    )
    if row["sequence"] is not None:
        await connection.execute(
            f"UPDATE {schema}.gate SET sequence = $5 WHERE group_name = $1 AND topic = $2"
            " AND key = $3 AND source = $4",
            *_arguments(group, where),
            row["sequence"],
        )
    await flush(tx)
    return True


async def _note_failure(
    connection: Connection, schema: str, group: Group, where: Any, error: Exception
) -> None:
    row = await connection.fetchrow(_first(schema, where), *_arguments(group, where))
    if row is None:
        return
    state, reason, detail = fate_of(error)
    await connection.execute(
        f"UPDATE {schema}.parked SET state = $2, reason = $3, detail = $4,"
        " attempts = attempts + 1, next_try_at = clock_timestamp() + $5 WHERE id = $1",
        row["id"],
        state,
        reason,
        detail,
        next_wait(row["attempts"]),
    )


def _record(row: Any) -> Record:
    return Record(
        row["topic"],
        row["partition"],
        row["log_offset"],
        row["key"],
        orjson.loads(row["headers"]),
        row["value"],
    )
