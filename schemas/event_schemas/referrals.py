"""Events on ``handoff.referrals`` (and its restricted twin), written by intake and referral."""

from typing import ClassVar

from event_schemas.base import AreaCode, Code, Event, Id, Language, Subject, Time
from event_schemas.codes import (
    AgeBand,
    ClockKind,
    EncounterKind,
    NeedCategory,
    NeedStatus,
    Outcome,
    Reason,
    Role,
    Severity,
    TargetKind,
    Urgency,
)
from event_schemas.inspections import PropertyCodes


class _Referral(Event):
    TOPIC: ClassVar[str] = "referrals"
    KEY: ClassVar[str] = "case_id"
    MAY_BE_RESTRICTED: ClassVar[bool] = True

    case_id: Id
    need_id: Id
    restricted: bool = False
    at: Time


class NeedRequested(_Referral):
    """Written by intake: somebody asks for help with one thing.

    A resident's need carries a consent and what matching may use of the household, as codes and
    as far as the consent covers them, and neither property nor inspection. A property's need
    carries both and nothing of a person.
    """

    TYPE: ClassVar[str] = "handoff.need.requested.v1"

    category: NeedCategory
    urgency: Urgency
    encounter: EncounterKind
    referrer: Subject
    referrer_role: Role
    referrer_organization_id: Id | None = None
    area: list[AreaCode] = []
    note_id: Id | None = None
    # A resident's need.
    consent_id: Id | None = None
    recipients: list[Id] = []
    feedback: bool = False
    languages: list[Language] = []
    age_bands: list[AgeBand] = []
    tenure: Code | None = None
    # A property's need.
    property_id: Id | None = None
    inspection_id: Id | None = None
    property: PropertyCodes | None = None
    severity: Severity | None = None
    deadline: Time | None = None
    deadline_basis: Code | None = None


class NeedMatched(_Referral):
    """Written by referral: candidates were judged. The verdicts themselves stay in referral."""

    TYPE: ClassVar[str] = "handoff.need.matched.v1"

    category: NeedCategory
    status: NeedStatus
    target_kind: TargetKind
    policy_version: Code
    directory_version: int
    eligible: int
    ask_first: int
    excluded: int


class NeedApprovalRequested(_Referral):
    TYPE: ClassVar[str] = "handoff.need.approval-requested.v1"

    category: NeedCategory
    approvers: list[Role]


class OfferMade(_Referral):
    """Written by referral: one target is asked to meet the need."""

    TYPE: ClassVar[str] = "handoff.offer.made.v1"

    offer_id: Id
    parent_offer_id: Id | None = None
    organization_id: Id
    service_id: Id | None = None
    target_kind: TargetKind
    category: NeedCategory
    urgency: Urgency
    area: list[AreaCode] = []
    consent_id: Id | None = None
    property_id: Id | None = None
    inspection_id: Id | None = None
    severity: Severity | None = None
    deadline: Time | None = None
    deadline_basis: Code | None = None
    answer_due_at: Time | None = None


class OfferCancelRequested(_Referral):
    """Written by referral: the offer is to end. Partner decides by the offer's own state.

    ``forced`` ends an accepted offer without the target's answer (consent withdrawn).
    """

    TYPE: ClassVar[str] = "handoff.offer.cancel-requested.v1"

    offer_id: Id
    organization_id: Id
    reason: Reason
    forced: bool = False


class ClockDue(_Referral):
    """A clock of the route ran out; ``reminder`` counts from 1."""

    TYPE: ClassVar[str] = "handoff.clock.due.v1"

    offer_id: Id | None = None
    organization_id: Id | None = None
    clock: ClockKind
    due_at: Time
    reminder: int
    source: Code


class NeedSettled(_Referral):
    TYPE: ClassVar[str] = "handoff.need.settled.v1"

    category: NeedCategory
    status: NeedStatus
    outcome: Outcome | None = None
    reason: Reason | None = None
    # Last offer's target, when one met the need.
    organization_id: Id | None = None
    feedback: bool = False
