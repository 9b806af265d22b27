"""Inspections as departments report and read them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from event_schemas.inbound import InspectionReported
from fastapi import APIRouter, Query, Request
from handoff_kit import sets
from handoff_kit.auth import requires
from handoff_kit.auth.roles import Principal
from handoff_kit.crypto import open_json, unwrap_owner_key
from handoff_kit.errors import HandoffError, Invalid, NotVisible
from handoff_kit.http import Page, PageParams, body_of, direct, json_response, page_of, parse
from handoff_kit.http.pages import PageRequest
from handoff_kit.http.problems import field_errors
from pydantic import ValidationError
from starlette.responses import Response

from intake_svc.api.parts import (
    Parts,
    cause,
    documented,
    id_after,
    idempotency,
    organization_of,
    respond,
)
from intake_svc.domain.rows import Inspection, Property
from intake_svc.handlers.findings import INBOUND, Report
from intake_svc.handlers.inspections import refused_item
from intake_svc.handlers.places import shown as shown_place
from intake_svc.handlers.requests import InspectionBatch
from intake_svc.tables import InspectionRow, PropertyRow

Writer = Annotated[Principal, requires("inspections:write")]
Reader = Annotated[Principal, requires("inspections:read")]
_OWN = "(t.organization_id IS NULL OR $2::uuid IS NULL OR t.organization_id = $2)"


def router(parts: Parts) -> APIRouter:
    """Operations under /intake/v1/inspections and /intake/v1/inbound."""
    routes = APIRouter(tags=["inspections"])
    _writes(routes, parts)
    _reads(routes, parts)
    return routes


def _writes(routes: APIRouter, parts: Parts) -> None:
    @routes.post(
        "/inspections",
        status_code=201,
        openapi_extra=documented(InspectionReported),
        responses={200: {"description": "Known already: unchanged, corrected or closed"}},
    )
    @direct
    async def report(request: Request, caller: Writer) -> Response:
        """One inspection with its findings. The same source and source_id is the same inspection:
        unchanged content changes nothing, other content is a correction. A time before 1900-01-02
        or more than a day ahead (a deadline: ten years) stands for none and is refused."""
        body = await body_of(request)
        command = Report(
            caller.agency,
            caller.subject,
            organization_of(caller),
            parse(InspectionReported, body),
            cause(),
        )
        used = await idempotency(request, caller.agency, caller.caller, "inspections")
        return respond(await parts.inspections.submit(command, idempotency=used))

    @routes.post("/inspections/batch", status_code=200, openapi_extra=documented(InspectionBatch))
    @direct
    async def report_many(request: Request, caller: Writer) -> Response:
        """Up to 500 inspections; each has a result of its own, in order: status 201 or 200 with
        what one inspection is answered with, or 422 with its errors."""
        used = await idempotency(request, caller.agency, caller.caller, "inspections/batch")
        batch = parse(InspectionBatch, await body_of(request))
        results: list[dict[str, Any]] = []
        taken: list[Report] = []
        for item in batch.inspections:
            data = _item(item)
            if isinstance(data, HandoffError):
                results.append(refused_item(data))
                continue
            results.append({})
            taken.append(
                Report(caller.agency, caller.subject, organization_of(caller), data, cause())
            )
        if taken:
            answer = await parts.inspections.submit(taken, idempotency=used)
            done = iter(orjson.loads(answer.content())["results"])
            results = [result or next(done) for result in results]
        return json_response({"results": results})


def _item(item: dict[str, Any]) -> InspectionReported | HandoffError:
    try:
        return InspectionReported.model_validate_json(orjson.dumps(item))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        return Invalid(errors=field_errors(found))


def _reads(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/inspections/{inspection_id:uuid}")
    async def read(inspection_id: UUID, caller: Reader) -> dict[str, Any]:
        """An inspection that the caller's organization reported, findings with their texts."""
        async with parts.db.tenant(caller.agency) as conn:
            rows = await sets.fetch(
                conn,
                InspectionRow,
                f"t WHERE t.agency_id = $1 AND {_OWN} AND t.id = $3",
                caller.agency,
                organization_of(caller),
                inspection_id,
            )
            if not rows:
                raise NotVisible
            inspection = Inspection(*rows[0].values())
            places = await sets.fetch(
                conn,
                PropertyRow,
                "t WHERE t.agency_id = $1 AND t.id = $2",
                caller.agency,
                inspection.property_id,
            )
        return _shown(parts, inspection, Property(*places[0].values()))

    @routes.get("/inspections")
    async def list_(
        caller: Reader,
        page: PageParams,
        property_id: Annotated[UUID | None, Query(alias="property")] = None,
    ) -> Page[dict[str, Any]]:
        """Inspections that the caller's organization reported: of one property, the oldest first;
        of all, in the order of their ids."""
        rows = await (
            _all(parts, caller, page)
            if property_id is None
            else _of_property(parts, caller, page, property_id)
        )
        return page_of(
            [Inspection(*row.values()) for row in rows],
            page,
            position=lambda row: (row.inspected_at, row.id) if property_id else ("", row.id),
            item=_listed,
        )

    @routes.get("/inbound/rejected")
    async def rejected(caller: Reader, page: PageParams) -> Page[dict[str, Any]]:
        """Records of the inbound topic that could not be taken, with the reason; newest last."""
        after = page.after(datetime)
        async with parts.db.tenant(caller.agency) as conn:
            rows = await conn.fetch(
                "SELECT id, source, event_id, reason, detail, state, attempts, parked_at"
                " FROM intake.parked WHERE group_name = $1 AND agency_id = $2"
                " AND state NOT IN ('done', 'dropped')"
                " AND ($3::timestamptz IS NULL OR (parked_at, id) > ($3, $4::uuid))"
                " ORDER BY parked_at, id LIMIT $5",
                INBOUND,
                caller.agency,
                after[0] if after else None,
                id_after(after),
                page.fetch,
            )
        return page_of(
            rows,
            page,
            position=lambda row: (row["parked_at"], row["id"]),
            item=lambda row: {
                "id": str(row["id"]),
                "at": row["parked_at"],
                "source": row["source"],
                "event_id": row["event_id"],
                "reason": row["reason"],
                "detail": row["detail"],
                "state": row["state"],
                "attempts": row["attempts"],
            },
        )


