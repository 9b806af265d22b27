"""Residents, their cases, needs, consents, notes and disclosures. Facts stand here sealed alone."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from intake_svc.tables.base import SCHEMA, Base, json, sealed, text, time


class ResidentRow(Base, table=True):
    """See ``domain.rows.Resident``.

    ``name_index``: 16 bytes of the keyed hash of what similar names share, then 16 of the name's
    own, so that one index finds both. An empty ``wrapped_key`` is read as erased; nothing empties
    it yet.
    """

    __tablename__ = "resident"
    __table_args__ = (
        Index("resident_name", "property_id", "name_index", unique=True),
        Index(
            "resident_phone",
            "phone_index",
            postgresql_where=sql("phone_index IS NOT NULL"),
        ),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    household_id: UUID
    property_id: UUID
    name_index: bytes = sealed()
    phone_index: bytes | None = sealed(null=True)
    wrapped_key: bytes = sealed()
    sealed: bytes = sealed()
    created_at: datetime = time()
    updated_at: datetime = time()


class PossibleMatchRow(Base, table=True):
    """See ``domain.rows.PossibleMatch``."""

    __tablename__ = "possible_match"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    resident_id: UUID
    other_resident_id: UUID
    reason: str = text()
    created_at: datetime = time()


class CaseLinkRow(Base, table=True):
    """See ``domain.rows.CaseLink``."""

    __tablename__ = "case_link"
    __table_args__ = (
        Index(
            "case_link_current",
            "subject_id",
            "slot",
            unique=True,
            postgresql_where=sql("current"),
        ),
        Index("case_link_property", "property_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    subject_id: UUID
    slot: str = text()
    current: bool
    property_id: UUID
    resident_id: UUID | None
    assignee: str | None = text(null=True)
    assigned_organization_id: UUID | None
    version: int
    opened_at: datetime = time()


class ReferralRow(Base, table=True):
    """See ``domain.rows.Referral``."""

    __tablename__ = "referral"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    consent_id: UUID | None
    property_id: UUID
    inspection_id: UUID | None
    needs: list[str] = json()
    encounter: str = text()
    referrer: str = text()
    referrer_role: str = text()
    created_at: datetime = time()


class NeedRow(Base, table=True):
    """See ``domain.rows.Need``."""

    __tablename__ = "need"
    __table_args__ = (
        Index("need_case", "case_id"),
        Index(
            "need_property",
            "property_id",
            postgresql_where=sql("property_id IS NOT NULL"),
        ),
        Index(
            "need_inspection",
            "inspection_id",
            postgresql_where=sql("inspection_id IS NOT NULL"),
        ),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    inspection_id: UUID | None
    property_id: UUID | None
    consent_id: UUID | None
    category: str = text()
    urgency: str = text()
    status: str = text()
    feedback: bool
    created_at: datetime = time()


class NoteRow(Base, table=True):
    """See ``domain.rows.Note``."""

    __tablename__ = "note"
    __table_args__ = (
        Index("note_access", "case_id", postgresql_where=sql("kind = 'access'")),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    need_id: UUID | None
    kind: str = text()
    owner_id: UUID
    of_resident: bool
    sealed: bytes = sealed()
    author: str = text()
    author_organization_id: UUID | None
    created_at: datetime = time()


class ConsentRow(Base, table=True):
    """See ``domain.rows.Consent``. ``receipt_hash``: SHA-256 of the receipt, one a grant."""

    __tablename__ = "consent"
    __table_args__ = (
        Index("consent_receipt", "receipt_hash"),
        Index("consent_case", "case_id"),
        Index("consent_expiry", "expires_at", postgresql_where=sql("status = 'active'")),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    resident_id: UUID
    receipt_hash: bytes = sealed()
    status: str = text()
    version: int
    granted_at: datetime = time()
    expires_at: datetime = time()
    ended_at: datetime | None = time(null=True)
    terms: dict[str, Any] = json()
    sealed: bytes = sealed()


class DisclosureRow(Base, table=True):
    """See ``domain.rows.Disclosure``. Insert-only: 42 CFR 2.24, 45 CFR 164.528."""

    __tablename__ = "disclosure"
    __table_args__ = (
        Index("disclosure_consent", "consent_id", "at", "id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    consent_id: UUID
    case_id: UUID
    resident_id: UUID
    organization_id: UUID
    offer_id: UUID | None
    category: str | None = text(null=True)
    purpose: str = text()
    fields: list[str] = json()
    route: str = text()
    reader: str = text()
    at: datetime = time()
