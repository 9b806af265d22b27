"""Reads for one caller: its agency's rows, newest first."""

from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.codes import OfferStatus
from handoff_kit import sets
from handoff_kit.db import Connection

from partner_svc.domain.offers import Offer
from partner_svc.tables.base import SCHEMA
from partner_svc.tables.offers import OfferRow, offer_of


async def read_offers(
    connection: Connection,
    agency: str,
    *,
    organization_id: UUID | None,
    restricted: bool,
    status: OfferStatus | None,
    case_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Offer]:
    """Up to *limit* offers, newest first, after the (time, id) of the last one seen.

    *restricted*: whether restricted ones are among them.
    """
    where: list[str] = ["o.agency_id = $1"]
    values: list[Any] = [agency]

    def take(condition: str, *given: Any) -> None:
        values.extend(given)
        numbers = range(len(values) - len(given) + 1, len(values) + 1)
        where.append(condition.format(*(f"${n}" for n in numbers)))

    if organization_id is not None:
        take("o.organization_id = {}", organization_id)
    if case_id is not None:
        take("o.case_id = {}", case_id)
    if not restricted:
        take("NOT o.restricted")
    if status is not None:
        # As a constant, so that the index of open offers serves; it is a member of a closed list.
        take(f"o.status = '{status.value}'")
    if after is not None:
        take("(o.created_at, o.id) < ({}, {})", after[0], after[1])
    rows = await sets.fetch(
        connection,
        OfferRow,
        f"o WHERE {' AND '.join(where)} ORDER BY o.created_at DESC, o.id DESC LIMIT {limit:d}",
        *values,
    )
    return [offer_of(row) for row in rows]


async def read_offer(
    connection: Connection, agency: str, offer_id: UUID
) -> tuple[Offer, list[Offer], bool] | None:
    """An offer, the offers of its need, and whether its consent has ended. One query."""
    rows = await sets.fetch(
        connection,
        OfferRow,
        f"o WHERE (o.agency_id, o.case_id, o.need_id) IN (SELECT s.agency_id, s.case_id, s.need_id"
        f" FROM {SCHEMA}.offer s WHERE s.agency_id = $1 AND s.id = $2) ORDER BY o.id",
        agency,
        offer_id,
    )
    offers = [offer_of(row) for row in rows]
    offer = next((o for o in offers if o.id == offer_id), None)
    if offer is None:
        return None
    ended = offer.consent_id is not None and await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {SCHEMA}.ended_consent WHERE agency_id = $1 AND id = $2)",
        agency,
        offer.consent_id,
    )
    return offer, offers, bool(ended)
