"""Whose credentials have ended, and what rests on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection

from notify_svc.tables.base import SCHEMA, Base, text, time
from notify_svc.tables.deliveries import PENDING, SAID


class ShutOutRow(Base, table=True):
    """A client or a person whose credentials have ended; ids of both are of one kind."""

    __tablename__ = "shut_out"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    caller: str = text(key=True)
    at: datetime = time()


# Held until the commit: what is set up while a caller is shut out comes wholly before or after.
_LOCK = (
    "SELECT pg_advisory_xact_lock{shared}(hashtextextended(name, 5)) FROM"
    " (SELECT DISTINCT unnest($1::text[]) AS name ORDER BY 1) AS names"
)


def _names(agency: str, callers: Sequence[str]) -> list[str]:
    return [f"notify:caller:{agency}:{caller}" for caller in callers]


async def is_shut_out(conn: Connection, agency: str, callers: Sequence[str]) -> bool:
    """Whether any of these callers' credentials have ended; none can end before the commit."""
    await conn.execute(_LOCK.format(shared="_shared"), _names(agency, callers))
    found = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM notify.shut_out WHERE agency_id = $1"
        " AND caller = ANY($2::text[]))",
        agency,
        list(callers),
    )
    return bool(found)


async def shut_out_of(conn: Connection, callers: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of *callers* (agency, client or person) whose credentials have ended by now."""
    rows: list[Any] = await conn.fetch(
        "SELECT agency_id, caller FROM notify.shut_out WHERE (agency_id, caller) IN"
        " (SELECT * FROM unnest($1::text[], $2::text[]))",
        [agency for agency, _ in callers],
        [caller for _, caller in callers],
    )
    return {(row["agency_id"], row["caller"]) for row in rows}


async def add_shut_out(conn: Connection, rows: Sequence[ShutOutRow]) -> None:
    """Keep *rows*; again is the same. Waits for what these callers are just setting up."""
    names = [name for row in rows for name in _names(row.agency_id, [row.caller])]
    await conn.execute(_LOCK.format(shared=""), names)
    await sets.insert(conn, ShutOutRow, rows, on_conflict="nothing")


async def endpoints_set_by(
    conn: Connection, agencies: Sequence[str], callers: Sequence[str]
) -> list[tuple[str, UUID]]:
    """Enabled endpoints whose address rests on one of these callers' word."""
    rows: list[Any] = await conn.fetch(
        "SELECT e.agency_id, e.id FROM unnest($1::text[], $2::text[]) AS v(agency_id, caller)"
        " JOIN notify.endpoint e ON e.agency_id = v.agency_id AND e.enabled"
        "  AND (e.set_by = v.caller OR e.set_by_client = v.caller)"
        " ORDER BY e.id",
        list(agencies),
        list(callers),
    )
    return [(row.agency_id, row.id) for row in rows]


async def stop_mail(
    conn: Connection, agencies: Sequence[str], callers: Sequence[str], reason: str, now: datetime
) -> list[Any]:
    """Take away the addresses that rest on these callers' word, and cancel mail that waits for
    them; the rows that were.
    """
    owners: list[Any] = await conn.fetch(
        "UPDATE notify.preference p SET email = NULL, channels = p.channels - 'email',"
        " version = p.version + 1, updated_at = $3"
        " FROM unnest($1::text[], $2::text[]) AS v(agency_id, caller)"
        " WHERE p.agency_id = v.agency_id AND p.email IS NOT NULL"
        "  AND (p.set_by = v.caller OR p.set_by_client = v.caller)"
        " RETURNING p.agency_id, p.owner",
        list(agencies),
        list(callers),
        now,
    )
    return list(
        await conn.fetch(
            "UPDATE notify.delivery d SET status = 'cancelled', reason = $3, updated_at = $4"
            " FROM unnest($1::text[], $2::text[]) AS v(agency_id, owner)"
            " WHERE d.agency_id = v.agency_id AND d.owner = v.owner AND d.channel = 'email'"
            f" AND d.{PENDING} RETURNING {SAID}",
            [row.agency_id for row in owners],
            [row.owner for row in owners],
            reason,
            now,
        )
    )
