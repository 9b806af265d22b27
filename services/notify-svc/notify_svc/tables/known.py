"""What notify has to know of a case to address people: its own copy, of ids and codes alone."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection
from sqlalchemy import Index
from sqlmodel import Field

from notify_svc.domain.decide import Case, Consent, Need
from notify_svc.tables.base import SCHEMA, Base, json, text, time

CaseKey = tuple[str, UUID]


class NeedRow(Base, table=True):
    """Who asked for which need; the fields are `domain.decide.Need`'s."""

    __tablename__ = "need"
    __table_args__ = (Index("need_case", "case_id"), {"schema": SCHEMA})

    agency_id: str = text(key=True)
    need_id: UUID = Field(primary_key=True)
    case_id: UUID
    category: str = text()
    restricted: bool
    of_resident: bool
    referrer: str = text()
    referrer_role: str = text()


class CaseRow(Base, table=True):
    """Which organization has a case in hand; the fields are `domain.decide.Case`'s."""

    __tablename__ = "case_in_hand"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    case_id: UUID = Field(primary_key=True)
    restricted: bool
    organization_id: UUID | None = Field(nullable=True)


class ConsentRow(Base, table=True):
    """Own copy of consents; the fields are `domain.decide.Consent`'s."""

    __tablename__ = "consent"
    __table_args__ = (Index("consent_case", "case_id"), {"schema": SCHEMA})

    agency_id: str = text(key=True)
    consent_id: UUID = Field(primary_key=True)
    case_id: UUID
    restricted: bool
    state: str = text()
    feedback: bool
    categories: list[str] = json()
    granted_at: datetime = time()
    expires_at: datetime = time()


class OrganizationRow(Base, table=True):
    """The name by which an organization is told of."""

    __tablename__ = "organization"
    __table_args__ = ({"schema": SCHEMA},)

    agency_id: str = text(key=True)
    organization_id: UUID = Field(primary_key=True)
    name: str = text()
    kind: str = text()


_OF_CASES = "t WHERE (agency_id, case_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"


async def needs_of(conn: Connection, cases: Sequence[CaseKey]) -> list[Need]:
    """All needs of these cases."""
    rows = await sets.fetch(conn, NeedRow, _OF_CASES, *_columns(cases))
    return [Need(**dict(row)) for row in rows]


async def cases_by(conn: Connection, cases: Sequence[CaseKey]) -> list[Case]:
    """What is known of these cases."""
    rows = await sets.fetch(conn, CaseRow, _OF_CASES, *_columns(cases))
    return [Case(**dict(row)) for row in rows]


async def consents_of(conn: Connection, cases: Sequence[CaseKey]) -> list[Consent]:
    """All consents of these cases, ended ones included."""
    rows = await sets.fetch(conn, ConsentRow, _OF_CASES, *_columns(cases))
    return [Consent(**dict(row)) for row in rows]


async def consents_by(conn: Connection, keys: Sequence[tuple[str, UUID]]) -> list[Consent]:
    """These consents, locked in id order."""
    rows = await sets.fetch(
        conn,
        ConsentRow,
        "t WHERE (agency_id, consent_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"
        " ORDER BY consent_id FOR NO KEY UPDATE",
        *_columns(keys),
    )
    return [Consent(**dict(row)) for row in rows]


async def organization_names(
    conn: Connection, keys: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], str]:
    """Names of these organizations, as far as the directory has said them."""
    if not keys:
        return {}
    rows = await conn.fetch(
        "SELECT agency_id, organization_id, name FROM notify.organization WHERE"
        " (agency_id, organization_id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))",
        *_columns(keys),
    )
    return {(row["agency_id"], row["organization_id"]): row["name"] for row in rows}


def _columns(keys: Iterable[tuple[str, UUID]]) -> tuple[list[str], list[UUID]]:
    listed = list(keys)
    return [agency for agency, _ in listed], [id_ for _, id_ in listed]
