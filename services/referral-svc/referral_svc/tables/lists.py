"""Lists of cases, as each kind of viewer sees them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from handoff_kit.cursor import cursor_id
from handoff_kit.db import Connection

from referral_svc.tables.keys import Key


async def list_cases(
    connection: Connection,
    agency: str,
    *,
    seen_by: Mapping[str, Any],
    status: str | None,
    among: Sequence[UUID] | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Key]:
    """Keys of cases, newest first, that this viewer sees.

    *seen_by*: ``all`` (every unrestricted case), ``manager`` (restricted ones of this
    organization too), ``referrer`` (its unrestricted needs' cases), ``target`` (its offers').
    """
    given: list[Any] = [agency]

    def put(value: Any) -> str:
        given.append(value)
        return f"${len(given)}"

    asked = (
        "SELECT o.case_id FROM referral.offer o WHERE o.agency_id = $1 AND o.organization_id = {}"
    )
    ways: list[str] = []
    if seen_by.get("all"):
        ways.append("NOT c.restricted")
    if manager := seen_by.get("manager"):
        place = put(manager)
        ways.append(
            f"c.restricted AND (c.organization_id = {place} OR c.id IN ({asked.format(place)}))"
        )
    if referrer := seen_by.get("referrer"):
        ways.append(
            "NOT c.restricted AND c.id IN (SELECT n.case_id FROM referral.need n"
            f" WHERE n.agency_id = $1 AND n.referrer = {put(referrer)})"
        )
    if target := seen_by.get("target"):
        ways.append(f"c.id IN ({asked.format(put(target))})")
    if not ways:
        return []
    where = ["c.agency_id = $1", "(" + " OR ".join(f"({way})" for way in ways) + ")"]
    if status is not None:
        where.append(f"c.status = {put(status)}")
    if among is not None:
        where.append(f"c.id = ANY({put(list(among))}::uuid[])")
    if after is not None:
        where.append(f"(c.opened_at, c.id) < ({put(after[0])}, {put(cursor_id(after[1]))})")
    rows = await connection.fetch(
        f'SELECT c.id FROM referral."case" c WHERE {" AND ".join(where)}'
        f" ORDER BY c.opened_at DESC, c.id DESC LIMIT {put(limit)}",
        *given,
    )
    return [(agency, row["id"]) for row in rows]
