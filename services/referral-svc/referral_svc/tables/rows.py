"""The tables of the schema ``referral``.

Case, need and offer have the columns of `domain.records` in their order. An offer and a timeline
row are found by their case alone, so their primary keys begin with it: one index instead of two.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

SCHEMA = "referral"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of referral's tables; it has metadata of its own."""


METADATA = Base.metadata


def _code(*, key: bool = False, null: bool = False) -> Any:
    return Field(sa_type=Text, primary_key=key, nullable=null)


def _time(*, null: bool = False) -> Any:
    return Field(sa_type=DateTime(timezone=True), nullable=null)


def _json() -> Any:
    return Field(sa_type=JSONB, nullable=False)


def _big() -> Any:
    return Field(sa_type=BigInteger, nullable=False)


class CaseRow(Base, table=True):
    """A household's or a property's case. ``attempts``: contact attempts, newest last."""

    __tablename__ = "case"
    __table_args__ = (
        Index("case_newest", "opened_at", "id", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    status: str = _code()
    restricted: bool
    area: list[str] = _json()
    property_id: UUID | None
    organization_id: UUID | None
    assignee: str | None = _code(null=True)
    opened_at: datetime = _time()
    closed_at: datetime | None = _time(null=True)
    close_reason: str | None = _code(null=True)
    attempts: list[dict[str, Any]] = _json()
    version: int


class NeedRow(Base, table=True):
    """One thing that should be got."""

    __tablename__ = "need"
    __table_args__ = (
        Index("need_case", "case_id"),
        Index(
            "need_waiting",
            "agency_id",
            "requested_at",
            "id",
            postgresql_where=text("attention IN ('ask-first', 'no-candidates')"),
        ),
        Index("need_referrer", "referrer", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    category: str = _code()
    urgency: str = _code()
    severity: str | None = _code(null=True)
    status: str = _code()
    outcome: str | None = _code(null=True)
    reason: str | None = _code(null=True)
    attention: str | None = _code(null=True)
    restricted: bool
    referrer: str = _code()
    referrer_role: str = _code()
    referrer_organization_id: UUID | None
    feedback: bool
    consent_id: UUID | None
    inspection_id: UUID | None
    deadline: datetime | None = _time(null=True)
    deadline_basis: str | None = _code(null=True)
    route: str = _code()
    target_kind: str = _code()
    match_id: UUID | None
    requested_at: datetime = _time()
    settled_at: datetime | None = _time(null=True)
    version: int


class OfferRow(Base, table=True):
    """One try at meeting a need, as far as partner has said."""

    __tablename__ = "offer"
    __table_args__ = (
        Index("offer_organization", "organization_id", "agency_id"),
        Index("offer_clock", "clock_due_at", postgresql_where=text("clock_due_at IS NOT NULL")),
        {"schema": SCHEMA},
    )

    agency_id: str = _code(key=True)
    case_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    need_id: UUID
    parent_offer_id: UUID | None
    organization_id: UUID
    service_id: UUID | None
    target_kind: str = _code()
    status: str = _code()
    reason: str | None = _code(null=True)
    outcome: str | None = _code(null=True)
    asked: str | None = _code(null=True)
    match_id: UUID | None
    by_hand: bool
    made_at: datetime = _time()
    ended_at: datetime | None = _time(null=True)
    answer_due_at: datetime | None = _time(null=True)
    clock: str | None = _code(null=True)
    clock_due_at: datetime | None = _time(null=True)
    clock_left: int | None
    reminders: int
    turn: int


class TimelineRow(Base, table=True):
    """Entries that were written together; ``n`` is the case's version after them."""

    __tablename__ = "timeline"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = _code(key=True)
    case_id: UUID = Field(primary_key=True)
    n: int = Field(primary_key=True)
    at: datetime = _time()
    entries: list[dict[str, Any]] = _json()


class MatchRow(Base, table=True):
    """A match: what was looked at and every candidate's verdict. ``id`` is a hash of it."""

    __tablename__ = "match"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    inputs: dict[str, Any] = _json()
    candidates: list[dict[str, Any]] = _json()
    policy_version: str = _code()
    directory_version: int
    made_at: datetime = _time()


class ConsentRow(Base, table=True):
    """A consent's latest word: whom and what it covers, and whether it is ``over``."""

    __tablename__ = "consent"
    __table_args__ = (
        Index("consent_case", "case_id"),
        Index("consent_over", "id", postgresql_where=text("over")),
        {"schema": SCHEMA},
    )

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    over: bool
    recipients: list[str] = _json()
    categories: list[str] = _json()
    feedback: bool
    at: datetime = _time()


class TurnRow(Base, table=True):
    """When a service was last asked, in microseconds since 1970: who waited longest is next."""

    __tablename__ = "turn"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    asked: int = _big()


class DirectoryHeadRow(Base, table=True):
    """``stamp`` grows with every set of changes to this copy of the directory."""

    __tablename__ = "directory_head"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = _code(key=True)
    stamp: int = _big()


class RetryRow(Base, table=True):
    """How far the needs that wait for a candidate were looked at since the directory changed.

    ``done`` and ``target`` are stamps; a round is under way while they differ.
    """

    __tablename__ = "retry"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = _code(key=True)
    done: int = _big()
    target: int = _big()
    after_at: datetime | None = _time(null=True)
    after_id: UUID | None
    began_at: datetime = _time()


class OrganizationRow(Base, table=True):
    __tablename__ = "organization"
    __table_args__ = (
        Index("organization_stamp", "stamp", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    name: str = _code()
    kind: str = _code()
    agreement_active: bool
    participants: list[str] = _json()
    version: int
    deleted: bool
    stamp: int = _big()


class ServiceRow(Base, table=True):
    """``declined_at``: when it last declined for want of capacity."""

    __tablename__ = "service"
    __table_args__ = (
        Index("service_stamp", "stamp", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = _code(key=True)
    id: UUID = Field(primary_key=True)
    organization_id: UUID
    name: str = _code()
    status: str = _code()
    needs: list[str] = _json()
    areas: list[str] = _json()
    areas_partly: list[str] = _json()
    area_unknown: bool
    minimum_age: float | None
    maximum_age: float | None
    languages: list[str] = _json()
    languages_unknown: bool
    interpretation: bool | None
    eligibility: dict[str, Any] = _json()
    capacity: str | None = _code(null=True)
    capacity_available: int | None
    capacity_said_at: datetime | None = _time(null=True)
    declined_at: datetime | None = _time(null=True)
    version: int
    deleted: bool
    stamp: int = _big()
