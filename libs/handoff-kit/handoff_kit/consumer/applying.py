"""Sets of events applied to a service's database, each set one transaction."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from event_schemas.registry import is_restricted

from handoff_kit.bus.ports import Place, Record
from handoff_kit.consumer.model import (
    Entry,
    Fenced,
    Gate,
    GateKey,
    Group,
    Identity,
    ParkingCap,
    Plan,
    Received,
)
from handoff_kit.consumer.parking import write_parked
from handoff_kit.consumer.planning import decode, fate_of, is_event_fault, merged, park, plan
from handoff_kit.consumer.repair import repair
from handoff_kit.consumer.waiting import setting_aside
from handoff_kit.db import Connection, Database
from handoff_kit.errors import HandoffError
from handoff_kit.faults import async_fault
from handoff_kit.sets import Part
from handoff_kit.telemetry import process_metrics, process_spans, record_commit, recording
from handoff_kit.tx import Tx

log = logging.getLogger(__name__)
_MOST_HELD = 200
# Sets that one member may have in hand at once, each of its own share of the partitions.
ABREAST = 2
_GATE = """gate_moved AS (
    INSERT INTO {schema}.gate AS g (group_name, source, topic, key, sequence, blocked)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::boolean[])
    ON CONFLICT (group_name, topic, key, source)
    DO UPDATE SET sequence = EXCLUDED.sequence, blocked = EXCLUDED.blocked
)"""
_INBOX = """inbox_filled AS (
    INSERT INTO {schema}.inbox (group_name, source, event_id)
    SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING
)"""


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
        park_cap: int = 200,
        park_window: timedelta = timedelta(minutes=1),
    ) -> None:
        self._db = db
        self._group = group
        self._schema = db.service
        self._cap = park_cap
        self._window = park_window
        self._parked_at: list[datetime] = []
        self.committed: dict[Place, int] = {}
        # Read, of no concern, and not yet committed; by share.
        self._held: list[list[Entry]] = [[] for _ in range(ABREAST)]
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
        self._let_go(None)  # What is read from here on begins at these.
        self.committed = {(r["topic"], r["partition"]): r["next_offset"] for r in rows}
        return self.committed

    async def moved(self) -> bool:
        """Whether somebody moved our offsets (an operator's replay): read them again then."""
        async with self._db.sets() as connection:
            return bool(
                await connection.fetchval(
                    f"SELECT EXISTS (SELECT FROM {self._schema}.consumer_offset o"
                    "  JOIN unnest($2::text[], $3::int[], $4::bigint[]) AS v(t, p, place)"
                    "  ON o.topic = v.t AND o.partition = v.p"
                    "  WHERE o.group_name = $1 AND o.next_offset <> v.place)",
                    self._group.name,
                    [t for t, _ in self.committed],
                    [p for _, p in self.committed],
                    list(self.committed.values()),
                )
            )

    async def process(self, records: Sequence[Record], share: int | None = None) -> bool:
        """Take *records* (each partition's in order, following on what was taken before).

        What is of no concern to the group is held until something is, or until `settle`: moving
        on past it is not worth a transaction of its own. Returns whether anything was committed.
        *share*: all are of that share of the partitions (`share_of`); calls for several shares may
        run at the same time, one without a share only by itself.

        Raises: Transient (Fenced, ParkingCap or the database's being away): nothing of the failed
        part is done, ``committed`` says how far it got; fetch again from there.
        """
        # A seek may bring back what was committed meanwhile.
        records = [r for r in records if r.offset >= self.committed.get((r.topic, r.partition), 0)]
        if not records:
            return False
        entries = [decode(record, self._group) for record in merged(records)]
        held = sum(map(len, self._held))
        if held < _MOST_HELD and not any(_concerns(entry) for entry in entries):
            for entry in entries:
                self._held[share_of(entry.record)].append(entry)
            return False
        await self._run([*self._let_go(share), *entries], share or 0)
        return True

    async def settle(self) -> bool:
        """Commit what is held; whether anything was."""
        held = self._let_go(None)
        if held:
            await self._run(held, 0)
        return bool(held)

    def _let_go(self, share: int | None) -> list[Entry]:
        """What is held of a share, or of all."""
        found: list[Entry] = []
        for held in self._held if share is None else (self._held[share],):
            found += held
            held.clear()
        return found

    async def _run(self, entries: list[Entry], shard: int) -> None:
        try:
            await setting_aside(partial(self._commit, entries, shard))
        except Exception as error:
            if not is_event_fault(error):
                raise
            if not isinstance(error, HandoffError):
                log.exception("handling an event failed")
            await self._search(entries, shard, error)

    async def _search(self, entries: list[Entry], shard: int, error: Exception) -> None:
        """Some event of the set failed, and nobody said which."""
        if len(entries) > 1:
            # Halves find the bad event in log2(n) steps; each half is a set of its own.
            middle = len(entries) // 2
            await self._run(entries[:middle], shard)
            await self._run(entries[middle:], shard)
        else:
            await self._commit(entries, shard, {}, refused=error)

    async def _commit(
        self,
        entries: list[Entry],
        shard: int,
        waits: Mapping[Identity, str],
        refused: Exception | None = None,
    ) -> None:
        ends: dict[Place, int] = {}
        for entry in entries:
            record = entry.record
            ends[record.topic, record.partition] = record.offset + 1
        async with self._db.sets() as connection:
            now, gates, seen = await self._open(connection, ends, entries)
            before = {key: (gate.sequence, gate.blocked) for key, gate in gates.items()}
            decided = plan(entries, gates, seen, waits)
            tx = Tx(connection, now, self._schema, shard)
            if refused is not None:
                self._refuse(decided, gates, refused)
            if decided.deliver:
                received = [e.received for e in decided.deliver if e.received]
                with process_spans(self._group.name, _creates(received)):
                    await self._group.apply(tx, received)
            closing = time.time_ns()
            await self._close(tx, entries, decided, gates, before)
            await async_fault("consumer.before_commit")
        self.committed.update(ends)
        self.applied += len(decided.deliver)
        self.duplicates += decided.duplicates
        self.skipped += sum(decided.skipped.values())
        self.parked += sum(1 for p in decided.park if p[1] == "failed")
        self.waiting = self.waiting or any(p[1] == "waiting" for p in decided.park)
        self.emitted = self.emitted or bool(tx.emitted)
        record_commit(self._group.name, {topic for topic, _ in ends}, closing)
        self._measure(decided, tx.now)
        await async_fault("consumer.after_commit")

    def _measure(self, decided: Plan, now: datetime) -> None:
        """The latest event of each topic stands for its set; counting each would cost too much."""
        metrics, group = process_metrics(), self._group.name
        latest = {e.record.topic: e.received for e in decided.deliver if e.received}
        for topic, event in latest.items():
            if is_restricted(topic):
                continue  # Its events say the minute alone: no delay can be told from that.
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
            park(entry, decided, gate, state, reason, detail)
        decided.deliver = []

    async def _open(
        self, connection: Connection, ends: Mapping[Place, int], entries: Sequence[Entry]
    ) -> tuple[datetime, dict[GateKey, Gate], set[Identity]]:
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
            FROM unnest($6::text[], $7::text[], $8::text[])
                    WITH ORDINALITY AS k(source, topic, key, n),
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
        loose = [e.identity for e in entries if e.sequence is None and e.event_id]
        seen: set[Identity] = set()
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
            "SELECT source, topic, key, array_agg(sequence) AS sequences"
            f" FROM {self._schema}.parked"
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
            tx.write(
                Part(
                    _GATE.format(schema=self._schema),
                    [
                        self._group.name,
                        [k[0] for k, _ in moved],
                        [k[1] for k, _ in moved],
                        [k[2] for k, _ in moved],
                        [g.sequence for _, g in moved],
                        [g.blocked for _, g in moved],
                    ],
                )
            )
        loose = {e.identity: None for e in entries if e.sequence is None and e.event_id}
        if loose:
            arguments = [self._group.name, [s for s, _ in loose], [i for _, i in loose]]
            tx.write(Part(_INBOX.format(schema=self._schema), arguments))
        if decided.park:
            self._count_parking(tx.now, sum(1 for p in decided.park if p[1] == "failed"))
            await write_parked(tx, self._group.name, decided.park)
        await tx.save()

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
        done, self.waiting = await repair(self._db, self._group, self.committed, owned)
        self.emitted = self.emitted or bool(done)
        return done


def _creates(events: Sequence[Received]) -> dict[str, list[str]]:
    """The traceparents of a set by topic; where nobody records, only that of a set of one."""
    found: dict[str, list[str]] = {}
    if recording() or len(events) == 1:
        for event in events:
            found.setdefault(event.topic, []).append(event.cause.traceparent)
    return found


def share_of(record: Record) -> int:
    """Which of `ABREAST` shares its partition belongs to."""
    return record.partition % ABREAST


def _concerns(entry: Entry) -> bool:
    """Whether anything but the place in the topic and the sequence follows from this entry."""
    return entry.received is not None or entry.fault is not None
