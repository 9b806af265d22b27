"""/partner/v1/organizations, /services and /directory/imports."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from event_schemas.base import Code
from event_schemas.codes import NeedCategory
from fastapi import APIRouter, Query, Request, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.clock import Clock
from handoff_kit.cursor import cursor_id, encode_cursor
from handoff_kit.errors import FieldError, Invalid, NotVisible
from handoff_kit.http import (
    TAGGED,
    BodyRule,
    IdempotencyKey,
    IfMatch,
    Page,
    PageParams,
    PageRequest,
    body_of,
    etag,
)

from partner_svc.api.directory_models import (
    ImportView,
    OrganizationView,
    PutCapacityBody,
    PutOrganizationBody,
    PutServiceBody,
    ReportRowView,
    ServiceView,
)
from partner_svc.api.parts import Parts, answered, idempotency, respond, sees_all, target
from partner_svc.domain.directory import capacity_status
from partner_svc.handlers.directory import PutCapacity, PutOrganization, PutService
from partner_svc.handlers.directory_views import organization_view, service_view
from partner_svc.handlers.importing import Import, plan_import, source_of
from partner_svc.handlers.reading import DirectoryReader, Order
from partner_svc.tables import OrganizationRow, ServiceRow
from partner_svc.tables.directory_reads import (
    import_exists,
    read_entry,
    read_named,
    read_public_locations,
    read_report,
)

IMPORTS = "/directory/imports"
# A directory is a file, not a request: its own limit and kinds of content (256 KiB for all else).
IMPORT_BODY = BodyRule(64 * 1024 * 1024, frozenset({"application/octet-stream", "application/zip"}))
# A whole report with the answer, as good as always: a city's dirty feed has some 5,000 rows, which
# by pages of 200 took as many round trips as the rest of the command took time.
FIRST_ROWS = 10_000
LAST_ROW = 2**31 - 1

Reads = Annotated[Principal, requires("directory:read")]
Writes = Annotated[Principal, requires("directory:write")]
Imports = Annotated[Principal, requires("directory:import")]
Format = Literal["auto", "hsds-3", "hsds-2", "hsds-1", "ohana"]

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in sorted(IMPORT_BODY.content_types)
        },
    }
}


def directory_router(parts: Parts) -> APIRouter:
    """Lists, single entries and changes of them."""
    router = APIRouter(tags=["directory"])

    @router.get("/organizations", response_model=Page[OrganizationView])
    async def list_organizations(caller: Reads, page: PageParams) -> Response:
        """The agency's organizations by name."""
        rows = await _named(parts, OrganizationRow, caller, page, {})
        return _page(page, rows, [organization_view(row) for row in rows[: page.limit]])

    @router.get(
        "/organizations/{organization_id}",
        response_model=OrganizationView,
        responses={200: TAGGED},
    )
    async def get_organization(caller: Reads, organization_id: UUID) -> Response:
        async with parts.db.tenant(caller.agency) as connection:
            row = await read_entry(connection, OrganizationRow, caller.agency, organization_id)
        if row is None:
            raise NotVisible
        return respond(organization_view(row), headers={"ETag": etag(row.version)})

    @router.put("/organizations/{organization_id}", response_model=OrganizationView)
    async def put_organization(
        caller: Writes,
        organization_id: UUID,
        body: PutOrganizationBody,
        if_match: IfMatch = None,
    ) -> Response:
        """A partner its own; a coordinator any, with its kind, agreement and participants."""
        own = _own(caller)
        standing = body.standing()
        if own is not None and standing:
            raise Invalid(
                errors=[
                    FieldError(name, "not-yours", "Only a coordinator may say this.")
                    for name in sorted(standing)
                ]
            )
        return answered(
            await parts.directory.submit(
                PutOrganization(
                    caller.agency, organization_id, own, if_match, body.fields(), standing
                )
            )
        )

    @router.get("/services", response_model=Page[ServiceView])
    async def list_services(
        caller: Reads,
        page: PageParams,
        organization_id: UUID | None = None,
        need: NeedCategory | None = None,
        status: Annotated[str | None, Query(max_length=40)] = None,
    ) -> Response:
        """The agency's services by name."""
        filters = {"organization_id": organization_id, "needs": need, "status": status}
        given = {name: value for name, value in filters.items() if value is not None}
        rows = await _named(parts, ServiceRow, caller, page, given)
        return _page(page, rows, [service_view(row) for row in rows[: page.limit]])

    @router.get("/services/{service_id}", response_model=ServiceView, responses={200: TAGGED})
    async def get_service(caller: Reads, service_id: UUID) -> Response:
        """One service with its places, but for confidential ones."""
        async with parts.db.tenant(caller.agency) as connection:
            row = await read_entry(connection, ServiceRow, caller.agency, service_id)
            if row is None:
                raise NotVisible
            places = row.document.get("service_at_locations") or []
            locations = await read_public_locations(
                connection, caller.agency, [place["location_id"] for place in places]
            )
        return respond(service_view(row, locations), headers={"ETag": etag(row.version)})

    @router.put("/services/{service_id}", response_model=ServiceView)
    async def put_service(
        caller: Writes, service_id: UUID, body: PutServiceBody, if_match: IfMatch = None
    ) -> Response:
        """A partner its own; a coordinator any."""
        change = PutService(caller.agency, service_id, _own(caller), if_match, body.fields())
        return answered(await parts.directory.submit(change))

    @router.put("/services/{service_id}/capacity", response_model=ServiceView)
    async def put_capacity(
        caller: Writes, service_id: UUID, body: PutCapacityBody, if_match: IfMatch = None
    ) -> Response:
        """What the service can take now; it counts from this moment."""
        status = body.status or capacity_status(body.available or 0)
        change = PutCapacity(
            caller.agency,
            service_id,
            _own(caller),
            if_match,
            status,
            body.available,
            body.maximum,
            body.unit,
        )
        return answered(await parts.directory.submit(change))

    return router


