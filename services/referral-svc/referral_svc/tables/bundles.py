"""Cases with all that hangs on them: locked, read and saved as sets; what is due; the timeline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection
from handoff_kit.tx import Tx

from referral_svc.domain.records import Bundle, Case, Need, Offer
from referral_svc.tables.keys import BY_KEYS, Key, columns
from referral_svc.tables.rows import SCHEMA, CaseRow, NeedRow, OfferRow, TimelineRow


@dataclass(slots=True)
class TimelinePage:
    """A row of the timeline."""

    agency_id: str
    case_id: UUID
    n: int
    at: datetime
    entries: list[dict[str, Any]]


_CASE_CHANGES = (
    "status",
    "organization_id",
    "assignee",
    "closed_at",
    "close_reason",
    "attempts",
    "version",
)
_NEED_CHANGES = (
    "status",
    "outcome",
    "reason",
    "attention",
    "consent_id",
    "route",
    "target_kind",
    "match_id",
    "settled_at",
    "version",
)
_OFFER_CHANGES = (
    "status",
    "reason",
    "outcome",
    "asked",
    "ended_at",
    "answer_due_at",
    "clock",
    "clock_due_at",
    "clock_left",
    "reminders",
)
_OF_CASES = "t WHERE " + BY_KEYS.format(column="case_id")
_LOCKED_CASES = (
    "t WHERE " + BY_KEYS.format(column="id") + " ORDER BY agency_id, id FOR NO KEY UPDATE"
)


async def lock_bundles(connection: Connection, keys: Iterable[Key]) -> dict[Key, Bundle]:
    """The cases of these keys, locked in order, with needs and offers; some may miss."""
    wanted = set(keys)
    if not wanted:
        return {}
    rows = await sets.fetch(connection, CaseRow, _LOCKED_CASES, *columns(wanted))
    found = {(row["agency_id"], row["id"]): Bundle(Case(*row)) for row in rows}
    await _fill(connection, found)
    return found


async def read_bundles(connection: Connection, keys: Iterable[Key]) -> dict[Key, Bundle]:
    """Like `lock_bundles`, for readers."""
    tail = "t WHERE " + BY_KEYS.format(column="id")
    rows = await sets.fetch(connection, CaseRow, tail, *columns(keys))
    found = {(row["agency_id"], row["id"]): Bundle(Case(*row)) for row in rows}
    await _fill(connection, found)
    return found


async def _fill(connection: Connection, found: Mapping[Key, Bundle]) -> None:
    if not found:
        return
    of = columns(found)
    for row in await sets.fetch(connection, NeedRow, _OF_CASES, *of):
        need = Need(*row)
        found[need.agency_id, need.case_id].needs[need.id] = need
    for row in await sets.fetch(connection, OfferRow, _OF_CASES, *of):
        offer = Offer(*row)
        found[offer.agency_id, offer.case_id].offers[offer.id] = offer


async def cases_of_needs(connection: Connection, keys: Iterable[Key]) -> dict[Key, UUID]:
    """The case of each need."""
    rows = await connection.fetch(
        f"SELECT agency_id, id, case_id FROM {SCHEMA}.need WHERE " + BY_KEYS.format(column="id"),
        *columns(keys),
    )
    return {(row["agency_id"], row["id"]): row["case_id"] for row in rows}


def save_bundles(tx: Tx, bundles: Iterable[Bundle]) -> None:
    """Write what is new or changed, and the timeline."""
    new: tuple[list[Case], list[Need], list[Offer]] = ([], [], [])
    old: tuple[list[Case], list[Need], list[Offer]] = ([], [], [])
    timeline: list[TimelinePage] = []
    for bundle in bundles:
        if not bundle.written and not bundle.changed:
            continue
        case, fresh, changed = bundle.case, bundle.fresh, bundle.changed
        (new if case.id in fresh else old)[0].append(case)
        for id_, need in bundle.needs.items():
            if id_ in fresh:
                new[1].append(need)
            elif id_ in changed:
                old[1].append(need)
        for id_, offer in bundle.offers.items():
            if id_ in fresh:
                new[2].append(offer)
            elif id_ in changed:
                old[2].append(offer)
        if bundle.written:
            page = TimelinePage(case.agency_id, case.id, case.version, tx.now, bundle.written)
            timeline.append(page)
    for model, made, kept, columns_ in (
        (CaseRow, new[0], old[0], _CASE_CHANGES),
        (NeedRow, new[1], old[1], _NEED_CHANGES),
        (OfferRow, new[2], old[2], _OFFER_CHANGES),
    ):
        tx.insert(model, made)
        tx.update(model, kept, columns_)
    tx.insert(TimelineRow, timeline)


async def due_cases(connection: Connection, now: datetime, most: int) -> set[Key]:
    """Cases with an offer whose clock has run out by *now*."""
    rows = await connection.fetch(
        f"SELECT agency_id, case_id FROM {SCHEMA}.offer WHERE clock_due_at <= $1"
        " ORDER BY clock_due_at LIMIT $2",
        now,
        most,
    )
    return {(row["agency_id"], row["case_id"]) for row in rows}


async def read_timeline(
    connection: Connection, agency: str, case_id: UUID, after: int, limit: int
) -> list[Any]:
    """Pages of a case's timeline after the *n*-th, oldest first."""
    tail = "t WHERE agency_id = $1 AND case_id = $2 AND n > $3 ORDER BY n LIMIT $4"
    return await sets.fetch(connection, TimelineRow, tail, agency, case_id, after, limit)
