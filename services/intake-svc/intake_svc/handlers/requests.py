"""Bodies of commands, as callers write them. Unknown fields are errors; values are never echoed."""

from typing import Annotated, Any, Literal
from uuid import UUID

from event_schemas.base import Code, Language
from event_schemas.codes import NeedCategory, Urgency
from event_schemas.inbound import OpenCode, PropertyReport, Text
from event_schemas.times import Moment
from handoff_kit.http.models import Strict
from pydantic import Field, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
]
Count = Annotated[int, Field(ge=0, le=99)]
FieldName = Literal[
    "role",
    "name",
    "phone",
    "email",
    "languages",
    "safe_contact",
    "household",
    "tenure",
    "address",
    "notes",
]
Recipient = Literal["case-management"] | UUID
Method = Literal["spoken", "written", "electronic"]


class Encounter(Strict):
    """How referrer and resident met."""

    kind: Literal["inspection", "office-hours", "311", "ambassador", "helper", "other"]


class Household(Strict):
    """People in the household, counted."""

    adults: Count | None = None
    minors: Count | None = None
    older_adults: Count | None = None


class ResidentIn(Strict):
    """Who is referred. All of it is sealed as it arrives."""

    role: Literal["resident", "owner", "owner-occupant", "representative"] = "resident"
    name: Name
    phone: Text | None = None
    email: Email | None = None
    languages: Annotated[list[Language], Field(max_length=10)] | None = None
    safe_contact: Words | None = None
    household: Household | None = None
    tenure: OpenCode | None = None


class ConsentTerms(Strict):
    """How a consent was given and how far it goes."""

    method: Method
    language: Language
    notice_version: Code
    witness: Name | None = None
    interpreter: Name | None = None
    given_by: Name | None = None
    discloser: Name | None = None
    covers: Annotated[list[NeedCategory], Field(min_length=1, max_length=60)]
    recipients: Annotated[list[Recipient], Field(min_length=1, max_length=100)]
    purposes: Annotated[list[Code], Field(min_length=1, max_length=20)] = ["referral-and-service"]
    fields: Annotated[list[FieldName], Field(min_length=1)] | None = None
    feedback: bool = False
    expires_at: Moment | None = None


class NeedIn(Strict):
    category: NeedCategory
    urgency: Urgency = Urgency.ROUTINE
    note: Words | None = None


class ReferralIn(Strict):
    """``POST /intake/v1/referrals``: with a resident and consent, or for the property alone."""

    inspection_id: UUID | None = None
    encounter: Encounter | None = None
    property: PropertyReport | None = None
    resident: ResidentIn | None = None
    consent: ConsentTerms | None = None
    needs: Annotated[list[NeedIn], Field(min_length=1, max_length=30)]


class InspectionBatch(Strict):
    """Up to 500 inspections, each answered for itself; see ``InspectionReported`` for an item."""

    inspections: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=500)]


class ConsentIn(ConsentTerms):
    """A consent of a resident already known: for its case, or in the place of another consent."""

    case_id: UUID | None = None
    consent_id: UUID | None = None


class ReceiptConsentIn(Strict):
    """A consent given by the resident's own link: electronic, and for its own case."""

    consent_id: UUID | None = None
    language: Language
    notice_version: Code
    covers: Annotated[list[NeedCategory], Field(min_length=1, max_length=60)]
    recipients: Annotated[list[Recipient], Field(min_length=1, max_length=100)]
    purposes: Annotated[list[Code], Field(min_length=1, max_length=20)] = ["referral-and-service"]
    fields: Annotated[list[FieldName], Field(min_length=1)] | None = None
    feedback: bool = False
    expires_at: Moment | None = None


class Reader(Strict):
    """Who reads, as the calling service vouches for it."""

    organization_id: UUID | None = None
    roles: Annotated[list[Code], Field(max_length=20)] = []
    subject: Annotated[str, StringConstraints(min_length=1, max_length=80)]


class DisclosureIn(Strict):
    """What a partner's reader wants of a resident, for an offer that it accepted."""

    offer_id: UUID | None = None
    case_id: UUID
    consent_id: UUID
    organization_id: UUID
    category: NeedCategory | None = None
    purpose: Code = "referral-and-service"
    route: Code = "api"
    reader: Reader
    fields: list[FieldName] | None = None


class NoteIn(Strict):
    """A note to be sealed; ``note_id`` makes a repetition safe."""

    note_id: UUID
    case_id: UUID
    need_id: UUID | None = None
    kind: Code
    text: Words
    author: Reader


class NotesRead(Strict):
    case_id: UUID
    note_ids: Annotated[list[UUID], Field(max_length=200)]
    reader: Reader


class LinksIn(Strict):
    """One of the four: what belongs to a property or an inspection, or where cases belong."""

    property_id: UUID | None = None
    inspection_id: UUID | None = None
    source_id: Text | None = None
    case_ids: Annotated[list[UUID], Field(max_length=500)] | None = None


class PropertyRead(Strict):
    """A property, or the one of a case; a resident's case needs a consent for the address."""

    property_id: UUID | None = None
    case_id: UUID | None = None
    consent_id: UUID | None = None
    offer_id: UUID | None = None
    organization_id: UUID | None = None
    category: NeedCategory | None = None
    purpose: Code = "referral-and-service"
    route: Code = "api"
    reader: Reader | None = None
    with_findings: bool = False
