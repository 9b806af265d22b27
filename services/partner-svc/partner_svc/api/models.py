"""Bodies of the transitions, strict, and the shape of an offer."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from event_schemas.codes import (
    BusinessStatus,
    NeedCategory,
    OfferStatus,
    Outcome,
    Reason,
    Severity,
    TargetKind,
    Urgency,
)
from event_schemas.times import NO_NUMBER
from handoff_kit.http import Strict
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from partner_svc.domain.offers import Ask
from partner_svc.domain.transitions import BY_TARGET, Command

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]

# An appointment is in somebody's lifetime; years at the ends of the calendar have no UTC.
Appointment = Annotated[
    AwareDatetime,
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
    NO_NUMBER,
]

R = Reason
DeclineReason = Literal[
    R.NO_CAPACITY,
    R.NOT_ELIGIBLE,
    R.OUTSIDE_AREA,
    R.MISSING_DOCUMENT,
    R.SERVICE_NOT_PROVIDED,
    R.LANGUAGE_NOT_AVAILABLE,
    R.CONFLICT_OF_INTEREST,
    R.RESIDENT_DECLINED,
    R.CANNOT_REACH_RESIDENT,
    R.ALREADY_SERVED,
    R.UNSAFE,
    R.OTHER,
]
FailReason = Literal[DeclineReason, R.RESIDENT_MOVED]
HoldReason = Literal[R.WAITING_ON_RESIDENT, R.WAITING_FOR_DOCUMENT, R.WAITING_FOR_CAPACITY, R.OTHER]
AppointmentReason = Literal[FailReason, HoldReason]


class Body(Strict):
    """A transition's body: what it asks, and the free text in it, which is sealed in intake."""

    def ask(self) -> dict[str, Any]:
        """The coded fields, by the names of `Ask`."""
        return {}

    def free_text(self) -> tuple[str, str] | None:
        """(kind, text) of what has to be sealed."""
        return None


class Empty(Body):
    pass


class WithNote(Body):
    note: Text | None = None

    def free_text(self) -> tuple[str, str] | None:
        return ("note", self.note) if self.note is not None else None


class Note(Body):
    note: Text

    def free_text(self) -> tuple[str, str] | None:
        return "note", self.note


class Decline(WithNote):
    reason: DeclineReason

    def ask(self) -> dict[str, Any]:
        return {"reason": self.reason}


class Schedule(Body):
    at: Appointment
    place: Text | None = None

    def ask(self) -> dict[str, Any]:
        return {"appointment_at": self.at}

    def free_text(self) -> tuple[str, str] | None:
        return ("place", self.place) if self.place is not None else None


class CancelAppointment(Body):
    reason: AppointmentReason | None = None

    def ask(self) -> dict[str, Any]:
        return {"reason": self.reason}


class Hold(Body):
    reason: HoldReason

    def ask(self) -> dict[str, Any]:
        return {"reason": self.reason}


class Complete(WithNote):
    outcome: Outcome

    def ask(self) -> dict[str, Any]:
        return {"outcome": self.outcome}


class Fail(WithNote):
    reason: FailReason

    def ask(self) -> dict[str, Any]:
        return {"reason": self.reason}


BODIES: dict[Command, type[Body]] = {
    Command.ACCEPT: Empty,
    Command.DECLINE: Decline,
    Command.UNDO_ACCEPT: Empty,
    Command.ASK: Note,
    Command.SCHEDULE: Schedule,
    Command.NO_SHOW: Empty,
    Command.CANCEL_APPOINTMENT: CancelAppointment,
    Command.PROGRESS: Note,
    Command.HOLD: Hold,
    Command.RESUME: Empty,
    Command.CONFIRM_CANCEL: Empty,
    Command.COMPLETE: Complete,
    Command.FAIL: Fail,
}
assert BODIES.keys() == BY_TARGET


def ask_of(command: Command, body: Body, **more: Any) -> Ask:
    """The decision's input from a request."""
    return Ask(command, **body.ask(), **more)


class OfferView(BaseModel):
    """An offer. Property and inspection stand only in a property's; ``allowed`` only in one."""

    id: UUID
    case_id: UUID
    need_id: UUID
    parent_offer_id: UUID | None
    organization_id: UUID
    service_id: UUID | None
    target_kind: TargetKind
    category: NeedCategory
    urgency: Urgency
    area: list[str]
    status: OfferStatus
    business_status: BusinessStatus
    reason: Reason | None
    cancel_reason: Reason | None
    outcome: Outcome | None
    severity: Severity | None
    deadline: datetime | None
    deadline_basis: str | None
    answer_due_at: datetime | None
    appointment_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    property_id: UUID | None = None
    inspection_id: UUID | None = None
    allowed: list[Command] = Field(default=[], description="What the target may do now")


class ResidentView(BaseModel):
    """The covered facts, as intake gives them; what the consent does not cover is not there."""

    model_config = {"extra": "allow"}

    disclosure_id: UUID


class PropertyView(BaseModel):
    """Address, unit, parcel, access note; findings only for whom they are meant."""

    model_config = {"extra": "allow"}
