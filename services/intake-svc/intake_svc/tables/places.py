"""Properties, the keys by which they are found, and their inspections."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from intake_svc.tables.base import SCHEMA, Base, json, sealed, text, time


class PropertyRow(Base, table=True):
    """See ``domain.rows.Property``. ``wrapped_key`` opens what was said about this property."""

    __tablename__ = "property"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    place: dict[str, Any] = json()
    codes: dict[str, Any] = json()
    areas: list[str] = json()
    wrapped_key: bytes = sealed()
    created_at: datetime = time()


class PropertyKeyRow(Base, table=True):
    """One property a key: what makes two reports of the same house meet."""

    __tablename__ = "property_key"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    key: str = text(key=True)
    property_id: UUID


class InspectionRow(Base, table=True):
    """See ``domain.rows.Inspection``."""

    __tablename__ = "inspection"
    __table_args__ = (
        Index("inspection_source", "source_id", "source", "agency_id", unique=True),
        Index("inspection_property", "property_id", "inspected_at", "id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    source: str = text()
    source_id: str = text()
    property_id: UUID
    organization_id: UUID | None
    revision: int
    status: str = text()
    kind: str | None = text(null=True)
    inspected_at: datetime = time()
    content_hash: bytes = sealed()
    findings: list[Any] = json()
    suggested_needs: list[str] = json()
    cases: list[str] = json()
    sealed: bytes = sealed()
    updated_at: datetime = time()
