"""A set's transaction, as a handler sees it: a connection, the time, and what it says."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from event_schemas.base import Event
from event_schemas.registry import is_restricted
from sqlmodel import SQLModel

from handoff_kit import sets
from handoff_kit.bus.ports import MAX_RECORD_BYTES
from handoff_kit.db import Connection
from handoff_kit.errors import Permanent
from handoff_kit.ids import new_id, random8, random16
from handoff_kit.telemetry import create_traceparent, recording


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to an event: the trace it belongs to, as a W3C ``traceparent``."""

    traceparent: str

    @staticmethod
    def new() -> "Cause":
        """A trace that starts here."""
        return Cause(f"00-{random16().hex()}-{random8().hex()}-01")

    def child(self) -> str:
        """The same trace, a span id of its own."""
        return f"{self.traceparent[:36]}{random8().hex()}{self.traceparent[52:]}"


def _trace_of(topic: str, cause: Cause | None) -> str:
    if recording() and not is_restricted(topic):
        return create_traceparent(topic, cause.traceparent if cause else None)
    return (cause or Cause.new()).child()


@dataclass(frozen=True, slots=True)
class Emitted:
    """An outbox row before it has its sequence."""

    topic: str
    key: str
    headers: str
    value: bytes


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that must be provable later. ``facts`` are codes and ids, never values."""

    agency_id: str
    action: str
    actor: str
    subject: UUID | None
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Tx:
    """One set in one transaction.

    ``now`` is the database's clock when the set began (aware, UTC). What is emitted reaches the
    outbox in this transaction or not at all.
    """

    conn: Connection
    now: datetime
    service: str
    shard: int = 0
    emitted: list[Emitted] = field(default_factory=list)
    audited: list[AuditEntry] = field(default_factory=list)
    _parts: list[sets.Part] = field(default_factory=list)
    _time: str = ""
    _written: int = 0  # Of ``emitted``, how many are in the outbox.
    _chained: int = 0  # Of ``audited``, how many are on the chain.

    def emit(self, event: Event, *, agency: str, cause: Cause | None = None) -> UUID:
        """Say *event*; returns its id.

        Raises: Permanent when the event is larger than a log takes.
        """
        # Not model_dump_json, whose wrapper costs as much again as what it calls.
        value: bytes = type(event).__pydantic_serializer__.to_json(
            event, exclude_none=True, by_alias=True
        )
        if len(value) > MAX_RECORD_BYTES:
            raise Permanent(f"an event of {len(value)} bytes is larger than the log takes")
        event_id = new_id()
        topic, key = event.topic_name(), event.key_value()
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(event_id),
            "ce_source": f"/handoff/{self.service}",
            "ce_type": event.TYPE,
            "ce_time": self._said_at(event),
            "ce_subject": key,
            "ce_agency": agency,
            "traceparent": _trace_of(topic, cause),
            "content-type": "application/json",
        }
        self.emitted.append(Emitted(topic, key, orjson.dumps(headers).decode(), value))
        return event_id

    def _said_at(self, event: Event) -> str:
        """All events of a set have one time, which would join a restricted case to the other."""
        if getattr(event, "restricted", False):
            return self.now.replace(second=0, microsecond=0).isoformat()
        if not self._time:
            self._time = self.now.isoformat()
        return self._time

    def insert(
        self, model: type[SQLModel], rows: Sequence[Any], on_conflict: sets.OnConflict = "fail"
    ) -> None:
        """Insert *rows* with the next `save`; see `sets.inserting`."""
        self.write(sets.inserting(model, rows, on_conflict))

    def update(self, model: type[SQLModel], rows: Sequence[Any], columns: Sequence[str]) -> None:
        """Write *columns* of *rows* with the next `save`; see `sets.updating`."""
        self.write(sets.updating(model, rows, columns))

    def write(self, part: sets.Part | None) -> None:
        """Let *part* go along with the next `save`; see `sets.write` for what parts may do."""
        if part is not None:
            self._parts.append(part)

    async def save(self) -> None:
        """Write what was given, said and audited since the last time, as one statement.

        The kit calls it last before the commit.
        Raises: asyncpg.UniqueViolationError when a row is there already.
        """
        parts, self._parts = self._parts, []
        parts += [part for part in (self._outbox(), await self._audit()) if part]
        await sets.write(self.conn, parts)

    def _outbox(self) -> sets.Part | None:
        """What was emitted since it was last asked."""
        said = self.emitted[self._written :]
        if not said:
            return None
        self._written = len(self.emitted)
        counts: dict[tuple[str, str], int] = {}
        left: list[int] = []  # Of each event: how many of its key come after it.
        for event in reversed(said):
            head = (event.topic, event.key)
            after = counts.get(head, 0)
            counts[head] = after + 1
            left.append(after)
        heads = sorted(counts)
        return sets.Part(
            _OUTBOX.format(schema=self.service),
            [
                [topic for topic, _ in heads],
                [key for _, key in heads],
                [counts[head] for head in heads],
                [e.topic for e in said],
                [e.key for e in said],
                left[::-1],
                [e.headers for e in said],
                [e.value for e in said],
            ],
        )

    async def _audit(self) -> sets.Part | None:
        """What was audited since it was last asked, chained to what is there."""
        entries = self.audited[self._chained :]
        if not entries:
            return None
        self._chained = len(self.audited)
        head = await self.conn.fetchrow(
            f"INSERT INTO {self.service}.audit_head AS h (shard, sequence, digest)"
            " VALUES ($1, 0, '\\x') ON CONFLICT (shard) DO UPDATE SET shard = h.shard"
            " RETURNING sequence, digest",
            self.shard,
        )
        sequence, digest = head["sequence"], head["digest"]
        columns: tuple[list[Any], ...] = ([], [], [], [])
        for entry in entries:
            sequence += 1
            body = audit_body(entry, self.now)
            digest = audit_digest(digest, sequence, body)
            row = (entry.agency_id, sequence, body, digest)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
        return sets.Part(
            _AUDIT.format(schema=self.service), [self.shard, *columns, sequence, digest]
        )

    def audit(
        self,
        agency: str,
        action: str,
        *,
        actor: str,
        subject: UUID | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Put an entry on the audit chain, in this transaction."""
        self.audited.append(AuditEntry(agency, action, actor, subject, facts or {}))


