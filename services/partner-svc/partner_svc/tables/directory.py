"""Organizations, services and locations of the directory, its version, and its imports."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from partner_svc.tables.base import SCHEMA, Base, json, text, time, whole


class OrganizationRow(Base, table=True):
    """An organization. ``document``: the whole HSDS 3.1 object; the columns are what is asked for.

    ``version`` counts its changes; ``hash`` is of the document and the columns as they were
    imported, so that the same file again changes nothing.
    """

    __tablename__ = "organization"
    __table_args__ = (
        Index("organization_name", "sort_name", "id", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    name: str = text()
    sort_name: str = text()
    kind: str = text()
    agreement_active: bool
    enforcement: bool
    participants: list[str] = json()
    document: dict[str, Any] = json()
    source: str = text()
    hash: bytes
    version: int
    updated_at: datetime = time()


class ServiceRow(Base, table=True):
    """A service of an organization. Capacity is said by its partner and survives an import.

    ``left_at``: when its source's feed first came without it, which took it out of offering.
    """

    __tablename__ = "service"
    __table_args__ = (
        Index("service_name", "sort_name", "id", "agency_id"),
        Index("service_organization", "organization_id", "sort_name", "id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    organization_id: UUID
    name: str = text()
    sort_name: str = text()
    status: str = text()
    needs: list[str] = json()
    areas: list[str] = json()
    areas_partly: list[str] = json()
    area_unknown: bool
    minimum_age: float | None
    maximum_age: float | None
    languages: list[str] = json()
    languages_unknown: bool
    interpretation: bool | None
    eligibility: dict[str, Any] = json()
    capacity: str | None = text(null=True)
    capacity_available: int | None
    capacity_said_at: datetime | None = time(null=True)
    assured_at: datetime | None = time(null=True)
    left_at: datetime | None = time(null=True)
    document: dict[str, Any] = json()
    source: str = text()
    hash: bytes
    version: int
    updated_at: datetime = time()


class LocationRow(Base, table=True):
    """A place. ``public`` is false for a confidential one, such as a shelter's address."""

    __tablename__ = "location"
    __table_args__ = {"schema": SCHEMA}

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    public: bool
    document: dict[str, Any] = json()
    source: str = text()
    hash: bytes
    version: int
    updated_at: datetime = time()


class DirectoryHeadRow(Base, table=True):
    """The directory's version: it grows by one with each set of changes. Its row is the lock."""

    __tablename__ = "directory_head"
    __table_args__ = {"schema": SCHEMA}

    agency_id: str = text(key=True)
    version: int = whole()


class ImportRow(Base, table=True):
    """One import of a directory, with its counts."""

    __tablename__ = "directory_import"
    __table_args__ = {"schema": SCHEMA}

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    source: str = text()
    format: str = text()
    actor: str = text()
    at: datetime = time()
    counts: dict[str, Any] = json()


class ImportReportRow(Base, table=True):
    """One thing that an import refused or mended, or that left; ``n`` counts from 1."""

    __tablename__ = "directory_import_row"
    __table_args__ = {"schema": SCHEMA}

    agency_id: str = text(key=True)
    import_id: UUID = Field(primary_key=True)
    n: int = Field(primary_key=True)
    kind: str = text()
    table: str = text()
    row: int | None
    feed_id: str = text()
    field: str = text()
    reason: str = text()
