"""Parked events as rows, and the copy without a body that the log carries."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import orjson
from event_schemas.deliveries import EventParked

from handoff_kit.consumer.model import Entry
from handoff_kit.tx import Tx

log = logging.getLogger(__name__)


async def write_parked(tx: Tx, group: str, parks: Sequence[tuple[Entry, str, str, str]]) -> None:
    """Keep what could not be taken, as (entry, state, reason, detail), and say what failed."""
    rows = []
    for entry, state, reason, detail in parks:
        parked_id = uuid4()
        record = entry.record
        rows.append(
            (
                parked_id,
                group,
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
            log.error("parked an event of group %s: %s (%s)", group, reason, detail)
            tx.emit(
                _parked_event(entry, parked_id, group, reason, tx.now),
                agency=entry.agency or "unknown",
            )
    await tx.conn.execute(
        f"INSERT INTO {tx.service}.parked (id, group_name, topic, partition, log_offset,"
        " source, key, sequence, event_id, event_type, agency_id, headers, value, state,"
        " reason, detail, attempts, parked_at, next_try_at) SELECT * FROM unnest($1::uuid[],"
        " $2::text[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[],"
        " $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[],"
        " $14::text[], $15::text[], $16::text[], $17::int[], $18::timestamptz[],"
        " $19::timestamptz[])",
        *[list(column) for column in zip(*rows, strict=True)],
    )


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
