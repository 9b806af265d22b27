"""Events on ``handoff.cases`` (and its restricted twin), written by referral."""

from typing import ClassVar, Literal

from event_schemas.base import AreaCode, Code, Event, Id, Subject, Time
from event_schemas.codes import (
    CaseStatus,
    ContactChannel,
    ContactResult,
    NeedCategory,
    NeedStatus,
    Role,
    Urgency,
)


class _Case(Event):
    TOPIC: ClassVar[str] = "cases"
    KEY: ClassVar[str] = "case_id"
    MAY_BE_RESTRICTED: ClassVar[bool] = True

    case_id: Id
    restricted: bool = False
    at: Time
    version: int
    status: CaseStatus
    actor_role: Role = Role.SYSTEM


class CaseOpened(_Case):
    """``property_id`` only where the case is a property's alone."""

    TYPE: ClassVar[str] = "handoff.case.opened.v1"

    area: list[AreaCode] = []
    property_id: Id | None = None
    referrer: Subject | None = None
    referrer_role: Role | None = None
    referrer_organization_id: Id | None = None


class CaseNeedAdded(_Case):
    """A need joined the case, its first one included."""

    TYPE: ClassVar[str] = "handoff.case.need-added.v1"

    need_id: Id
    category: NeedCategory
    urgency: Urgency
    need_status: NeedStatus
    referrer: Subject | None = None
    referrer_role: Role | None = None
    referrer_organization_id: Id | None = None
    feedback: bool = False


class CaseAssigned(_Case):
    """``organization_id`` has the case in hand; ``assignee`` is the person, where one is named."""

    TYPE: ClassVar[str] = "handoff.case.assigned.v1"

    organization_id: Id | None = None
    assignee: Subject | None = None


class CaseContactAttempted(_Case):
    TYPE: ClassVar[str] = "handoff.case.contact-attempted.v1"

    attempt_id: Id
    channel: ContactChannel
    result: ContactResult
    attempted_at: Time
    note_id: Id | None = None


class CaseClosed(_Case):
    TYPE: ClassVar[str] = "handoff.case.closed.v1"

    reason: Literal["needs-settled", "could-not-reach", "resident-declined"] | Code


class CaseReopened(_Case):
    TYPE: ClassVar[str] = "handoff.case.reopened.v1"
