"""Commands on a case: assign, contact attempts, needs, notes, close, reopen."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.http import IdempotencyKey, IfMatch

from referral_svc.api.models import (
    AssignIn,
    AttemptIn,
    CaseOut,
    CloseIn,
    NeedIn,
    NeedOut,
    NoteIn,
    NoteOut,
    ReopenIn,
)
from referral_svc.api.parts import Parts, asked, seal, submit
from referral_svc.handlers.commands import AddNeed, AddNote, Assign, AttemptContact, Close, Reopen

Works = Annotated[Principal, requires("cases:work")]


def cases_router(parts: Parts) -> APIRouter:
    """The routes of case managers for a case."""
    router = APIRouter(tags=["cases"])

    @router.post("/cases/{case_id}/assign", response_model=CaseOut)
    async def assign_case(
        request: Request,
        caller: Works,
        case_id: UUID,
        body: AssignIn | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """The caller's organization takes the case in hand."""
        assignee = body.assignee if body is not None else None
        command = Assign(**asked(caller, if_match), case_id=case_id, assignee=assignee)
        return await submit(parts, request, caller, command, key)

    @router.post("/cases/{case_id}/contact-attempts", status_code=201, response_model=CaseOut)
    async def add_contact_attempt(
        request: Request,
        caller: Works,
        case_id: UUID,
        body: AttemptIn,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Record that contact was tried; the note is sealed in intake first."""
        note_id = await seal(
            parts, request, caller, case_id, "contact-attempt", body.note, if_match, key
        )
        command = AttemptContact(
            **asked(caller, if_match),
            case_id=case_id,
            attempt_id=uuid4(),
            channel=body.channel,
            result=body.result,
            attempted_at=body.attempted_at or datetime.now(UTC),
            note_id=note_id,
        )
        return await submit(parts, request, caller, command, key)

    @router.post("/cases/{case_id}/needs", status_code=201, response_model=NeedOut)
    async def add_need(
        request: Request,
        caller: Works,
        case_id: UUID,
        body: NeedIn,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """A further need, found while working the case; a consent has to cover it."""
        await seal(parts, request, caller, case_id, "need", body.note, if_match, key)
        command = AddNeed(
            **asked(caller, if_match),
            case_id=case_id,
            need_id=uuid4(),
            category=body.category,
            urgency=body.urgency,
        )
        return await submit(parts, request, caller, command, key)

    @router.post("/cases/{case_id}/notes", status_code=201, response_model=NoteOut)
    async def add_note(
        request: Request,
        caller: Works,
        case_id: UUID,
        body: NoteIn,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """A note on the case; about an offer, it answers the question of its target."""
        note_id = await seal(parts, request, caller, case_id, "case", body.text, if_match, key)
        assert note_id is not None
        command = AddNote(
            **asked(caller, if_match),
            case_id=case_id,
            note_id=note_id,
            need_id=body.need_id,
            offer_id=body.offer_id,
        )
        return await submit(parts, request, caller, command, key)

    @router.post("/cases/{case_id}/close", response_model=CaseOut)
    async def close_case(
        request: Request,
        caller: Works,
        case_id: UUID,
        body: CloseIn | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Close the case; *could not reach* needs attempts on different days."""
        reason = (body or CloseIn()).reason
        command = Close(**asked(caller, if_match), case_id=case_id, reason=reason)
        return await submit(parts, request, caller, command, key)

    @router.post("/cases/{case_id}/reopen", response_model=CaseOut)
    async def reopen_case(
        request: Request,
        caller: Works,
        case_id: UUID,
        body: ReopenIn | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Open a closed case again; a person then decides whom to ask."""
        given = body.needs if body is not None else None
        needs = None if given is None else tuple(given)
        command = Reopen(**asked(caller, if_match), case_id=case_id, needs=needs)
        return await submit(parts, request, caller, command, key)

    return router
