"""The set of events as one read, one decision and one upsert a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zlib import crc32

from handoff_kit import sets
from handoff_kit.consumer import Received
from handoff_kit.tx import Tx
from sqlmodel import SQLModel

from portal_svc.domain import rows
from portal_svc.domain.follow import RULES
from portal_svc.tables import (
    CaseRow,
    ConsentRow,
    DeliveryRow,
    NeedRow,
    OfferRow,
    OrganizationRow,
    ParkedRow,
)

Key = tuple[str, UUID]

_SHARES: Final = 16  # Locks that stand for all cases.

# What is read again is older than what was noted, and changes nothing.
_FLOWS: Final = """flows AS (
    INSERT INTO portal.flow_view AS f (agency_id, topic, last_at, last_read_at)
    SELECT agency_id, topic, last_at, $4
    FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS v(agency_id, topic, last_at)
    ON CONFLICT (agency_id, topic)
        DO UPDATE SET last_at = EXCLUDED.last_at, last_read_at = EXCLUDED.last_read_at
        WHERE f.last_at < EXCLUDED.last_at
)"""

CHANGED: Final = "portal:changed"  # The wake-up after each set that was followed.

# In the order of their columns, a row of the table is a row of the domain.
TABLES: Final[dict[type, type[SQLModel]]] = {
    rows.CaseView: CaseRow,
    rows.NeedView: NeedRow,
    rows.ConsentView: ConsentRow,
    rows.OfferView: OfferRow,
    rows.OrganizationView: OrganizationRow,
    rows.DeliveryView: DeliveryRow,
    rows.ParkedView: ParkedRow,
}


async def follow(tx: Tx, events: Sequence[Received]) -> None:
    """Bring the read models up to *events*."""
    await _lock(tx, events)
    known = await _load(tx, events)
    changed: dict[type, dict[Key, Any]] = {view: {} for view in TABLES}
    for event in events:
        for rule in RULES[event.data.TYPE]:
            key = (event.agency, getattr(event.data, rule.id_field))
            row = rule.apply(known[rule.view].get(key), event.agency, event.data)
            if row is not None:
                known[rule.view][key] = changed[rule.view][key] = row
    for view, table in TABLES.items():
        tx.insert(table, list(changed[view].values()), "update")
    _note_flows(tx, events)


async def _lock(tx: Tx, events: Sequence[Received]) -> None:
    """Keep other members of the group from the same cases until the commit.

    One topic's partitions may be another member's than another topic's, and both tell of the same
    case. A lock on the rows would not do: they may not be there yet.
    """
    shares = sorted({crc32(event.key.encode()) % _SHARES for event in events})
    await tx.conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('portal-follow', share))"
        " FROM unnest($1::int[]) AS s(share)",
        shares,
    )


async def _load(tx: Tx, events: Sequence[Received]) -> dict[type, dict[Key, Any]]:
    wanted: dict[type, set[Key]] = {view: set() for view in TABLES}
    for event in events:
        for rule in RULES[event.data.TYPE]:
            wanted[rule.view].add((event.agency, getattr(event.data, rule.id_field)))
    known: dict[type, dict[Key, Any]] = {}
    for view, table in TABLES.items():
        known[view] = {}
        if wanted[view]:
            found = await sets.fetch(
                tx.conn,
                table,
                "WHERE (agency_id, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))",
                [agency for agency, _ in wanted[view]],
                [id_ for _, id_ in wanted[view]],
            )
            for record in found:
                row = view(*record)
                known[view][row.agency_id, row.id] = row
    return known


def _note_flows(tx: Tx, events: Sequence[Received]) -> None:
    """Note each topic's newest event. Rows in order, since members share them."""
    newest: dict[tuple[str, str], datetime] = {}
    for event in events:
        key = (event.agency, event.topic)
        newest[key] = max(event.at, newest.get(key, event.at))
    keys = sorted(newest)
    columns = [[a for a, _ in keys], [t for _, t in keys], [newest[key] for key in keys], tx.now]
    tx.write(sets.Part(_FLOWS, columns))
