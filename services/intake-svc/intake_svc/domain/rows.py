"""The rows of intake, as plain objects: a column an attribute, the names of ``tables``."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(slots=True)
class Property:
    """A building, or a part of one. ``place`` holds the facts by which it is found.

    ``place``: parcel_id, address_id, line1, unit, city, postal_code, latitude, longitude, those
    that are known. ``codes``: the kind of building and owner. ``areas``: coarse area codes.
    """

    agency_id: str
    id: UUID
    place: dict[str, Any]
    codes: dict[str, str]
    areas: list[str]
    wrapped_key: bytes
    created_at: datetime


@dataclass(slots=True)
class PropertyKey:
    """One of the ways to find a property; see ``properties.Located``."""

    agency_id: str
    key: str
    property_id: UUID


@dataclass(slots=True)
class Inspection:
    """The latest revision of an inspection. ``sealed``: inspector and the findings' texts."""

    agency_id: str
    id: UUID
    source: str
    source_id: str
    property_id: UUID
    organization_id: UUID | None
    revision: int
    status: str
    kind: str | None
    inspected_at: datetime
    content_hash: bytes
    findings: list[dict[str, Any]]
    suggested_needs: list[str]
    cases: list[str]
    sealed: bytes
    updated_at: datetime


@dataclass(slots=True)
class Resident:
    """A person at a property. Everything said of it is in ``sealed``; the indexes are keyed."""

    agency_id: str
    id: UUID
    household_id: UUID
    property_id: UUID
    name_index: bytes
    phone_index: bytes | None
    wrapped_key: bytes
    sealed: bytes
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class PossibleMatch:
    """Two residents who may be one; a person has to say so."""

    agency_id: str
    id: UUID
    resident_id: UUID
    other_resident_id: UUID
    reason: str
    created_at: datetime


@dataclass(slots=True)
class CaseLink:
    """Whose case this is: the join that no topic carries.

    ``subject_id`` is the household, or the property where the case is the property's alone.
    ``slot`` is ``general`` or the restricted kind of need. New needs of a subject and slot go to
    the one that is ``current``.
    """

    agency_id: str
    id: UUID
    subject_id: UUID
    slot: str
    current: bool
    property_id: UUID
    resident_id: UUID | None
    assignee: str | None
    assigned_organization_id: UUID | None
    version: int
    opened_at: datetime

    @property
    def restricted(self) -> bool:
        return self.slot != GENERAL


GENERAL = "general"


@dataclass(slots=True)
class Referral:
    """What somebody referred. ``needs``: their ids, which may belong to several cases."""

    agency_id: str
    id: UUID
    case_id: UUID
    consent_id: UUID | None
    property_id: UUID
    inspection_id: UUID | None
    needs: list[str]
    encounter: str
    referrer: str
    referrer_role: str
    created_at: datetime


@dataclass(slots=True)
class Need:
    """A need that intake asked for. ``property_id`` only where it is the property's own."""

    agency_id: str
    id: UUID
    case_id: UUID
    inspection_id: UUID | None
    property_id: UUID | None
    consent_id: UUID | None
    category: str
    urgency: str
    status: str
    feedback: bool
    created_at: datetime


@dataclass(slots=True)
class Note:
    """Free text about a case, sealed under the key of ``owner_id``: a resident or a property."""

    agency_id: str
    id: UUID
    case_id: UUID
    need_id: UUID | None
    kind: str
    owner_id: UUID
    of_resident: bool
    sealed: bytes
    author: str
    author_organization_id: UUID | None
    created_at: datetime


@dataclass(slots=True)
class Consent:
    """One resident's yes, for the needs of one case. ``sealed``: witness, interpreter, giver.

    Shape after ISO/IEC TS 27560, FHIR Consent (SDOHCC), 42 CFR 2.31. ``terms`` is what was agreed
    to: method, language, notice_version, recipients, categories, purposes, fields, feedback,
    restricted, granted_by.
    """

    agency_id: str
    id: UUID
    case_id: UUID
    resident_id: UUID
    receipt_hash: bytes
    status: str
    version: int
    granted_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    terms: dict[str, Any]
    sealed: bytes

    @property
    def recipients(self) -> list[str]:
        """Organizations by id."""
        found: list[str] = self.terms["recipients"]
        return found

    @property
    def categories(self) -> list[str]:
        found: list[str] = self.terms["categories"]
        return found

    @property
    def purposes(self) -> list[str]:
        found: list[str] = self.terms["purposes"]
        return found

    @property
    def fields(self) -> list[str]:
        found: list[str] = self.terms["fields"]
        return found

    @property
    def feedback(self) -> bool:
        return bool(self.terms["feedback"])

    @property
    def restricted(self) -> bool:
        return bool(self.terms["restricted"])


@dataclass(slots=True)
class Disclosure:
    """A fact left: to whom, what for, which fields, under which consent, when, by which route."""

    agency_id: str
    id: UUID
    consent_id: UUID
    case_id: UUID
    resident_id: UUID
    organization_id: UUID
    offer_id: UUID | None
    category: str | None
    purpose: str
    fields: list[str] = field(default_factory=list)
    route: str = ""
    reader: str = ""
    at: datetime | None = None
