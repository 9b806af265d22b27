"""The caller's webhooks. A signing secret is shown once, and stored sealed."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from fastapi import APIRouter, Request, Response
from handoff_kit import sets
from handoff_kit.auth import Principal
from handoff_kit.crypto import make_owner_key, open_sealed, seal, unwrap_owner_key
from handoff_kit.errors import NotVisible
from handoff_kit.http import (
    TAGGED,
    IdempotencyKey,
    IfMatch,
    Page,
    PageParams,
    body_of,
    etag,
    page_of,
)

from notify_svc.api.models import ChangedWebhook, CreatedWebhook, NewWebhook, WebhookView
from notify_svc.api.parts import (
    Parts,
    Self,
    idempotency,
    known_id,
    owner,
    owners,
    spoken_by,
    version_asked,
)
from notify_svc.clients.address import check_url
from notify_svc.clients.signing import new_secret, show_secret
from notify_svc.handlers.commands import ChangeEndpoint, CreateEndpoint, DeleteEndpoint
from notify_svc.tables import EndpointRow


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(tags=["webhooks"])

    @routes.post("/webhooks", status_code=201, responses={201: TAGGED})
    async def create(
        caller: Self, body: NewWebhook, request: Request, response: Response, key: IdempotencyKey
    ) -> CreatedWebhook:
        """A new webhook; ``secret`` is shown here and never again."""
        answer = await parts.doorway.submit(
            _creation(parts, caller, body),
            idempotency=idempotency(caller, "POST /webhooks", key, await body_of(request)),
        )
        # A repeated request is answered with the webhook that the first one made.
        id_ = known_id(_id_of(answer.content()))
        row = await _find(parts, caller, id_)
        response.headers["location"] = f"/notify/v1/webhooks/{id_}"
        response.headers["etag"] = etag(row.version)
        return CreatedWebhook(**_view(row).model_dump(), secret=_secret(parts, row))

    @routes.get("/webhooks")
    async def list_webhooks(caller: Self, page: PageParams) -> Page[WebhookView]:
        """The webhooks of the caller, or of the organization that it acts for."""
        after = page.after(datetime)
        moment, last = after if after else (None, None)
        async with parts.db.tenant(caller.agency) as connection:
            rows = await sets.fetch(
                connection,
                EndpointRow,
                "e WHERE agency_id = $1 AND owner = $2"
                " AND ($3::timestamptz IS NULL OR (created_at, id) > ($3, $4::uuid))"
                " ORDER BY created_at, id LIMIT $5",
                caller.agency,
                owner(caller),
                moment,
                known_id(last) if last else None,
                page.fetch,
            )
        return page_of(rows, page, position=lambda row: (row.created_at, row.id), item=_view)

    @routes.get("/webhooks/{webhook_id}", responses={200: TAGGED})
    async def one(caller: Self, webhook_id: str, response: Response) -> WebhookView:
        row = await _find(parts, caller, known_id(webhook_id))
        response.headers["etag"] = etag(row.version)
        return _view(row)

    @routes.put("/webhooks/{webhook_id}")
    async def change(
        caller: Self,
        webhook_id: str,
        body: ChangedWebhook,
        request: Request,
        response: Response,
        _if_match: IfMatch = None,
    ) -> WebhookView:
        """Another address, other types, off or on again. The secret stays."""
        row = await _find(parts, caller, known_id(webhook_id))
        await parts.doorway.submit(
            ChangeEndpoint(
                agency_id=caller.agency,
                id=row.id,
                owner=owner(caller),
                by=spoken_by(caller),
                url=check_url(body.url, allow_private=parts.allow_private),
                types=body.types,
                enabled=body.enabled,
                if_match=version_asked(request, row.version),
            )
        )
        row = await _find(parts, caller, row.id)
        response.headers["etag"] = etag(row.version)
        return _view(row)

    @routes.delete("/webhooks/{webhook_id}", status_code=204)
    async def delete(caller: Self, webhook_id: str) -> None:
        """What still waits for it is cancelled."""
        await parts.doorway.submit(
            DeleteEndpoint(caller.agency, known_id(webhook_id), owner(caller))
        )

    return routes


def _creation(parts: Parts, caller: Principal, body: NewWebhook) -> CreateEndpoint:
    url = check_url(body.url, allow_private=parts.allow_private)
    id_ = uuid4()
    secret = new_secret(body.signature)
    key, wrapped = make_owner_key(parts.keys, id_)
    return CreateEndpoint(
        agency_id=caller.agency,
        id=id_,
        owner=owner(caller),
        by=spoken_by(caller),
        hears=owners(caller),
        url=url,
        types=body.types,
        signature=body.signature,
        wrapped_key=wrapped,
        sealed_secret=seal(key, id_, secret.raw),
        public_key=secret.public_key,
    )


def _id_of(content: bytes) -> str:
    return str(orjson.loads(content)["id"])


def _secret(parts: Parts, row: Any) -> str | None:
    if row.signature != "v1":
        return None
    key = unwrap_owner_key(parts.keys, row.id, row.wrapped_key)
    return show_secret(open_sealed(key, row.id, row.sealed_secret))


async def _find(parts: Parts, caller: Principal, id_: UUID) -> Any:
    """Raises NotVisible for another owner's webhook."""
    async with parts.db.tenant(caller.agency) as connection:
        rows = await sets.fetch(
            connection,
            EndpointRow,
            "e WHERE agency_id = $1 AND id = $2 AND owner = $3",
            caller.agency,
            id_,
            owner(caller),
        )
    if not rows:
        raise NotVisible
    return rows[0]


def _view(row: Any) -> WebhookView:
    return WebhookView(
        id=row.id,
        url=row.url,
        types=row.types,
        signature=row.signature,
        public_key=row.public_key,
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        created_at=row.created_at,
        version=row.version,
    )