# An event's sequence is taken under the lock of its (topic, key) head, which is held until the
# commit: so a sequence has no holes and a later one never commits first. Heads come in order, so
# that two sets do not wait on each other.
_OUTBOX = """head AS MATERIALIZED (
    INSERT INTO {schema}.outbox_head AS h (topic, key, sequence)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
    ON CONFLICT (topic, key) DO UPDATE SET sequence = h.sequence + EXCLUDED.sequence
    RETURNING topic, key, sequence
), said AS (
    INSERT INTO {schema}.outbox (topic, key, sequence, headers, value)
    SELECT topic, key, h.sequence - g.after, g.headers, g.value
    FROM unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::bytea[])
            WITH ORDINALITY AS g(topic, key, after, headers, value, n)
        JOIN head h USING (topic, key)
    ORDER BY g.n
)"""
_AUDIT = """audit_head_moved AS (
    UPDATE {schema}.audit_head SET sequence = $6, digest = $7 WHERE shard = $1
), audited AS (
    INSERT INTO {schema}.audit (shard, agency_id, sequence, body, digest)
    SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bytea[], $5::bytea[])
)"""


def audit_digest(previous: bytes, sequence: int, body: bytes) -> bytes:
    """The link of the chain: SHA-256 over the link before, the sequence and the entry."""
    return hashlib.sha256(previous + sequence.to_bytes(8, "big") + body).digest()


def audit_body(entry: AuditEntry, at: datetime) -> bytes:
    """The entry as canonical JSON bytes: what is chained is what is stored."""
    return orjson.dumps(
        {
            "agency_id": entry.agency_id,
            "action": entry.action,
            "actor": entry.actor,
            "subject": str(entry.subject) if entry.subject else None,
            "facts": dict(entry.facts),
            "at": at.isoformat(),
        },
        default=str,
        option=orjson.OPT_SORT_KEYS,
    )
