"""Commands on a case: assign, contact attempts, needs, notes, close, reopen."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Response

from referral_svc.api.calls import Call, calls
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
from referral_svc.api.parts import Parts
from referral_svc.handlers.commands import AddNeed, AddNote, Assign, AttemptContact, Close, Reopen

Works = Annotated[Call, calls("cases:work")]


def cases_router(parts: Parts) -> APIRouter:
    """The routes of case managers for a case."""
    router = APIRouter(tags=["cases"])

    @router.post("/cases/{case_id}/assign", response_model=CaseOut)
    async def assign_case(call: Works, case_id: UUID, body: AssignIn | None = None) -> Response:
        """The caller's organization takes the case in hand."""
        assignee = body.assignee if body is not None else None
        return await call.submit(parts, Assign, case_id=case_id, assignee=assignee)

    @router.post("/cases/{case_id}/contact-attempts", status_code=201, response_model=CaseOut)
    async def add_contact_attempt(call: Works, case_id: UUID, body: AttemptIn) -> Response:
        """Record that contact was tried; the note is sealed in intake first."""
        note_id = await call.seal(parts, case_id, "contact-attempt", body.note)
        return await call.submit(
            parts,
            AttemptContact,
            case_id=case_id,
            attempt_id=uuid4(),
            channel=body.channel,
            result=body.result,
            attempted_at=body.attempted_at or datetime.now(UTC),
            note_id=note_id,
        )

    @router.post("/cases/{case_id}/needs", status_code=201, response_model=NeedOut)
    async def add_need(call: Works, case_id: UUID, body: NeedIn) -> Response:
        """A further need, found while working the case; a consent has to cover it."""
        await call.seal(parts, case_id, "need", body.note)
        return await call.submit(
            parts,
            AddNeed,
            case_id=case_id,
            need_id=uuid4(),
            category=body.category,
            urgency=body.urgency,
        )

    @router.post("/cases/{case_id}/notes", status_code=201, response_model=NoteOut)
    async def add_note(call: Works, case_id: UUID, body: NoteIn) -> Response:
        """A note on the case; about an offer, it answers the question of its target."""
        note_id = await call.seal(parts, case_id, "case", body.text)
        assert note_id is not None
        return await call.submit(
            parts,
            AddNote,
            case_id=case_id,
            note_id=note_id,
            need_id=body.need_id,
            offer_id=body.offer_id,
        )

    @router.post("/cases/{case_id}/close", response_model=CaseOut)
    async def close_case(call: Works, case_id: UUID, body: CloseIn | None = None) -> Response:
        """Close the case; *could not reach* needs attempts on different days."""
        reason = (body or CloseIn()).reason
        return await call.submit(parts, Close, case_id=case_id, reason=reason)

    @router.post("/cases/{case_id}/reopen", response_model=CaseOut)
    async def reopen_case(call: Works, case_id: UUID, body: ReopenIn | None = None) -> Response:
        """Open a closed case again; a person then decides whom to ask."""
        given = body.needs if body is not None else None
        needs = None if given is None else tuple(given)
        return await call.submit(parts, Reopen, case_id=case_id, needs=needs)

    return router
