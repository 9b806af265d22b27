"""Commands on a need: offers, hold, resume, withdraw, approve."""

from typing import Annotated
from uuid import UUID

from event_schemas.codes import Reason
from fastapi import APIRouter, Request, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.http import IdempotencyKey, IfMatch

from referral_svc.api.models import HoldIn, NeedOut, Nothing, OfferIn, OfferOut, WithdrawIn
from referral_svc.api.parts import Parts, asked, submit
from referral_svc.handlers.commands import Approve, Hold, MakeOffer, Resume, Withdraw

Works = Annotated[Principal, requires("cases:work")]
Approves = Annotated[Principal, requires("needs:approve")]


def needs_router(parts: Parts) -> APIRouter:
    """The routes for a need."""
    router = APIRouter(tags=["needs"])

    @router.post("/needs/{need_id}/offers", status_code=201, response_model=OfferOut)
    async def make_offer(
        request: Request,
        caller: Works,
        need_id: UUID,
        body: OfferIn | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Offer the need to whom a person chose; below the caller's own offer, if it has one."""
        chosen = body or OfferIn()
        command = MakeOffer(
            **asked(caller, if_match),
            need_id=need_id,
            service_id=chosen.service_id,
            organization_id=chosen.organization_id,
            parent_offer_id=chosen.parent_offer_id,
        )
        return await submit(parts, request, caller, command, key)

    @router.post("/needs/{need_id}/hold", response_model=NeedOut)
    async def hold_need(
        request: Request,
        caller: Works,
        need_id: UUID,
        body: HoldIn,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Wait for the resident, a document or capacity; clocks in business hours pause."""
        command = Hold(**asked(caller, if_match), need_id=need_id, reason=Reason(body.reason))
        return await submit(parts, request, caller, command, key)

    @router.post("/needs/{need_id}/resume", response_model=NeedOut)
    async def resume_need(
        request: Request,
        caller: Works,
        need_id: UUID,
        body: Nothing | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Go on with a need on hold, or with one that waited for a person."""
        del body
        command = Resume(**asked(caller, if_match), need_id=need_id)
        return await submit(parts, request, caller, command, key)

    @router.post("/needs/{need_id}/withdraw", response_model=NeedOut)
    async def withdraw_need(
        request: Request,
        caller: Works,
        need_id: UUID,
        body: WithdrawIn | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """End the need; its open offers are to end too."""
        reason = Reason((body or WithdrawIn()).reason)
        command = Withdraw(**asked(caller, if_match), need_id=need_id, reason=reason)
        return await submit(parts, request, caller, command, key)

    @router.post("/needs/{need_id}/approve", response_model=NeedOut)
    async def approve_need(
        request: Request,
        caller: Approves,
        need_id: UUID,
        body: Nothing | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        """Let the contact go ahead that the policy reserves for the caller's role."""
        del body
        command = Approve(**asked(caller, if_match), need_id=need_id)
        return await submit(parts, request, caller, command, key)

    return router
