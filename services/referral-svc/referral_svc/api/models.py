"""Bodies and answers. Unknown fields are errors; answers may grow."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from event_schemas.codes import (
    ContactChannel,
    ContactResult,
    NeedCategory,
    Reason,
    Urgency,
    Verdict,
)
from event_schemas.times import Moment
from handoff_kit.http import Strict
from pydantic import BaseModel, Field, StringConstraints

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
Subject = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,80}$")]
HoldReason = Literal["waiting-on-resident", "waiting-for-document", "waiting-for-capacity", "other"]
WithdrawReason = Literal[
    "resident-declined",
    "resident-moved",
    "already-served",
    "need-ended",
    "duplicate",
    "entered-in-error",
    "other",
]
CloseReason = Literal[
    "needs-settled",
    "could-not-reach",
    "resident-declined",
    "resident-moved",
    "duplicate",
    "entered-in-error",
]


class Nothing(Strict):
    """A body that needs no fields."""


class AssignIn(Strict):
    """``assignee``: whose it is in the caller's organization; null: nobody's by name."""

    assignee: Subject | None = None


class AttemptIn(Strict):
    """``attempted_at``: now unless given."""

    channel: ContactChannel
    result: ContactResult
    attempted_at: Moment | None = None
    note: Words | None = None


class NeedIn(Strict):
    category: NeedCategory
    urgency: Urgency = Urgency.ROUTINE
    note: Words | None = None


class NoteIn(Strict):
    """``offer_id`` of an offer whose target asked a question: the note answers it."""

    text: Words
    need_id: UUID | None = None
    offer_id: UUID | None = None


class CloseIn(Strict):
    reason: CloseReason = "needs-settled"


class ReopenIn(Strict):
    """``needs``: those to take up again; unless given, those that ended unmet."""

    needs: Annotated[list[UUID], Field(max_length=100)] | None = None


class OfferIn(Strict):
    """A service, or a department or case-management organization; neither: the best candidate."""

    service_id: UUID | None = None
    organization_id: UUID | None = None
    parent_offer_id: UUID | None = None


class HoldIn(Strict):
    reason: HoldReason


class WithdrawIn(Strict):
    reason: WithdrawReason = Reason.NEED_ENDED.value


class _Answer(BaseModel):
    """An answer's fields; what is not known is null."""


class NeedOut(_Answer):
    id: UUID
    category: str
    status: str
    outcome: str | None
    urgency: str
    version: int
    case_id: UUID | None = None
    reason: str | None = None
    attention: str | None = None
    severity: str | None = None
    deadline: datetime | None = None
    deadline_basis: str | None = None
    target_kind: str | None = None
    requested_at: datetime | None = None
    settled_at: datetime | None = None


class OfferOut(_Answer):
    id: UUID
    case_id: UUID
    need_id: UUID
    parent_offer_id: UUID | None
    organization_id: UUID
    service_id: UUID | None
    target_kind: str
    status: str
    reason: str | None
    outcome: str | None
    answer_due_at: datetime | None
    created_at: datetime


class CaseOut(_Answer):
    id: UUID
    status: str
    area: list[str]
    opened_at: datetime
    assigned_to: UUID | None
    needs: list[NeedOut]
    version: int
    assignee: str | None = None
    property_id: UUID | None = None
    closed_at: datetime | None = None
    close_reason: str | None = None
    restricted: bool = False
    contact_attempts: list[dict[str, Any]] = []
    offers: list[OfferOut] = []


class EntryOut(_Answer):
    at: datetime
    type: str
    text: str
    actor_role: str
    need_id: UUID | None
    offer_id: UUID | None


class ReasonOut(_Answer):
    code: str
    fact: str


class CandidateOut(_Answer):
    """``rank``: 1 is next; null for the excluded."""

    service_id: UUID | None
    organization_id: UUID
    name: str
    verdict: Verdict
    rank: int | None
    reasons: list[ReasonOut]


class CandidatesOut(_Answer):
    items: list[CandidateOut]
    next_cursor: str | None
    policy_version: str
    directory_version: int


class NoteOut(_Answer):
    note_id: UUID
    case_version: int
