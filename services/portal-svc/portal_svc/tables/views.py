"""The read models."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy import text as text_
from sqlmodel import Field

from portal_svc.tables.base import SCHEMA, Base, json, text, time


class CaseRow(Base, table=True):
    __tablename__ = "case_view"
    __table_args__ = (
        Index(
            "case_view_open",
            "agency_id",
            "opened_at",
            "id",
            postgresql_where=text_("status <> 'closed'"),
        ),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    restricted: bool
    status: str = text()
    area: list[str] = json()
    property_id: UUID | None
    organization_id: UUID | None
    assignee: str | None = text(null=True)
    attempt_ids: list[str] = json()
    last_attempt_at: datetime | None = time(null=True)
    last_attempt_result: str | None = text(null=True)
    opened_at: datetime = time()
    closed_reason: str | None = text(null=True)
    version: int
    updated_at: datetime = time()


class NeedRow(Base, table=True):
    __tablename__ = "need_view"
    __table_args__ = (
        Index("need_view_case", "case_id"),
        Index("need_view_referrer", "referrer", "requested_at"),
        Index("need_view_requested", "requested_at", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    restricted: bool
    category: str = text()
    urgency: str = text()
    status: str = text()
    status_at: datetime = time()
    outcome: str | None = text(null=True)
    of_property: bool
    referrer: str | None = text(null=True)
    referrer_organization_id: UUID | None
    consent_id: UUID | None
    area: list[str] = json()
    requested_at: datetime = time()
    settled_at: datetime | None = time(null=True)


class ConsentRow(Base, table=True):
    __tablename__ = "consent_view"

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    restricted: bool
    active: bool
    feedback: bool
    expires_at: datetime | None = time(null=True)
    version: int


class OfferRow(Base, table=True):
    __tablename__ = "offer_view"
    __table_args__ = (
        Index("offer_view_organization", "organization_id", "made_at"),
        Index("offer_view_need", "need_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    need_id: UUID
    restricted: bool
    organization_id: UUID
    target_kind: str = text()
    category: str = text()
    urgency: str | None = text(null=True)
    area: list[str] = json()
    status: str = text()
    business_status: str = text()
    reason: str | None = text(null=True)
    outcome: str | None = text(null=True)
    question_open: bool
    answer_due_at: datetime | None = time(null=True)
    appointment_at: datetime | None = time(null=True)
    made_at: datetime = time()
    version: int
    updated_at: datetime = time()


class OrganizationRow(Base, table=True):
    __tablename__ = "organization_view"

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    name: str = text()
    version: int


class DeliveryRow(Base, table=True):
    __tablename__ = "delivery_view"
    __table_args__ = (Index("delivery_view_at", "at", "agency_id"), {"schema": SCHEMA})

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    channel: str = text()
    succeeded: bool
    reason: str | None = text(null=True)
    attempts: int
    at: datetime = time()


class ParkedRow(Base, table=True):
    __tablename__ = "parked_view"
    __table_args__ = (Index("parked_view_at", "at", "agency_id"), {"schema": SCHEMA})

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    group_name: str = text()
    topic: str = text()
    event_type: str | None = text(null=True)
    reason: str = text()
    attempts: int
    at: datetime = time()


class FlowRow(Base, table=True):
    __tablename__ = "flow_view"

    agency_id: str = text(key=True)
    topic: str = text(key=True)
    last_at: datetime = time()
    last_read_at: datetime = time()
