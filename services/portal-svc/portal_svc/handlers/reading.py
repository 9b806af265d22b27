"""What each page shows: the lists of the read model, as far as the visitor may know."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from event_schemas.codes import NeedCategory
from handoff_kit.db import Database

from portal_svc.domain.figures import Split, split
from portal_svc.domain.pages import Coarse, coarse, need_status
from portal_svc.domain.people import Person
from portal_svc.tables import lists

WEEKS: Final = 12
# Which figures are given up first where a small one has to be hidden among others.
_STATUSES: Final = ("withdrawn", "unmet", "partly-met", "open", "in-service", "met")
_CATEGORIES: Final = tuple(reversed(NeedCategory))


@dataclass(frozen=True, slots=True)
class Referral:
    """One need that the visitor referred."""

    id: UUID
    category: str
    area: list[str]
    requested_at: datetime
    status: Coarse


@dataclass(frozen=True, slots=True)
class Need:
    id: UUID
    category: str
    urgency: str
    status: str


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the queue; ``hands``: me, somebody, organization or nobody."""

    id: UUID
    area: list[str]
    opened_at: datetime
    restricted: bool
    attempts: int
    last_attempt_at: datetime | None
    last_attempt_result: str | None
    hands: str
    organization: str | None
    needs: list[Need]


@dataclass(frozen=True, slots=True)
class Queue:
    cases: list[Case]
    total: int
    unassigned: int
    mine: int


@dataclass(frozen=True, slots=True)
class Offer:
    id: UUID
    category: str
    urgency: str | None
    area: list[str]
    status: str
    business_status: str
    detail: str | None
    detail_kind: str
    question_open: bool
    answer_due_at: datetime | None
    overdue: bool
    appointment_at: datetime | None
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """The same needs, split three ways."""

    by_status: Split[str]
    by_category: Split[str]
    by_week: Split[date]
    at: datetime


async def my_referrals(db: Database, person: Person) -> list[Referral]:
    """What the visitor referred, newest first; each in the few words that it may know."""
    async with db.tenant(person.agency_id) as connection:
        rows = await lists.referrals_of(connection, person.agency_id, str(person.id))
    return [
        Referral(
            row["id"],
            row["category"],
            row["area"],
            row["requested_at"],
            coarse(
                need_status(row["status"], taken=row["taken"], asked=row["asked"]),
                reached=row["reached"],
                feedback=row["feedback"],
            ),
        )
        for row in rows
    ]


async def my_queue(db: Database, person: Person) -> Queue:
    """Open cases that the visitor may work on."""
    subject = str(person.id)
    async with db.tenant(person.agency_id) as connection:
        found = await lists.queue_of(connection, person.agency_id, subject, person.organization_id)
    cases = [_case(row, found.needs.get(row["id"], []), subject) for row in found.cases]
    return Queue(cases, found.total, found.unassigned, found.mine)


def _case(row: Any, needs: list[Any], subject: str) -> Case:
    hands = "nobody"
    if row["assignee"] is not None:
        hands = "me" if row["assignee"] == subject else "somebody"
    elif row["organization_id"] is not None:
        hands = "organization"
    return Case(
        id=row["id"],
        area=row["area"],
        opened_at=row["opened_at"],
        restricted=row["restricted"],
        attempts=row["attempts"],
        last_attempt_at=row["last_attempt_at"],
        last_attempt_result=row["last_attempt_result"],
        hands=hands,
        organization=row["organization"],
        needs=[
            Need(
                need["id"],
                need["category"],
                need["urgency"],
                need_status(need["status"], taken=need["taken"], asked=need["asked"]),
            )
            for need in needs
        ],
    )


async def our_offers(db: Database, person: Person, now: datetime) -> list[Offer]:
    """Offers to the visitor's organization; none for one without."""
    if person.organization_id is None:
        return []
    async with db.tenant(person.agency_id) as connection:
        rows = await lists.offers_of(connection, person.agency_id, person.organization_id)
    return [_offer(row, now) for row in rows]


def _offer(row: Any, now: datetime) -> Offer:
    due = row["answer_due_at"] if row["status"] == "requested" else None
    return Offer(
        id=row["id"],
        category=row["category"],
        urgency=row["urgency"],
        area=row["area"],
        status=row["status"],
        business_status=row["business_status"],
        detail=row["outcome"] or row["reason"],
        detail_kind="outcome" if row["outcome"] else "reason",
        question_open=row["question_open"],
        answer_due_at=due,
        overdue=due is not None and due < now and not row["question_open"],
        appointment_at=row["appointment_at"],
        made_at=row["made_at"],
    )


async def city_figures(db: Database, person: Person, now: datetime, timezone: ZoneInfo) -> Figures:
    """The last twelve weeks, this one included, with small numbers hidden.

    What nobody asked for has no row, like what is hidden: a row's absence tells neither.
    """
    first = week_of(now.astimezone(timezone).date()) - timedelta(weeks=WEEKS - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=timezone)
    async with db.tenant(person.agency_id) as connection:
        counts = await lists.counts_of(connection, person.agency_id, since, timezone.key)
    by_week = {
        week.astimezone(timezone).date(): count for week, count in sorted(counts.by_week.items())
    }
    return Figures(
        split({s: counts.by_status[s] for s in _STATUSES if s in counts.by_status}),
        split({c: counts.by_category[c] for c in _CATEGORIES if c in counts.by_category}),
        split(by_week),
        now,
    )


def week_of(day: date) -> date:
    """The Monday of its week (ISO 8601)."""
    return day - timedelta(days=day.weekday())


async def city_flows(db: Database, person: Person) -> lists.Flows:
    async with db.tenant(person.agency_id) as connection:
        return await lists.flows_of(connection, person.agency_id)
