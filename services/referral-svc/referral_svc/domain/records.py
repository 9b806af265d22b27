"""The aggregate: a case with its needs and offers, as plain rows.

Field names and order are those of the tables, so that rows move as sets. Times are aware, UTC.
Codes are of ``event_schemas.codes``; rows from the database hold them as plain text, which equals
the enum's member.
"""

from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from event_schemas.codes import OFFER_IN_HAND, OFFER_OPEN, OfferStatus, TargetKind


class Attention(StrEnum):
    """Why a need waits for a person; shown in the case managers' queue."""

    ASK_FIRST = "ask-first"  # only candidates are left of whom something is not known
    APPROVAL = "approval"
    QUESTION = "question"  # a target asked something
    ASK_RESIDENT = "ask-resident"
    NEEDS_PERSON = "needs-person"
    NO_CANDIDATES = "no-candidates"  # a case manager has it in hand and nobody is left below
    SILENT = "silent"  # a clock ran out after all its reminders


# A change of who may be asked helps these.
WAITS_FOR_CANDIDATE = frozenset({Attention.NO_CANDIDATES, Attention.ASK_FIRST})


@dataclass(slots=True)
class Case:
    """``version`` grows with every entry of the timeline, so with every change below."""

    agency_id: str
    id: UUID
    status: str
    restricted: bool
    area: list[str]
    property_id: UUID | None
    organization_id: UUID | None
    assignee: str | None
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str | None
    attempts: list[dict[str, Any]]
    version: int


@dataclass(slots=True)
class Need:
    """``match_id`` is the latest match; ``route`` the policy rule that chose the target."""

    agency_id: str
    id: UUID
    case_id: UUID
    category: str
    urgency: str
    severity: str | None
    status: str
    outcome: str | None
    reason: str | None
    attention: str | None
    restricted: bool
    referrer: str
    referrer_role: str
    referrer_organization_id: UUID | None
    feedback: bool
    consent_id: UUID | None
    inspection_id: UUID | None
    deadline: datetime | None
    deadline_basis: str | None
    route: str
    target_kind: str
    match_id: UUID | None
    requested_at: datetime
    settled_at: datetime | None
    version: int


@dataclass(slots=True)
class Offer:
    """Referral's own view of one try. Partner is the writer of its state; this follows.

    ``clock`` names the one clock that runs and ``clock_due_at`` when it is due; ``clock_left`` is
    what was left of it, in seconds, when it paused. ``asked`` is the reason of a cancellation that
    referral asked for. ``turn`` orders offers of one need as they were made.
    """

    agency_id: str
    case_id: UUID
    id: UUID
    need_id: UUID
    parent_offer_id: UUID | None
    organization_id: UUID
    service_id: UUID | None
    target_kind: str
    status: str
    reason: str | None
    outcome: str | None
    asked: str | None
    match_id: UUID | None
    by_hand: bool
    made_at: datetime
    ended_at: datetime | None
    answer_due_at: datetime | None
    clock: str | None
    clock_due_at: datetime | None
    clock_left: int | None
    reminders: int
    turn: int

    @property
    def target(self) -> UUID:
        """What was asked: the service, or the organization where no service is named."""
        return self.service_id or self.organization_id

    @property
    def open(self) -> bool:
        return self.status in OFFER_OPEN

    @property
    def in_hand(self) -> bool:
        return self.status in OFFER_IN_HAND

    @property
    def waits(self) -> bool:
        """Asked and not answered; false once referral asked to end it."""
        return self.status == OfferStatus.REQUESTED and self.asked is None

    @property
    def is_manager(self) -> bool:
        """A case manager's: other offers may lie below it."""
        return self.target_kind == TargetKind.CASE_MANAGER


@dataclass(slots=True)
class Bundle:
    """A case with all that hangs on it, as one set holds it; the unit of every decision.

    ``fresh`` are the ids of rows that are not in the tables yet, ``changed`` those to write.
    """

    case: Case
    needs: dict[UUID, Need] = field(default_factory=dict)
    offers: dict[UUID, Offer] = field(default_factory=dict)
    fresh: set[UUID] = field(default_factory=set)
    changed: set[UUID] = field(default_factory=set)
    written: list[dict[str, Any]] = field(default_factory=list)

    def copy(self) -> "Bundle":
        """A copy to try something on; lists inside of rows are replaced, never changed."""
        return Bundle(
            copy(self.case),
            {id_: copy(need) for id_, need in self.needs.items()},
            {id_: copy(offer) for id_, offer in self.offers.items()},
            set(self.fresh),
            set(self.changed),
            list(self.written),
        )

    def offers_of(self, need: Need) -> list[Offer]:
        """Offers of a need in the order in which they were made."""
        found = [offer for offer in self.offers.values() if offer.need_id == need.id]
        found.sort(key=lambda offer: offer.turn)
        return found
