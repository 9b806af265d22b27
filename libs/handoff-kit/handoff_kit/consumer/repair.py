"""Parked events: tried again as sets, in order within their key, by who owns the partition."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from operator import attrgetter
from typing import Any

import orjson

from handoff_kit.bus.ports import Place, Record
from handoff_kit.consumer.model import Fenced, Group, Identity, Received
from handoff_kit.consumer.planning import decode, fate_of, is_event_fault
from handoff_kit.consumer.waiting import setting_aside
from handoff_kit.db import Connection, Database
from handoff_kit.errors import HandoffError, Waiting
from handoff_kit.tx import Tx

log = logging.getLogger(__name__)
# A waiting event is tried again after 0.1 s, then less and less often, at last every minute.
_FIRST, _LAST = 0.1, 60.0
# Keys in a set, and events of one key in it.
_KEYS, _RUN = 200, 50
_said_at = attrgetter("at")


def next_wait(attempts: int) -> timedelta:
    """How long an event that waits for another rests after its *attempts*-th try."""
    return timedelta(seconds=min(_FIRST * 2 ** min(attempts, 12), _LAST))


@dataclass(frozen=True, slots=True)
class Lane:
    """One key whose parked events go in order; or one event without a sequence, by its ``id``."""

    topic: str
    partition: int
    source: str
    key: str
    id: Any = None


@dataclass(slots=True)
class _Step:
    """What becomes of the parked rows of some lanes in one transaction."""

    settle: list[Any] = field(default_factory=list)
    apply: dict[Lane, list[Received]] = field(default_factory=dict)
    hold: list[tuple[Any, str, str, str]] = field(default_factory=list)  # state, reason, detail
    stands: dict[Lane, int] = field(default_factory=dict)  # Last sequence that is settled.
    free: list[Lane] = field(default_factory=list)
    more: list[Lane] = field(default_factory=list)


async def repair(
    db: Database,
    group: Group,
    committed: Mapping[Place, int],
    owned: frozenset[Place],
) -> tuple[int, bool]:
    """Handle keys with something to do; returns (events settled, whether some still wait)."""
    done = 0
    repairer = _Repairer(db, group, committed)
    while True:
        lanes, waiting = await repairer.due(owned)
        settled = await repairer.take(lanes)
        done += settled
        if len(lanes) < _KEYS or not settled:
            return done, waiting


class _Repairer:
    def __init__(self, db: Database, group: Group, committed: Mapping[Place, int]) -> None:
        self._db, self._group = db, group
        self._committed = committed
        self._schema = db.service

    async def due(self, owned: frozenset[Place]) -> tuple[list[Lane], bool]:
        """Lanes with something to do now, and whether anything waits at all."""
        async with self._db.sets() as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT p.topic, p.partition, p.source, p.key,"
                "  CASE WHEN p.sequence IS NULL THEN p.id END AS id"
                f" FROM {self._schema}.parked p"
                " JOIN unnest($2::text[], $3::int[]) AS o(topic, partition)"
                "  ON p.topic = o.topic AND p.partition = o.partition"
                " WHERE p.group_name = $1 AND (p.state IN ('retry', 'drop')"
                "  OR (p.state = 'waiting' AND p.next_try_at <= statement_timestamp()))"
                " LIMIT $4",
                self._group.name,
                [topic for topic, _ in owned],
                [partition for _, partition in owned],
                _KEYS,
            )
            waiting = await connection.fetchval(
                f"SELECT EXISTS (SELECT FROM {self._schema}.parked WHERE group_name = $1"
                " AND state = 'waiting')",
                self._group.name,
            )
        return [Lane(*row) for row in rows], bool(waiting)

    async def take(self, lanes: Sequence[Lane]) -> int:
        """Settle what goes through; returns how many events. A bad event hurts only its lane.

        Raises: Transient, or what the database raises when it is away.
        """
        done = 0
        while lanes:
            try:
                settled, lanes = await self._together(lanes, _RUN)
                done += settled
            except Exception as error:
                if not is_event_fault(error):
                    raise
                for lane in lanes:
                    done += await self._alone(lane)
                return done
        return done

    async def _together(self, lanes: Sequence[Lane], run: int) -> tuple[int, list[Lane]]:
        """One set; (events settled, lanes with more to do)."""
        return await setting_aside(partial(self._set, lanes, run))

    async def _alone(self, lane: Lane) -> int:
        """The events of one lane, each in a set of its own, until one does not go through."""
        done = 0
        more = [lane]
        while more:
            try:
                settled, more = await self._together([lane], 1)
                done += settled
            except Exception as error:
                if not is_event_fault(error):
                    raise
                if not isinstance(error, HandoffError):
                    log.exception("a parked event failed again")
                await self._note_failure(lane, error)
                return done
        return done

    async def _set(
        self, lanes: Sequence[Lane], run: int, waits: Mapping[Identity, str]
    ) -> tuple[int, list[Lane]]:
        async with self._db.sets() as connection:
            await self._fence(connection, lanes)
            now = await connection.fetchval("SELECT clock_timestamp()")
            rows, stands = await self._read(connection, lanes, run)
            step = self._plan(lanes, rows, stands, run, waits)
            tx = Tx(connection, now, self._schema)
            if step.apply:
                await self._group.apply(tx, list(merge(*step.apply.values(), key=_said_at)))
            await self._write(connection, step, now)
            await tx.save()
        return len(step.settle), step.more

    async def _fence(self, connection: Connection, lanes: Sequence[Lane]) -> None:
        places = sorted({(lane.topic, lane.partition) for lane in lanes})
        rows = await connection.fetch(
            f"SELECT topic, partition, next_offset FROM {self._schema}.consumer_offset"
            " WHERE group_name = $1 AND (topic, partition) IN"
            " (SELECT * FROM unnest($2::text[], $3::int[])) ORDER BY topic, partition FOR UPDATE",
            self._group.name,
            [topic for topic, _ in places],
            [partition for _, partition in places],
        )
        stand = {(r["topic"], r["partition"]): r["next_offset"] for r in rows}
        if any(stand.get(place) != self._committed[place] for place in places):
            raise Fenced(f"group {self._group.name} stands elsewhere than this member believes")

    async def _read(
        self, connection: Connection, lanes: Sequence[Lane], run: int
    ) -> tuple[dict[Lane, list[Any]], dict[Lane, int]]:
        """The first open rows of each lane, and where its gate stands."""
        rows: dict[Lane, list[Any]] = {}
        stands: dict[Lane, int] = {}
        loose = {lane.id: lane for lane in lanes if lane.id is not None}
        if loose:
            for row in await connection.fetch(
                f"SELECT * FROM {self._schema}.parked WHERE id = ANY($1::uuid[])"
                " AND state NOT IN ('done', 'dropped') FOR UPDATE",
                list(loose),
            ):
                rows[loose[row["id"]]] = [row]
        keyed = [lane for lane in lanes if lane.id is None]
        if not keyed:
            return rows, stands
        columns = [[x.topic for x in keyed], [x.key for x in keyed], [x.source for x in keyed]]
        for row in await connection.fetch(
            "SELECT k.n, p.* FROM unnest($2::text[], $3::text[], $4::text[])"
            "  WITH ORDINALITY AS k(topic, key, source, n),"
            f" LATERAL (SELECT * FROM {self._schema}.parked p WHERE p.group_name = $1"
            "  AND p.topic = k.topic AND p.key = k.key AND p.source = k.source"
            "  AND p.state NOT IN ('done', 'dropped') AND p.sequence IS NOT NULL"
            "  ORDER BY p.sequence LIMIT $5) p ORDER BY k.n, p.sequence",
            self._group.name,
            *columns,
            run,
        ):
            rows.setdefault(keyed[row["n"] - 1], []).append(row)
        for row in await connection.fetch(
            "SELECT k.n, g.sequence FROM unnest($2::text[], $3::text[], $4::text[])"
            "  WITH ORDINALITY AS k(topic, key, source, n)"
            f" JOIN {self._schema}.gate g ON g.group_name = $1 AND g.topic = k.topic"
            "  AND g.key = k.key AND g.source = k.source",
            self._group.name,
            *columns,
        ):
            stands[keyed[row["n"] - 1]] = row["sequence"]
        return rows, stands

    def _plan(
        self,
        lanes: Iterable[Lane],
        rows: Mapping[Lane, Sequence[Any]],
        stands: Mapping[Lane, int],
        run: int,
        waits: Mapping[Identity, str],
    ) -> _Step:
        """Decide for each lane how far it goes now. Pure."""
        step = _Step()
        for lane in lanes:
            parked = rows.get(lane, ())
            stand = stands.get(lane, 0)
            through = 0
            for row in parked:
                if row["state"] == "failed":
                    break
                sequence = row["sequence"]
                if sequence is not None and sequence > stand + 1:
                    detail = "an earlier event of this key has not come"
                    step.hold.append((row, "waiting", Waiting.default_code, detail))
                    break
                if row["state"] != "drop" and not self._try(step, lane, row, waits):
                    break
                step.settle.append(row["id"])
                stand = sequence or stand
                through += 1
            if lane.id is None:
                if through:
                    step.stands[lane] = stand
                if through == len(parked):
                    (step.more if through == run else step.free).append(lane)
        return step

    def _try(self, step: _Step, lane: Lane, row: Any, waits: Mapping[Identity, str]) -> bool:
        """Whether *row* can be given to the handler; held where not."""
        entry = decode(_record(row), self._group)
        if entry.fault is not None:
            step.hold.append((row, "failed", entry.fault, entry.detail))
            return False
        if entry.identity in waits:
            step.hold.append((row, "waiting", Waiting.default_code, waits[entry.identity]))
            return False
        if entry.received is not None:
            step.apply.setdefault(lane, []).append(entry.received)
        return True

    async def _write(self, connection: Connection, step: _Step, now: datetime) -> None:
        if step.settle:
            await connection.execute(
                f"UPDATE {self._schema}.parked SET resolved_at = $2, attempts = attempts + 1,"
                " state = CASE state WHEN 'drop' THEN 'dropped' ELSE 'done' END"
                " WHERE id = ANY($1::uuid[])",
                step.settle,
                now,
            )
        await self._hold(connection, step.hold)
        moved = {**dict.fromkeys(step.free), **step.stands}
        if moved:
            free = set(step.free)
            await connection.execute(
                f"UPDATE {self._schema}.gate g SET sequence = coalesce(v.sequence, g.sequence),"
                " blocked = g.blocked AND NOT v.free FROM unnest($2::text[], $3::text[],"
                " $4::text[], $5::bigint[], $6::boolean[]) AS v(topic, key, source, sequence, free)"
                " WHERE g.group_name = $1 AND g.topic = v.topic AND g.key = v.key"
                " AND g.source = v.source",
                self._group.name,
                [lane.topic for lane in moved],
                [lane.key for lane in moved],
                [lane.source for lane in moved],
                list(moved.values()),
                [lane in free for lane in moved],
            )

    async def _hold(
        self, connection: Connection, held: Sequence[tuple[Any, str, str, str]]
    ) -> None:
        if not held:
            return
        await connection.execute(
            f"UPDATE {self._schema}.parked p SET state = v.state, reason = v.reason,"
            " detail = v.detail, attempts = attempts + 1,"
            " next_try_at = clock_timestamp() + v.pause FROM unnest($1::uuid[], $2::text[],"
            " $3::text[], $4::text[], $5::interval[]) AS v(id, state, reason, detail, pause)"
            " WHERE p.id = v.id",
            [row["id"] for row, _, _, _ in held],
            [state for _, state, _, _ in held],
            [reason for _, _, reason, _ in held],
            [detail for _, _, _, detail in held],
            [next_wait(row["attempts"]) for row, _, _, _ in held],
        )

    async def _note_failure(self, lane: Lane, error: Exception) -> None:
        async with self._db.sets() as connection:
            rows, _ = await self._read(connection, [lane], 1)
            await self._hold(connection, [(row, *fate_of(error)) for row in rows.get(lane, ())])


def _record(row: Any) -> Record:
    return Record(
        row["topic"],
        row["partition"],
        row["log_offset"],
        row["key"],
        orjson.loads(row["headers"]),
        row["value"],
    )
