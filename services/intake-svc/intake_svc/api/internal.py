"""What other services ask of intake, with their own tokens; see ``docs/architecture.md``."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from handoff_kit.auth import requires
from handoff_kit.auth.roles import Principal
from handoff_kit.errors import FieldError, Invalid
from handoff_kit.http import body_of, direct, json_body, json_response, parse
from starlette.responses import Response

from intake_svc.api.parts import Parts, respond
from intake_svc.domain.rows import GENERAL
from intake_svc.handlers.disclosures import Reading
from intake_svc.handlers.notes import SealNote
from intake_svc.handlers.requests import (
    DisclosureIn,
    LinksIn,
    NoteIn,
    NotesRead,
    PropertyRead,
)

Discloser = Annotated[Principal, requires("service:disclose")]
Sealer = Annotated[Principal, requires("service:seal")]
Linker = Annotated[Principal, requires("service:link")]


def router(parts: Parts) -> APIRouter:
    """Operations between services."""
    routes = APIRouter(tags=["between services"])

    async def read(
        request: Request, caller: Principal, model: type[DisclosureIn | NotesRead | PropertyRead]
    ) -> Response:
        body = parse(model, await body_of(request))
        command = Reading(caller.agency, caller.subject, body)
        return respond(await parts.readings.submit(command))

    @routes.post("/disclosures", openapi_extra=json_body(DisclosureIn))
    @direct
    async def disclose(request: Request, caller: Discloser) -> Response:
        """The facts that a consent covers at this moment; one disclosure is written."""
        return await read(request, caller, DisclosureIn)

    @routes.post("/notes", status_code=204, openapi_extra=json_body(NoteIn))
    @direct
    async def seal(request: Request, caller: Sealer) -> Response:
        """Seal a note of a case; idempotent by note_id."""
        body = parse(NoteIn, await body_of(request))
        return respond(await parts.notes.submit(SealNote(caller.agency, body)))

    @routes.post("/notes/read", openapi_extra=json_body(NotesRead))
    @direct
    async def read_notes(request: Request, caller: Discloser) -> Response:
        """Those of the notes that the reader may see; the others are left out."""
        return await read(request, caller, NotesRead)

    @routes.post("/properties/read", openapi_extra=json_body(PropertyRead))
    @direct
    async def read_property(request: Request, caller: Discloser) -> Response:
        """Address, unit, parcel, access note; a resident's home only by consent, disclosed."""
        return await read(request, caller, PropertyRead)

    @routes.post("/links", openapi_extra=json_body(LinksIn))
    @direct
    async def links(request: Request, caller: Linker) -> Response:
        """Cases of a property or an inspection, or property and inspection of cases. Restricted
        cases are never linked."""
        body = parse(LinksIn, await body_of(request))
        given = [name for name, value in body if value is not None]
        if len(given) != 1:
            fault = FieldError("", "one-of", "One of the four is needed.")
            raise Invalid(errors=[fault])
        async with parts.db.tenant(caller.agency) as conn:
            return json_response(await _LINKS[given[0]](conn, caller.agency, body))

    return routes


async def _of_property(conn: Any, agency: str, body: LinksIn) -> dict[str, Any]:
    rows = await conn.fetch(
        "SELECT id FROM intake.case_link WHERE agency_id = $1 AND property_id = $2"
        " AND slot = $3 ORDER BY opened_at, id",
        agency,
        body.property_id,
        GENERAL,
    )
    return _case_ids([row["id"] for row in rows])


_OF_INSPECTION = (
    "SELECT DISTINCT n.case_id FROM intake.need n JOIN intake.case_link c"
    " ON c.agency_id = n.agency_id AND c.id = n.case_id AND c.slot = $3"
    " WHERE n.agency_id = $1 AND n.inspection_id"
)


async def _of_inspection(conn: Any, agency: str, body: LinksIn) -> dict[str, Any]:
    rows = await conn.fetch(f"{_OF_INSPECTION} = $2", agency, body.inspection_id, GENERAL)
    return _case_ids([row["case_id"] for row in rows])


async def _of_source(conn: Any, agency: str, body: LinksIn) -> dict[str, Any]:
    rows = await conn.fetch(
        f"{_OF_INSPECTION} IN (SELECT id FROM intake.inspection"
        " WHERE agency_id = $1 AND source_id = $2)",
        agency,
        body.source_id,
        GENERAL,
    )
    return _case_ids([row["case_id"] for row in rows])


async def _of_cases(conn: Any, agency: str, body: LinksIn) -> dict[str, Any]:
    rows = await conn.fetch(
        "SELECT c.id, c.property_id, (SELECT n.inspection_id FROM intake.need n"
        "  WHERE n.agency_id = c.agency_id AND n.case_id = c.id AND n.inspection_id IS NOT NULL"
        "  ORDER BY n.created_at, n.id LIMIT 1) AS inspection_id"
        " FROM intake.case_link c WHERE c.agency_id = $1 AND c.id = ANY($2::uuid[])"
        " AND c.slot = $3",
        agency,
        body.case_ids,
        GENERAL,
    )
    return {
        str(row["id"]): {
            "property_id": str(row["property_id"]),
            "inspection_id": str(row["inspection_id"]) if row["inspection_id"] else None,
        }
        for row in rows
    }


def _case_ids(ids: list[UUID]) -> dict[str, Any]:
    return {"case_ids": [str(id_) for id_ in ids]}


_LINKS: dict[str, Callable[[Any, str, LinksIn], Awaitable[dict[str, Any]]]] = {
    "property_id": _of_property,
    "inspection_id": _of_inspection,
    "source_id": _of_source,
    "case_ids": _of_cases,
}
