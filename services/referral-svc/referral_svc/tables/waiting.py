"""Needs that wait for a candidate, and how far a look at them has come."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection

from referral_svc.tables.rows import SCHEMA, RetryRow


@dataclass(slots=True)
class Round:
    """One look at all waiting needs of an agency, in pages, oldest first.

    ``done``: the directory's stamp that an earlier round has dealt with; ``target``: that of this
    one. ``after_at`` and ``after_id`` are the last need that was looked at.
    """

    agency_id: str
    done: int
    target: int
    after_at: datetime | None
    after_id: UUID | None
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Touched:
    """What changed: kinds of need whose services did, and whether an organization did."""

    needs: frozenset[str]
    organizations: bool


async def next_round(connection: Connection, now: datetime, pause: timedelta) -> Round | None:
    """A round that is under way, or a new one for a directory that has changed since the last.

    A new one begins *pause* after the beginning of the last at the earliest: an import that comes
    in many sets is looked at a few times, not once a set.
    """
    row: Any = await connection.fetchrow(
        "SELECT h.agency_id, h.stamp, r.done, r.target, r.after_at, r.after_id, r.began_at"
        f" FROM {SCHEMA}.directory_head h LEFT JOIN {SCHEMA}.retry r USING (agency_id)"
        " WHERE r.agency_id IS NULL OR r.target > r.done"
        "  OR (h.stamp > r.done AND r.began_at <= $1)"
        " ORDER BY r.began_at NULLS FIRST LIMIT 1",
        now - pause,
    )
    if row is None:
        return None
    if row.target is not None and row.target > row.done:
        return Round(row.agency_id, row.done, row.target, row.after_at, row.after_id, row.began_at)
    return Round(row.agency_id, row.done or 0, row.stamp, None, None, now)


async def save_round(connection: Connection, round_: Round) -> None:
    await sets.upsert(connection, RetryRow, [round_])


async def touched_since(connection: Connection, agency: str, stamp: int) -> Touched:
    """What of the directory changed after *stamp*."""
    row: Any = await connection.fetchrow(
        "WITH organizations AS MATERIALIZED"
        f" (SELECT id FROM {SCHEMA}.organization WHERE agency_id = $1 AND stamp > $2),"
        " services AS MATERIALIZED"
        f" (SELECT needs FROM {SCHEMA}.service WHERE agency_id = $1 AND stamp > $2"
        f"  UNION ALL SELECT s.needs FROM {SCHEMA}.service s JOIN organizations o"
        "  ON s.organization_id = o.id WHERE s.agency_id = $1)"
        " SELECT EXISTS (SELECT FROM organizations) AS organizations,"
        "  ARRAY(SELECT DISTINCT jsonb_array_elements_text(needs) FROM services) AS needs",
        agency,
        stamp,
    )
    return Touched(frozenset(row.needs), row.organizations)


async def waiting_needs(connection: Connection, round_: Round, limit: int) -> list[Any]:
    """The next page of needs that wait for a candidate."""
    return list(
        await connection.fetch(
            f"SELECT id, case_id, category, route, requested_at FROM {SCHEMA}.need"
            " WHERE attention IN ('ask-first', 'no-candidates') AND agency_id = $1"
            " AND ($2::timestamptz IS NULL OR (requested_at, id) > ($2, $3::uuid))"
            " ORDER BY requested_at, id LIMIT $4",
            round_.agency_id,
            round_.after_at,
            round_.after_id,
            limit,
        )
    )


async def asked_since_said(
    connection: Connection, agency: str, services: Iterable[tuple[UUID, UUID, datetime]]
) -> dict[UUID, int]:
    """How often each of these was asked since it said its capacity: (service, its owner, when)."""
    given = list(services)
    rows = await connection.fetch(
        "SELECT v.service_id, count(*) AS asked FROM"
        " unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[])"
        "  AS v(agency_id, service_id, organization_id, said)"
        f" JOIN {SCHEMA}.offer o ON o.organization_id = v.organization_id"
        "  AND o.agency_id = v.agency_id AND o.service_id = v.service_id AND o.made_at > v.said"
        " GROUP BY v.service_id",
        [agency] * len(given),
        [service for service, _, _ in given],
        [organization for _, organization, _ in given],
        [said for _, _, said in given],
    )
    return {row["service_id"]: row["asked"] for row in rows}