def imports_router(parts: Parts, reader: DirectoryReader, clock: Clock) -> APIRouter:
    """Imports of whole directories."""
    router = APIRouter(tags=["directory"])

    @router.post(IMPORTS, response_model=ImportView, openapi_extra=_UPLOAD)
    async def import_directory(
        request: Request,
        caller: Imports,
        source: Annotated[Code, Query(description="Name of the feed; again is an update")],
        find_source: Annotated[  # noqa: FBT002 - a query parameter
            bool,
            Query(
                description="`source` is a guess: a feed that reads as another source's next, by"
                " the ids of most services of both, is taken as that"
            ),
        ] = False,
        format: Format = "auto",
        dry_run: Annotated[  # noqa: FBT002 - a query parameter
            bool, Query(description="Read and report, keep nothing")
        ] = False,
        trusted: Annotated[  # noqa: FBT002 - a query parameter
            bool,
            Query(description="Take kinds, agreements and participants as the file states them"),
        ] = False,
        partial: Annotated[  # noqa: FBT002 - a query parameter
            bool, Query(description="A part of the feed: what it does not hold stays offered")
        ] = False,
        allow_leaving: Annotated[  # noqa: FBT002 - a query parameter
            bool, Query(description="Also if more than half of the source's services left the feed")
        ] = False,
        key: IdempotencyKey = None,
    ) -> Response:
        """A file or a zip, in one transaction; a refused one (422) changes nothing.

        Active services of the source that are not in it become inactive.
        """
        content = await body_of(request)
        if not content:
            raise Invalid("The body has to be the directory's file or zip.", code="malformed")
        if partial and allow_leaving:
            said = "Of a partial feed nothing leaves; give one of the two."
            raise Invalid(errors=[FieldError("allow_leaving", "contradicts-partial", said)])
        order = Order(
            agency=caller.agency,
            import_id=uuid4(),
            actor=caller.subject,
            source=source,
            format=format,
            trusted=trusted,
            partial=partial,
            allow_leaving=allow_leaving,
            at=clock.now(),
        )
        prepared = await asyncio.to_thread(reader.prepare, order, content)
        if find_source:
            async with parts.db.tenant(caller.agency) as connection:
                found = await source_of(connection, prepared)
            if found != source:
                prepared = await asyncio.to_thread(
                    reader.prepare, replace(order, source=found), content
                )
        if dry_run:
            return respond(await _tried(parts, prepared, order.at))
        known = await idempotency(request, caller, key)
        answer = await parts.directory.submit(prepared, idempotency=known)
        return await _with_first_rows(parts, caller, answer.content())

    @router.get(f"{IMPORTS}/{{import_id}}/rows", response_model=Page[ReportRowView])
    async def list_rows(caller: Imports, import_id: UUID, page: PageParams) -> Response:
        """What an import refused and mended, and what left."""
        seen = page.after(int)
        after = min(seen[0], LAST_ROW) if seen else 0
        return respond(await _report(parts, caller, import_id, after, page.limit))

    return router


def _own(caller: Principal) -> UUID | None:
    """The one organization that the caller may change; None: any. Raises NotVisible."""
    return None if sees_all(caller) else target(caller)


async def _named(
    parts: Parts, table: type[Any], caller: Principal, page: PageRequest, filters: Mapping[str, Any]
) -> list[Any]:
    after = page.after(str)
    position: tuple[str, UUID] | None = None
    if after is not None:
        position = after[0], cursor_id(after[1])
    async with parts.db.tenant(caller.agency) as connection:
        return await read_named(
            connection, table, caller.agency, filters=filters, after=position, limit=page.fetch
        )


def _page(page: PageRequest, rows: Sequence[Any], items: list[dict[str, Any]]) -> Response:
    last = rows[page.limit - 1] if len(rows) > page.limit else None
    cursor = encode_cursor(last.sort_name, last.id) if last else None
    return respond({"items": items, "next_cursor": cursor})


async def _tried(parts: Parts, prepared: Import, at: datetime) -> dict[str, Any]:
    """What an import would say; a trial keeps no rows, so all of them are in the answer."""
    async with parts.db.tenant(prepared.agency) as connection:
        plan = await plan_import(connection, prepared, at)
    rows = [_row_view(row) for row in plan.report]
    return {
        "import_id": prepared.id,
        "source": prepared.source,
        "dry_run": True,
        **plan.counts,
        "report": {"items": rows, "next_cursor": None},
    }


async def _with_first_rows(parts: Parts, caller: Principal, answer: bytes) -> Response:
    import orjson

    counts = orjson.loads(answer)
    report = await _report(parts, caller, UUID(counts["import_id"]), 0, FIRST_ROWS)
    return respond({"dry_run": False, **counts, "report": report})


async def _report(
    parts: Parts, caller: Principal, import_id: UUID, after: int, limit: int
) -> dict[str, Any]:
    async with parts.db.tenant(caller.agency) as connection:
        rows = await read_report(connection, caller.agency, import_id, after=after, limit=limit + 1)
        if not rows and not await import_exists(connection, caller.agency, import_id):
            raise NotVisible
    shown = rows[:limit]
    cursor = encode_cursor(shown[-1].n, import_id) if len(rows) > limit else None
    return {"items": [_row_view(row) for row in shown], "next_cursor": cursor}


def _row_view(row: Any) -> dict[str, Any]:
    names = {"n": "n", "kind": "kind", "table": "table", "row": "row"}
    names |= {"id": "feed_id", "field": "field", "reason": "reason"}
    return {name: row[column] for name, column in names.items()}
