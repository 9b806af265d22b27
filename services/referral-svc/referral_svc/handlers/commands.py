"""What people ask of a case or a need; `obey` carries it out."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from event_schemas.codes import ContactChannel, ContactResult, NeedCategory, Reason, Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks: agency and organization of the token. ``if_match`` is the header as it came."""

    agency: str
    subject: str
    role: str
    roles: frozenset[str]
    organization: UUID | None
    if_match: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCase(Asked):
    case_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OfNeed(Asked):
    need_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(OfCase):
    """``assignee`` None: the organization has it, nobody by name."""

    assignee: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptContact(OfCase):
    attempt_id: UUID
    channel: ContactChannel
    result: ContactResult
    attempted_at: datetime
    note_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNeed(OfCase):
    need_id: UUID
    category: NeedCategory
    urgency: Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNote(OfCase):
    """A note that intake has sealed. About an offer, it answers the question of its target."""

    note_id: UUID
    need_id: UUID | None
    offer_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(OfCase):
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(OfCase):
    """``needs``: which are taken up again; None: those that ended unmet."""

    needs: tuple[UUID, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOffer(OfNeed):
    """To a service, to an organization (a department), or to the best candidate."""

    service_id: UUID | None
    organization_id: UUID | None
    parent_offer_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(OfNeed):
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(OfNeed):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(OfNeed):
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve(OfNeed):
    pass


Command = (
    Assign
    | AttemptContact
    | AddNeed
    | AddNote
    | Close
    | Reopen
    | MakeOffer
    | Hold
    | Resume
    | Withdraw
    | Approve
)
