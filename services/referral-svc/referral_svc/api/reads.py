"""What is read: cases, one case, its timeline, the candidates for a need."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from event_schemas.codes import CaseStatus
from fastapi import APIRouter, Query, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.cursor import encode_cursor
from handoff_kit.db import Connection
from handoff_kit.errors import NotVisible, Unavailable
from handoff_kit.http import TAGGED, Page, PageParams, PageRequest, etag

from referral_svc import tables
from referral_svc.api.models import CandidatesOut, CaseOut, EntryOut
from referral_svc.api.parts import Parts, bundle_of, respond, viewer_of
from referral_svc.domain.records import Bundle
from referral_svc.handlers.candidates import candidates_of, recorded
from referral_svc.handlers.views import Viewer, case_view, timeline_view, visible, works_with

Reads = Annotated[Principal, requires("cases:read")]
ReadsCandidates = Annotated[Principal, requires("candidates:read")]


def reads_router(parts: Parts) -> APIRouter:
    """The routes that change nothing."""
    router = APIRouter(tags=["cases"])

    @router.get("/cases", response_model=Page[CaseOut])
    async def list_cases(
        caller: Reads,
        page: PageParams,
        status: CaseStatus | None = None,
        property_: Annotated[UUID | None, Query(alias="property")] = None,
        inspection: UUID | None = None,
        source_id: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    ) -> Response:
        """Cases that the caller sees, newest first, each in the caller's projection."""
        viewer = viewer_of(caller)
        asked = {"property_id": property_, "inspection_id": inspection, "source_id": source_id}
        among = await _linked(parts, viewer, {k: str(v) for k, v in asked.items() if v is not None})
        whole = viewer.works or (viewer.targets and not viewer.refers)
        async with parts.db.tenant(caller.agency) as connection:
            keys = await tables.list_cases(
                connection,
                caller.agency,
                seen_by=_seen_by(viewer),
                # Who referred must not learn by a filter what the projection keeps back.
                status=status if whole else None,
                among=among,
                after=_after(page),
                limit=page.fetch,
            )
            shown = keys[: page.limit]
            bundles = await tables.read_bundles(connection, shown)
        properties = await _properties(parts, viewer, [bundles[key] for key in shown])
        last = bundles[shown[-1]].case if len(keys) > page.limit else None
        items = [
            case_view(viewer, bundles[key], properties.get(key[1]))
            for key in shown
            if visible(viewer, bundles[key])
        ]
        if status is not None and not whole:
            items = [item for item in items if item["status"] == status]
        return respond(
            {
                "items": items,
                "next_cursor": encode_cursor(last.opened_at, last.id) if last else None,
            }
        )

    @router.get("/cases/{case_id}", response_model=CaseOut, responses={200: TAGGED})
    async def get_case(caller: Reads, case_id: UUID) -> Response:
        """One case."""
        bundle = await bundle_of(parts, caller, case_id)
        viewer = viewer_of(caller)
        properties = await _properties(parts, viewer, [bundle])
        view = case_view(viewer, bundle, properties.get(case_id))
        return respond(view, {"ETag": etag(view["version"])})

    @router.get("/cases/{case_id}/timeline", response_model=Page[EntryOut])
    async def get_timeline(caller: Reads, case_id: UUID, page: PageParams) -> Response:
        """What happened, oldest first, in sentences without any note."""
        bundle = await bundle_of(parts, caller, case_id)
        after = page.after(int)
        async with parts.db.tenant(caller.agency) as connection:
            rows = await tables.read_timeline(
                connection, caller.agency, case_id, after[0] if after else 0, page.fetch
            )
        shown = rows[: page.limit]
        entries = [{**entry, "at": row.at} for row in shown for entry in row.entries]
        more = len(rows) > page.limit
        return respond(
            {
                "items": timeline_view(viewer_of(caller), bundle, entries),
                "next_cursor": encode_cursor(shown[-1].n, case_id) if more else None,
            }
        )

    @router.get("/needs/{need_id}/candidates", response_model=CandidatesOut)
    async def get_candidates(
        caller: ReadsCandidates, need_id: UUID, page: PageParams, offer_id: UUID | None = None
    ) -> Response:
        """Every candidate with verdict and reasons, as things stand; or as an offer recorded it."""
        after = page.after(int)
        first = after[0] if after else 0
        async with parts.db.tenant(caller.agency) as connection:
            bundle = await _of_need(connection, caller, need_id)
            need = bundle.needs[need_id]
            if offer_id is not None:
                found = await recorded(connection, bundle, offer_id)
            else:
                found = await candidates_of(parts.world, connection, bundle, need)
        items = found.items[first : first + page.limit]
        end = first + len(items)
        more = end < len(found.items)
        return respond(
            {
                "items": items,
                "next_cursor": encode_cursor(end, need_id) if more else None,
                "policy_version": found.policy_version,
                "directory_version": found.directory_version,
            }
        )

    return router


def _after(page: PageRequest) -> tuple[Any, str] | None:

    return page.after(datetime)


def _seen_by(viewer: Viewer) -> dict[str, Any]:
    return {
        "all": viewer.works,
        "manager": viewer.organization if viewer.manages else None,
        "referrer": viewer.subject if viewer.refers else None,
        "target": viewer.organization if viewer.targets else None,
    }


async def _linked(parts: Parts, viewer: Viewer, asked: dict[str, str]) -> list[UUID] | None:
    """The cases that a filter names, asked of intake at this moment; None without a filter.

    Only who works on cases or referred them may ask by a property.
    """
    if not asked:
        return None
    if not (viewer.works or viewer.refers):
        return []
    found: set[UUID] | None = None
    for name, value in asked.items():
        cases = set(await parts.intake.cases_of({name: value}))
        found = cases if found is None else found & cases
    return sorted(found or ())


async def _properties(parts: Parts, viewer: Viewer, bundles: list[Bundle]) -> dict[UUID, UUID]:
    """Properties of residents' cases, for who may know them; left out while intake is away."""
    asked = [
        bundle.case.id
        for bundle in bundles
        if bundle.case.property_id is None
        and (works_with(viewer, bundle) or (viewer.refers and visible(viewer, bundle)))
    ]
    if not asked:
        return {}
    try:
        return await parts.intake.properties_of(asked)
    except (Unavailable, NotVisible):
        return {}


async def _of_need(connection: Connection, caller: Principal, need_id: UUID) -> Bundle:
    """The case of a need that the caller works on. Raises NotVisible."""
    key = (caller.agency, need_id)
    case_id = (await tables.cases_of_needs(connection, [key])).get(key)
    if case_id is None:
        raise NotVisible
    case_key = (caller.agency, case_id)
    bundle = (await tables.read_bundles(connection, [case_key])).get(case_key)
    if bundle is None or not works_with(viewer_of(caller), bundle):
        raise NotVisible
    return bundle
