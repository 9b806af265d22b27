"""From the log into a service: sets of events, each set one transaction.

What a consumer group promises (``docs/delivery.md``):

* offset, gate, inbox and effect are one transaction; the database's offset is the truth;
* an event with a sequence is applied once and in order for its (source, topic, key); one without
  is applied once for its (source, id);
* a set that fails is halved until the bad event stands alone, which is then parked and blocks
  only its own key; what comes behind it waits, in order, for the operator's retry or drop;
* a transient failure parks nothing: the group pauses and tries again.
"""

import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from event_schemas.base import Event
from event_schemas.deliveries import EventParked
from event_schemas.registry import BY_TOPIC_AND_TYPE, TOPICS
from pydantic import ValidationError

from handoff_kit.bus.ports import Record
from handoff_kit.db import Connection, Database
from handoff_kit.errors import Fate, HandoffError, Permanent, Transient, Waiting
from handoff_kit.faults import async_fault
from handoff_kit.telemetry import process_metrics
from handoff_kit.tx import Cause, Tx, flush

log = logging.getLogger(__name__)
Place = tuple[str, int]
GateKey = tuple[str, str, str]  # source, topic, key
BODY_UNREADABLE = "bad-body"
HEADERS_UNREADABLE = "bad-headers"
GAP = "gap-in-sequence"
BEHIND = "behind-a-parked-event"


class Fenced(Transient):
    """Another member of the group committed for this partition; start again from the database."""


class ParkingCap(Transient):
    """Too many events fail: the code is wrong, not the data. The group stands still."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event as a handler gets it. ``at`` is when it was said; ``cause`` continues its trace."""

    data: Any
    id: str
    source: str
    agency: str
    at: datetime
    topic: str
    key: str
    sequence: int | None
    cause: Cause


Apply = Callable[[Tx, Sequence[Received]], Awaitable[None]]


@dataclass(frozen=True)
class Group:
    """A consumer group: which events, and the one function that takes them as a set.

    ``events`` are the models it reads; other types on its topics are skipped and counted.
    ``topics`` are derived from them unless given. ``after`` is called after each commit.
    ``lanes`` members run in one worker.
    """

    name: str
    events: frozenset[type[Event]]
    apply: Apply
    topics: tuple[str, ...] = ()
    lanes: int = 1
    batch: int = 1000
    after: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        if not self.topics:
            found = {t for (t, _), m in BY_TOPIC_AND_TYPE.items() if m in self.events}
            object.__setattr__(self, "topics", tuple(sorted(found)))


@dataclass(slots=True)
class Entry:
    """A record with what its headers say, and what it turned out to be."""

    record: Record
    source: str = ""
    event_id: str = ""
    type: str = ""
    agency: str = ""
    sequence: int | None = None
    received: Received | None = None
    fault: str | None = None  # Why it cannot be read, as a code.
    detail: str = ""

    @property
    def gate_key(self) -> GateKey:
        return (self.source, self.record.topic, self.record.key)


@dataclass(slots=True)
class Gate:
    sequence: int
    blocked: bool
    known: bool = True
    held: frozenset[int] = frozenset()  # Sequences parked and open, if blocked.


@dataclass(slots=True)
class Plan:
    """What is to become of a set: decided before anything runs."""

    deliver: list[Entry] = field(default_factory=list)
    park: list[tuple[Entry, str, str, str]] = field(default_factory=list)  # state, reason, detail
    skipped: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0


