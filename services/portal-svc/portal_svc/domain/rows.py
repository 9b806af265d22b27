"""The read models as rows: what the log told, as far as the pages show it.

Codes are kept as text; lists are JSONB. ``restricted`` rows are hidden from every reader that does
not ask for them by a rule of its own (row-level security holds that too).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(slots=True)
class CaseView:
    """``version`` is referral's; 0 until the case itself was heard of."""

    agency_id: str
    id: UUID
    restricted: bool
    status: str
    area: list[str]
    property_id: UUID | None
    organization_id: UUID | None
    assignee: str | None
    attempt_ids: list[str]
    last_attempt_at: datetime | None
    last_attempt_result: str | None
    opened_at: datetime
    closed_reason: str | None
    version: int
    updated_at: datetime


@dataclass(slots=True)
class NeedView:
    """``status`` is what referral last said, at ``status_at``; what offers add is told by them."""

    agency_id: str
    id: UUID
    case_id: UUID
    restricted: bool
    category: str
    urgency: str
    status: str
    status_at: datetime
    outcome: str | None
    of_property: bool
    referrer: str | None
    referrer_organization_id: UUID | None
    consent_id: UUID | None
    area: list[str]
    requested_at: datetime
    settled_at: datetime | None


@dataclass(slots=True)
class ConsentView:
    """Whether who referred may hear how it went: only while ``active``, and with ``feedback``."""

    agency_id: str
    id: UUID
    case_id: UUID
    restricted: bool
    active: bool
    feedback: bool
    expires_at: datetime | None
    version: int


@dataclass(slots=True)
class OfferView:
    """``version`` is partner's; 0 until its first word about the offer."""

    agency_id: str
    id: UUID
    case_id: UUID
    need_id: UUID
    restricted: bool
    organization_id: UUID
    target_kind: str
    category: str
    urgency: str | None
    area: list[str]
    status: str
    business_status: str
    reason: str | None
    outcome: str | None
    question_open: bool
    answer_due_at: datetime | None
    appointment_at: datetime | None
    made_at: datetime
    version: int
    updated_at: datetime


@dataclass(slots=True)
class OrganizationView:
    agency_id: str
    id: UUID
    name: str
    version: int


@dataclass(slots=True)
class DeliveryView:
    """One delivery's last word: it arrived, or was given up for *reason*."""

    agency_id: str
    id: UUID
    channel: str
    succeeded: bool
    reason: str | None
    attempts: int
    at: datetime


@dataclass(slots=True)
class ParkedView:
    """What a consumer could not take."""

    agency_id: str
    id: UUID
    group_name: str
    topic: str
    event_type: str | None
    reason: str
    attempts: int
    at: datetime
