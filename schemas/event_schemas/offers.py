"""Events on ``handoff.offers`` (and its restricted twin), written by partner alone."""

from typing import ClassVar

from event_schemas.base import Event, Id, Time
from event_schemas.codes import (
    BusinessStatus,
    NeedCategory,
    OfferStatus,
    Outcome,
    Party,
    Reason,
    Role,
    TargetKind,
)


class _Offer(Event):
    TOPIC: ClassVar[str] = "offers"
    KEY: ClassVar[str] = "case_id"
    MAY_BE_RESTRICTED: ClassVar[bool] = True

    offer_id: Id
    case_id: Id
    need_id: Id
    restricted: bool = False
    organization_id: Id
    service_id: Id | None = None
    target_kind: TargetKind
    category: NeedCategory
    status: OfferStatus
    business_status: BusinessStatus
    version: int
    actor_role: Role
    at: Time
    note_id: Id | None = None


class OfferAccepted(_Offer):
    """``revived``: a late answer to an offer that silence had cancelled."""

    TYPE: ClassVar[str] = "handoff.offer.accepted.v1"
    revived: bool = False


class OfferRejected(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.rejected.v1"
    reason: Reason
    party: Party


class OfferQuestionAsked(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.question-asked.v1"


class OfferScheduled(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.scheduled.v1"
    appointment_at: Time


class OfferNoShow(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.no-show.v1"


class OfferAppointmentCancelled(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.appointment-cancelled.v1"
    reason: Reason | None = None


class OfferProgressed(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.progressed.v1"


class OfferHeld(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.held.v1"
    reason: Reason


class OfferResumed(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.resumed.v1"


class OfferCompleted(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.completed.v1"
    outcome: Outcome


class OfferFailed(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.failed.v1"
    reason: Reason
    party: Party


class OfferCancelled(_Offer):
    TYPE: ClassVar[str] = "handoff.offer.cancelled.v1"
    reason: Reason
    party: Party