def decode(record: Record, events: frozenset[type[Event]]) -> Entry:
    """Read headers and body; never raises."""
    entry = Entry(record)
    headers = record.headers
    entry.event_id = headers.get("ce_id", "")
    entry.source = headers.get("ce_source", "")
    entry.type = headers.get("ce_type", "")
    entry.agency = headers.get("ce_agency", "")
    if not (entry.event_id and entry.source and entry.type and entry.agency):
        missing = [n for n in ("ce_id", "ce_source", "ce_type", "ce_agency") if not headers.get(n)]
        entry.fault, entry.detail = HEADERS_UNREADABLE, f"missing: {', '.join(missing)}"
        return entry
    try:
        text = headers.get("ce_sequence")
        entry.sequence = int(text) if text is not None else None
        time = headers.get("ce_time")
        at = datetime.fromisoformat(time) if time else datetime.now().astimezone()
    except ValueError:
        entry.fault, entry.detail = HEADERS_UNREADABLE, "ce_sequence or ce_time is malformed"
        return entry
    model = BY_TOPIC_AND_TYPE.get((record.topic, entry.type))
    if model is None or model not in events:
        return entry
    try:
        data = model.model_validate_json(record.value)
    except ValidationError as error:
        entry.fault, entry.detail = BODY_UNREADABLE, _fields(error)
        return entry
    traceparent = headers.get("traceparent")
    entry.received = Received(
        data,
        entry.event_id,
        entry.source,
        entry.agency,
        at,
        record.topic,
        record.key,
        entry.sequence,
        Cause(traceparent) if traceparent and len(traceparent) == 55 else Cause.new(),
    )
    return entry


