"""The caller's deliveries: what was sent, what failed and why, and once more."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from handoff_kit import sets
from handoff_kit.auth import Principal
from handoff_kit.errors import NotVisible
from handoff_kit.http import IdempotencyKey, Page, PageParams, body_of, page_of

from notify_svc.api.models import DeliveryView, delivery_view
from notify_svc.api.parts import (
    Parts,
    Self,
    delivery_owners,
    idempotency,
    known_id,
)
from notify_svc.domain.delivery import DeliveryStatus
from notify_svc.handlers.commands import Redeliver
from notify_svc.tables import DeliveryRow
from notify_svc.tables.wakes import DUE


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(tags=["deliveries"])

    @routes.get("/deliveries")
    async def list_deliveries(
        caller: Self,
        page: PageParams,
        status: Annotated[DeliveryStatus | None, Query()] = None,
        endpoint_id: Annotated[UUID | None, Query()] = None,
    ) -> Page[DeliveryView]:
        """Deliveries to the caller's webhooks and its own mails, newest first."""
        after = page.after(datetime)
        moment, last = after if after else (None, None)
        async with parts.db.tenant(caller.agency) as connection:
            rows = await sets.fetch(
                connection,
                DeliveryRow,
                "d WHERE agency_id = $1 AND owner = ANY($2::text[])"
                " AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))"
                " AND ($5::text IS NULL OR status = $5)"
                " AND ($6::uuid IS NULL OR endpoint_id = $6)"
                " ORDER BY created_at DESC, id DESC LIMIT $7",
                caller.agency,
                delivery_owners(caller),
                moment,
                known_id(last) if last else None,
                status.value if status else None,
                endpoint_id,
                page.fetch,
            )
        return page_of(
            rows, page, position=lambda row: (row.created_at, row.id), item=delivery_view
        )

    @routes.get("/deliveries/{delivery_id}")
    async def one(caller: Self, delivery_id: str) -> DeliveryView:
        return await _find(parts, caller, known_id(delivery_id))

    @routes.post("/deliveries/{delivery_id}/redeliver", status_code=202)
    async def redeliver(
        caller: Self, delivery_id: str, request: Request, key: IdempotencyKey
    ) -> DeliveryView:
        """Send it once more, with the same webhook-id; if that fails, its schedule begins again."""
        id_ = known_id(delivery_id)
        await parts.doorway.submit(
            Redeliver(caller.agency, id_, tuple(delivery_owners(caller))),
            idempotency=idempotency(
                caller, f"POST /deliveries/{id_}/redeliver", key, await body_of(request)
            ),
        )
        parts.wakes.wake(DUE)
        return await _find(parts, caller, id_)

    return routes


async def _find(parts: Parts, caller: Principal, id_: UUID) -> DeliveryView:
    """Raises NotVisible for another owner's delivery."""
    async with parts.db.tenant(caller.agency) as connection:
        rows = await sets.fetch(
            connection,
            DeliveryRow,
            "d WHERE agency_id = $1 AND id = $2 AND owner = ANY($3::text[])",
            caller.agency,
            id_,
            delivery_owners(caller),
        )
    if not rows:
        raise NotVisible
    return delivery_view(rows[0])
