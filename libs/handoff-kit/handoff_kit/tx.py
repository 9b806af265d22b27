"""A set's transaction, as a handler sees it: a connection, the time, and what it says."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from event_schemas.base import Event

from handoff_kit.bus.ports import MAX_RECORD_BYTES
from handoff_kit.db import Connection
from handoff_kit.errors import Permanent


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to an event: the trace it belongs to, as a W3C ``traceparent``."""

    traceparent: str

    @staticmethod
    def new() -> "Cause":
        """A trace that starts here."""
        return Cause(f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01")

    def child(self) -> str:
        """The same trace, a span id of its own."""
        return f"{self.traceparent[:36]}{os.urandom(8).hex()}{self.traceparent[52:]}"


@dataclass(frozen=True, slots=True)
class Emitted:
    """An outbox row before it has its sequence."""

    topic: str
    key: str
    event_id: UUID
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

    def emit(self, event: Event, *, agency: str, cause: Cause | None = None) -> UUID:
        """Say *event*; returns its id.

        Raises: Permanent when the event is larger than a log takes.
        """
        value = event.model_dump_json(exclude_none=True, by_alias=True).encode()
        if len(value) > MAX_RECORD_BYTES:
            raise Permanent(f"an event of {len(value)} bytes is larger than the log takes")
        event_id = uuid4()
        topic, key = event.topic_name(), event.key_value()
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(event_id),
            "ce_source": f"/handoff/{self.service}",
            "ce_type": event.TYPE,
            "ce_time": self._said_at(event),
            "ce_subject": key,
            "ce_agency": agency,
            "traceparent": (cause or Cause.new()).child(),
            "content-type": "application/json",
        }
        self.emitted.append(Emitted(topic, key, event_id, orjson.dumps(headers).decode(), value))
        return event_id

    def _said_at(self, event: Event) -> str:
        """All events of a set have one time, which would join a restricted case to the other."""
        if getattr(event, "restricted", False):
            return self.now.replace(second=0, microsecond=0).isoformat()
        return self.now.isoformat()

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


_OUTBOX = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bytea[])
        WITH ORDINALITY AS g(topic, key, event_id, headers, value, n)
), counted AS MATERIALIZED (
    SELECT topic, key, count(*) AS n FROM given GROUP BY topic, key ORDER BY topic, key
), head AS MATERIALIZED (
    INSERT INTO {schema}.outbox_head AS h (topic, key, sequence)
    SELECT topic, key, n FROM counted ORDER BY topic, key
    ON CONFLICT (topic, key) DO UPDATE SET sequence = h.sequence + EXCLUDED.sequence
    RETURNING topic, key, sequence
)
INSERT INTO {schema}.outbox (topic, key, sequence, event_id, headers, value)
SELECT g.topic, g.key,
       h.sequence - c.n + row_number() OVER (PARTITION BY g.topic, g.key ORDER BY g.n),
       g.event_id, g.headers, g.value
FROM given g JOIN counted c USING (topic, key) JOIN head h USING (topic, key)
ORDER BY g.n
"""


async def flush(tx: Tx) -> None:
    """Write what the set said and audited. The kit calls it once, last before the commit.

    An event's sequence is taken under the lock of its (topic, key) head, which is held until the
    commit: so a sequence has no holes and a later one never commits first.
    """
    if tx.emitted:
        rows = tx.emitted
        await tx.conn.execute(
            _OUTBOX.format(schema=tx.service),
            [r.topic for r in rows],
            [r.key for r in rows],
            [r.event_id for r in rows],
            [r.headers for r in rows],
            [r.value for r in rows],
        )
    if tx.audited:
        await _write_audit(tx)


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


async def _write_audit(tx: Tx) -> None:
    head = await tx.conn.fetchrow(
        f"INSERT INTO {tx.service}.audit_head AS h (shard, sequence, digest)"
        " VALUES ($1, 0, '\\x') ON CONFLICT (shard) DO UPDATE SET shard = h.shard"
        " RETURNING sequence, digest",
        tx.shard,
    )
    sequence, digest = head["sequence"], head["digest"]
    columns: tuple[list[Any], ...] = ([], [], [], [])
    for entry in tx.audited:
        sequence += 1
        body = audit_body(entry, tx.now)
        digest = audit_digest(digest, sequence, body)
        for column, value in zip(columns, (entry.agency_id, sequence, body, digest), strict=True):
            column.append(value)
    await tx.conn.execute(
        f"WITH moved AS (UPDATE {tx.service}.audit_head SET sequence = $6, digest = $7"
        "  WHERE shard = $1)"
        f" INSERT INTO {tx.service}.audit (shard, agency_id, sequence, body, digest)"
        " SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bytea[], $5::bytea[])",
        tx.shard,
        *columns,
        sequence,
        digest,
    )