def _fields(error: ValidationError) -> str:
    """Where and how a body is wrong, without any of its values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['type']}" for f in faults[:10])


def plan(entries: Sequence[Entry], gates: dict[GateKey, Gate], seen: set[tuple[str, str]]) -> Plan:
    """Decide for each entry, in order: deliver, skip, park. Moves *gates* and *seen* on."""
    result = Plan()
    for entry in entries:
        if entry.sequence is None:
            identity = (entry.source, entry.event_id)
            if identity in seen:
                result.duplicates += 1
                continue
            if entry.event_id:
                seen.add(identity)
            _place(entry, result, gate=None)
            continue
        gate = gates.setdefault(entry.gate_key, Gate(0, blocked=False, known=False))
        if not gate.known and TOPICS.get(entry.record.topic, _FOREVER).retention is not None:
            # What came before may have been dropped by the topic's retention.
            gate.sequence = entry.sequence - 1
        gate.known = True
        if entry.sequence <= gate.sequence or entry.sequence in gate.held:
            result.duplicates += 1
        elif entry.sequence == gate.sequence + 1:
            _place(entry, result, gate)
        else:
            state, reason = ("behind", BEHIND) if gate.blocked else ("waiting", GAP)
            _park(entry, result, gate, state, reason, "")
    return result


_FOREVER = TOPICS["handoff.cases"]


def _place(entry: Entry, result: Plan, gate: Gate | None) -> None:
    if entry.fault is not None:
        _park(entry, result, gate, "failed", entry.fault, entry.detail)
        return
    if gate is not None:
        gate.sequence = entry.sequence or gate.sequence
    if entry.received is None:
        topic = entry.record.topic
        result.skipped[topic] = result.skipped.get(topic, 0) + 1
    else:
        result.deliver.append(entry)


def _park(
    entry: Entry, result: Plan, gate: Gate | None, state: str, reason: str, detail: str
) -> None:
    if gate is not None and entry.sequence is not None:
        gate.blocked = True
        gate.held |= {entry.sequence}
    result.park.append((entry, state, reason, detail))


def merged(records: Iterable[Record]) -> list[Record]:
    """Interleave partitions by the time that events were said, each partition's order kept.

    So that a handler rarely meets an answer before what it answers.
    """
    streams: dict[Place, list[Record]] = {}
    for record in records:
        streams.setdefault((record.topic, record.partition), []).append(record)
    if len(streams) == 1:
        return next(iter(streams.values()))
    return list(heapq.merge(*streams.values(), key=lambda r: r.headers.get("ce_time", "")))


class Consumer:
    """Applies records of one group to one service's database.

    The caller (``groups.GroupRunner``) fetches; this class knows offsets, gate and parking.
    ``committed`` is where the database stands for each partition that we were given.
    """

    def __init__(
        self,
        db: Database,
        group: Group,
        *,
        shard: int = 0,
        park_cap: int = 200,
        park_window: timedelta = timedelta(minutes=1),
    ) -> None:
        self._db = db
        self._group = group
        self._shard = shard
        self._schema = db.service
        self._cap = park_cap
        self._window = park_window
        self._parked_at: list[datetime] = []
        self.committed: dict[Place, int] = {}
        self.applied = 0
        self.duplicates = 0
        self.skipped = 0
        self.parked = 0
        self.emitted = False
        self.waiting = False

    async def lookup(self, places: Sequence[Place]) -> Mapping[Place, int]:
        """Offsets that the database holds for *places*; makes the rows that are missing."""
        async with self._db.sets() as connection:
            rows = await connection.fetch(
                f"WITH made AS (INSERT INTO {self._schema}.consumer_offset"
                "  (group_name, topic, partition, next_offset)"
                "  SELECT $1, t, p, 0 FROM unnest($2::text[], $3::int[]) AS v(t, p)"
                "  ORDER BY t, p ON CONFLICT DO NOTHING RETURNING topic, partition, next_offset)"
                " SELECT * FROM made UNION ALL"
                f" SELECT o.topic, o.partition, o.next_offset FROM {self._schema}.consumer_offset o"
                "  JOIN unnest($2::text[], $3::int[]) AS v(t, p) ON o.topic = t AND o.partition = p"
                "  WHERE o.group_name = $1",
                self._group.name,
                [t for t, _ in places],
                [p for _, p in places],
            )
        self.committed = {(r["topic"], r["partition"]): r["next_offset"] for r in rows}
        return self.committed

    async def process(self, records: Sequence[Record]) -> None:
        """Take *records* (each partition's in order, following on ``committed``).

        Raises: Transient (Fenced, ParkingCap or the database's being away): nothing of the failed
        part is done, ``committed`` says how far it got; fetch again from there.
        """
        # A seek may bring back what was committed meanwhile.
        records = [r for r in records if r.offset >= self.committed.get((r.topic, r.partition), 0)]
        if not records:
            return
        entries = [decode(record, self._group.events) for record in merged(records)]
        await self._run(entries)

    async def _run(self, entries: list[Entry]) -> None:
        try:
            await self._commit(entries)
        except Exception as error:
            if isinstance(error, Transient) or not _is_event_fault(error):
                raise
            if len(entries) > 1:
                # Halves find the bad event in log2(n) steps; each half is a set of its own.
                middle = len(entries) // 2
                await self._run(entries[:middle])
                await self._run(entries[middle:])
                return
            await self._commit(entries, refused=error)

    async def _commit(self, entries: list[Entry], refused: Exception | None = None) -> None:
        ends: dict[Place, int] = {}
        for entry in entries:
            record = entry.record
            ends[record.topic, record.partition] = record.offset + 1
        async with self._db.sets() as connection:
            now, gates, seen = await self._open(connection, ends, entries)
            before = {key: (gate.sequence, gate.blocked) for key, gate in gates.items()}
            decided = plan(entries, gates, seen)
            tx = Tx(connection, now, self._schema, self._shard)
            if refused is not None:
                self._refuse(decided, gates, refused)
            if decided.deliver:
                await self._group.apply(tx, [e.received for e in decided.deliver if e.received])
            await self._close(tx, entries, decided, gates, before)
            await async_fault("consumer.before_commit")
        self.committed.update(ends)
        self.applied += len(decided.deliver)
        self.duplicates += decided.duplicates
        self.skipped += sum(decided.skipped.values())
        self.parked += sum(1 for p in decided.park if p[1] == "failed")
        self.waiting = self.waiting or any(p[1] == "waiting" for p in decided.park)
        self.emitted = self.emitted or bool(tx.emitted)
        self._measure(decided, tx.now)
        await async_fault("consumer.after_commit")

    def _measure(self, decided: Plan, now: datetime) -> None:
        """The latest event of each topic stands for its set; counting each would cost too much."""
        metrics, group = process_metrics(), self._group.name
        latest = {e.record.topic: e.received for e in decided.deliver if e.received}
        for topic, event in latest.items():
            waited = max(0.0, (now - event.at).total_seconds())
            metrics.observe("handoff_end_to_end_seconds", waited, group=group, topic=topic)
        for topic, number in decided.skipped.items():
            metrics.count("handoff_consumer_skipped_total", number, group=group, topic=topic)

    def _refuse(self, decided: Plan, gates: dict[GateKey, Gate], error: Exception) -> None:
        """The one event of this set failed: park it instead."""
        for entry in decided.deliver:
            gate = gates.get(entry.gate_key) if entry.sequence is not None else None
            if gate is not None and entry.sequence is not None:
                gate.sequence = entry.sequence - 1
            state, reason, detail = fate_of(error)
            _park(entry, decided, gate, state, reason, detail)
        decided.deliver = []

    async def _open(
        self, connection: Connection, ends: Mapping[Place, int], entries: Sequence[Entry]
    ) -> tuple[datetime, dict[GateKey, Gate], set[tuple[str, str]]]:
        """Move the offsets, fenced by where we believe they stand; read gate and inbox."""
        keys = list({e.gate_key for e in entries if e.sequence is not None})
        rows = await connection.fetch(
            f"""
            WITH fence AS (
                UPDATE {self._schema}.consumer_offset o
                SET next_offset = v.new, updated_at = clock_timestamp()
                FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
                    AS v(topic, partition, old, new)
                WHERE o.group_name = $1 AND o.topic = v.topic AND o.partition = v.partition
                    AND o.next_offset = v.old
                RETURNING 1
            )
            SELECT -1::bigint AS n, (SELECT count(*) FROM fence) AS sequence, false AS blocked,
                   clock_timestamp() AS now
            UNION ALL
            SELECT k.n, g.sequence, g.blocked, NULL
            FROM unnest($6::text[], $7::text[], $8::text[]) WITH ORDINALITY AS k(source, topic, key, n),
                LATERAL (SELECT sequence, blocked FROM {self._schema}.gate g
                    WHERE g.group_name = $1 AND g.topic = k.topic AND g.key = k.key
                        AND g.source = k.source LIMIT 1) g
            """,
            self._group.name,
            [t for t, _ in ends],
            [p for _, p in ends],
            [self.committed.get(place, -1) for place in ends],
            list(ends.values()),
            [k[0] for k in keys],
            [k[1] for k in keys],
            [k[2] for k in keys],
        )
        if rows[0]["sequence"] != len(ends):
            raise Fenced(f"group {self._group.name} stands elsewhere than this member believes")
        gates = {keys[row["n"] - 1]: Gate(row["sequence"], row["blocked"]) for row in rows[1:]}
        blocked = [key for key, gate in gates.items() if gate.blocked]
        if blocked:
            await self._read_held(connection, blocked, gates)
        loose = [(e.source, e.event_id) for e in entries if e.sequence is None and e.event_id]
        seen: set[tuple[str, str]] = set()
        if loose:
            hits = await connection.fetch(
                f"SELECT source, event_id FROM {self._schema}.inbox WHERE group_name = $1"
                " AND (source, event_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))",
                self._group.name,
                [s for s, _ in loose],
                [i for _, i in loose],
            )
            seen = {(h["source"], h["event_id"]) for h in hits}
        return rows[0]["now"], gates, seen

    async def _read_held(
        self, connection: Connection, keys: Sequence[GateKey], gates: dict[GateKey, Gate]
    ) -> None:
        held = await connection.fetch(
            f"SELECT source, topic, key, array_agg(sequence) AS sequences FROM {self._schema}.parked"
            " WHERE group_name = $1 AND state NOT IN ('done', 'dropped') AND (source, topic, key)"
            " IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[])) GROUP BY 1, 2, 3",
            self._group.name,
            [k[0] for k in keys],
            [k[1] for k in keys],
            [k[2] for k in keys],
        )
        for row in held:
            gates[row["source"], row["topic"], row["key"]].held = frozenset(row["sequences"])

    async def _close(
        self,
        tx: Tx,
        entries: Sequence[Entry],
        decided: Plan,
        gates: Mapping[GateKey, Gate],
        before: Mapping[GateKey, tuple[int, bool]],
    ) -> None:
        moved = [
            (key, gate)
            for key, gate in gates.items()
            if before.get(key) != (gate.sequence, gate.blocked)
        ]
        if moved:
            await tx.conn.execute(
                f"INSERT INTO {self._schema}.gate AS g"
                " (group_name, source, topic, key, sequence, blocked)"
                " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[],"
                " $6::boolean[]) ON CONFLICT (group_name, topic, key, source)"
                " DO UPDATE SET sequence = EXCLUDED.sequence, blocked = EXCLUDED.blocked",
                self._group.name,
                [k[0] for k, _ in moved],
                [k[1] for k, _ in moved],
                [k[2] for k, _ in moved],
                [g.sequence for _, g in moved],
                [g.blocked for _, g in moved],
            )
        loose = {(e.source, e.event_id): None for e in entries if e.sequence is None and e.event_id}
        if loose:
            await tx.conn.execute(
                f"INSERT INTO {self._schema}.inbox (group_name, source, event_id)"
                " SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING",
                self._group.name,
                [s for s, _ in loose],
                [i for _, i in loose],
            )
        if decided.park:
            await self._write_parked(tx, decided.park)
        await flush(tx)

    async def _write_parked(self, tx: Tx, parks: Sequence[tuple[Entry, str, str, str]]) -> None:
        failed = sum(1 for _, state, _, _ in parks if state == "failed")
        if failed:
            self._count_parking(tx.now, failed)
        rows = []
        for entry, state, reason, detail in parks:
            parked_id = uuid4()
            record = entry.record
            rows.append(
                (
                    parked_id,
                    self._group.name,
                    record.topic,
                    record.partition,
                    record.offset,
                    entry.source,
                    record.key,
                    entry.sequence,
                    entry.event_id,
                    entry.type,
                    entry.agency,
                    orjson.dumps(dict(record.headers)).decode(),
                    record.value,
                    state,
                    reason,
                    detail,
                    1,
                    tx.now,
                    tx.now if state == "waiting" else None,
                )
            )
            if state == "failed":
                log.error("parked an event of group %s: %s (%s)", self._group.name, reason, detail)
                tx.emit(
                    _parked_event(entry, parked_id, self._group.name, reason, tx.now),
                    agency=entry.agency or "unknown",
                )
        await tx.conn.execute(
            f"INSERT INTO {self._schema}.parked (id, group_name, topic, partition, log_offset,"
            " source, key, sequence, event_id, event_type, agency_id, headers, value, state,"
            " reason, detail, attempts, parked_at, next_try_at) SELECT * FROM unnest($1::uuid[],"
            " $2::text[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[],"
            " $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[],"
            " $14::text[], $15::text[], $16::text[], $17::int[], $18::timestamptz[],"
            " $19::timestamptz[])",
            *[list(column) for column in zip(*rows, strict=True)],
        )

    def _count_parking(self, now: datetime, failed: int) -> None:
        """Raises: ParkingCap when more fail in the window than can be the data's fault."""
        self._parked_at = [t for t in self._parked_at if t > now - self._window]
        if len(self._parked_at) + failed > self._cap:
            log.critical(
                "group %s stops: more than %d events failed within %s",
                self._group.name,
                self._cap,
                self._window,
            )
            raise ParkingCap(f"more than {self._cap} events of group {self._group.name} failed")
        self._parked_at += [now] * failed

    async def repair(self, owned: frozenset[Place]) -> int:
        """Try what waits and what an operator asked for, for the partitions that are ours."""
        from handoff_kit.repair import repair

        done, self.waiting = await repair(self._db, self._group, self._shard, self.committed, owned)
        if done:
            self.emitted = True
        return done


def _parked_event(
    entry: Entry, parked_id: UUID, group: str, reason: str, now: datetime
) -> EventParked:
    record = entry.record
    return EventParked.model_construct(
        parked_id=parked_id,
        group=group,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        event_id=entry.event_id or None,
        event_type=entry.type or None,
        reason=reason,
        attempts=1,
        at=now,
    )


def fate_of(error: Exception) -> tuple[str, str, str]:
    """(state, reason, detail) of an event whose handling raised *error*.

    An exception that is not ours gives its type alone, since its text may hold values.
    """
    if isinstance(error, Waiting):
        return "waiting", error.code, error.detail
    if isinstance(error, HandoffError):
        return "failed", error.code, error.detail
    return "failed", type(error).__name__, "unexpected; see the log of the worker"


def _is_event_fault(error: Exception) -> bool:
    """Whether the event, and not the world around it, made the handling fail."""
    from handoff_kit.db import DATABASE_AWAY

    if isinstance(error, HandoffError):
        return error.fate is not Fate.RETRY
    if isinstance(error, DATABASE_AWAY):
        return False
    if not isinstance(error, Permanent):
        log.exception("handling an event failed")
    return True
