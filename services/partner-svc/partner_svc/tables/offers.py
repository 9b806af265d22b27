"""Offers and the consents that have ended."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.codes import (
    OFFER_OPEN,
    BusinessStatus,
    NeedCategory,
    OfferStatus,
    Outcome,
    Party,
    Reason,
    Severity,
    TargetKind,
    Urgency,
)
from handoff_kit import sets
from handoff_kit.db import Connection
from handoff_kit.tx import Tx
from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from partner_svc.domain.offers import Offer
from partner_svc.tables.base import SCHEMA, Base, json, text, time

OPEN_STATUSES = "status IN ({})".format(", ".join(f"'{s.value}'" for s in sorted(OFFER_OPEN)))


class OfferRow(Base, table=True):
    """One offer; the columns are `partner_svc.domain.offers.Offer`'s fields."""

    __tablename__ = "offer"
    __table_args__ = (
        # The offers of a need and of a case: siblings are locked by it.
        Index("offer_case", "case_id"),
        # Lists, newest first: of one target, of one target's open ones, of the agency.
        Index("offer_target", "organization_id", "created_at", "id"),
        Index(
            "offer_target_open",
            "organization_id",
            "created_at",
            "id",
            postgresql_where=sql(OPEN_STATUSES),
        ),
        Index("offer_newest", "created_at", "id", "agency_id"),
        {"schema": SCHEMA},
    )

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    case_id: UUID
    need_id: UUID
    parent_offer_id: UUID | None
    organization_id: UUID
    service_id: UUID | None
    target_kind: str = text()
    category: str = text()
    urgency: str = text()
    restricted: bool
    area: list[str] = json()
    consent_id: UUID | None
    property_id: UUID | None
    inspection_id: UUID | None
    severity: str | None = text(null=True)
    deadline: datetime | None = time(null=True)
    deadline_basis: str | None = text(null=True)
    answer_due_at: datetime | None = time(null=True)
    trace: str = text()
    created_at: datetime = time()
    updated_at: datetime = time()
    status: str = text()
    business_status: str = text()
    reason: str | None = text(null=True)
    party: str | None = text(null=True)
    cancel_reason: str | None = text(null=True)
    outcome: str | None = text(null=True)
    appointment_at: datetime | None = time(null=True)
    facts_read_at: datetime | None = time(null=True)
    version: int


# What a decision may change; all else stays as the offer was made.
CHANGING = (
    "status",
    "business_status",
    "reason",
    "party",
    "cancel_reason",
    "outcome",
    "appointment_at",
    "facts_read_at",
    "updated_at",
    "version",
)


class EndedConsentRow(Base, table=True):
    """A consent that was withdrawn or has expired: its offers give out nothing, at once."""

    __tablename__ = "ended_consent"
    __table_args__ = {"schema": SCHEMA}

    agency_id: str = text(key=True)
    id: UUID = Field(primary_key=True)
    ended_at: datetime = time()


_CODES: dict[str, Any] = {
    "target_kind": TargetKind,
    "category": NeedCategory,
    "urgency": Urgency,
    "severity": Severity,
    "status": OfferStatus,
    "business_status": BusinessStatus,
    "reason": Reason,
    "party": Party,
    "cancel_reason": Reason,
    "outcome": Outcome,
}
_NAMES = tuple(field.name for field in fields(Offer))


def offer_of(record: Any) -> Offer:
    """A row as the domain knows it, its codes as members of their lists."""
    values = {name: record[name] for name in _NAMES}
    for name, code in _CODES.items():
        if values[name] is not None:
            values[name] = code(values[name])
    return Offer(**values)


Key = tuple[str, UUID]


def _split(keys: Iterable[Key]) -> tuple[list[str], list[UUID]]:
    ordered = sorted(set(keys))
    return [agency for agency, _ in ordered], [id_ for _, id_ in ordered]


_OF = "IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"
_LOCK = "ORDER BY o.id FOR NO KEY UPDATE"


async def lock_with_siblings(connection: Connection, offers: Iterable[Key]) -> list[Offer]:
    """These offers and all others of their needs, locked in id order."""
    rows = await sets.fetch(
        connection,
        OfferRow,
        f"o WHERE (o.agency_id, o.case_id, o.need_id) IN (SELECT s.agency_id, s.case_id, s.need_id"
        f" FROM {SCHEMA}.offer s WHERE (s.agency_id, s.id) {_OF}) {_LOCK}",
        *_split(offers),
    )
    return [offer_of(row) for row in rows]


async def lock_of_needs(
    connection: Connection, needs: Iterable[tuple[str, UUID, UUID]]
) -> list[Offer]:
    """All offers of these needs, given as (agency, case, need), locked in id order."""
    ordered = sorted(set(needs))
    rows = await sets.fetch(
        connection,
        OfferRow,
        "o WHERE (o.agency_id, o.case_id, o.need_id) IN"
        f" (SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[])) {_LOCK}",
        [agency for agency, _, _ in ordered],
        [case for _, case, _ in ordered],
        [need for _, _, need in ordered],
    )
    return [offer_of(row) for row in rows]


async def ended_consents(connection: Connection, offers: Iterable[Offer]) -> set[Key]:
    """Which consents of these offers have ended."""
    keys = {(o.agency_id, o.consent_id) for o in offers if o.consent_id is not None}
    if not keys:
        return set()
    rows = await connection.fetch(
        f"SELECT agency_id, id FROM {SCHEMA}.ended_consent WHERE (agency_id, id) {_OF}",
        *_split(keys),
    )
    return {(row["agency_id"], row["id"]) for row in rows}


def keep_offers(tx: Tx, made: Sequence[Offer], changed: Sequence[Offer]) -> None:
    """Write with the set: new offers, of which one that is there already stays as it is, and what
    decisions changed.
    """
    tx.insert(OfferRow, made, "nothing")
    tx.update(OfferRow, changed, CHANGING)