async def _all(parts: Parts, caller: Principal, page: PageRequest) -> list[Any]:
    after = page.after(str)
    async with parts.db.tenant(caller.agency) as conn:
        return await sets.fetch(
            conn,
            InspectionRow,
            f"t WHERE t.agency_id = $1 AND {_OWN} AND ($3::uuid IS NULL OR t.id > $3)"
            " ORDER BY t.agency_id, t.id LIMIT $4",
            caller.agency,
            organization_of(caller),
            id_after(after),
            page.fetch,
        )


async def _of_property(
    parts: Parts, caller: Principal, page: PageRequest, property_id: UUID
) -> list[Any]:
    after = page.after(datetime)
    async with parts.db.tenant(caller.agency) as conn:
        return await sets.fetch(
            conn,
            InspectionRow,
            f"t WHERE t.agency_id = $1 AND {_OWN} AND t.property_id = $3"
            " AND ($4::timestamptz IS NULL OR (t.inspected_at, t.id) > ($4, $5::uuid))"
            " ORDER BY t.inspected_at, t.id LIMIT $6",
            caller.agency,
            organization_of(caller),
            property_id,
            after[0] if after else None,
            id_after(after),
            page.fetch,
        )


def _listed(row: Inspection) -> dict[str, Any]:
    return {
        "inspection_id": str(row.id),
        "property_id": str(row.property_id),
        "source": row.source,
        "source_id": row.source_id,
        "kind": row.kind,
        "status": row.status,
        "inspected_at": row.inspected_at,
        "revision": row.revision,
        "cases": row.cases,
        "suggested_needs": row.suggested_needs,
        "findings": row.findings,
    }


def _shown(parts: Parts, row: Inspection, place: Property) -> dict[str, Any]:
    secret: dict[str, Any] = {}
    if row.sealed:
        key = unwrap_owner_key(parts.office.keys, place.id, place.wrapped_key or None)
        secret = open_json(key, place.id, row.sealed)
    texts = secret.get("texts", {})
    findings = [
        finding | ({"text": texts[id_]} if (id_ := finding["finding_id"]) in texts else {})
        for finding in row.findings
    ]
    return _listed(row) | {
        "inspector": secret.get("inspector"),
        "findings": findings,
        "property": shown_place(place) | place.codes | {"areas": place.areas},
    }
