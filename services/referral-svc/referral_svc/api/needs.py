"""Commands on a need: offers, hold, resume, withdraw, approve."""

from typing import Annotated
from uuid import UUID

from event_schemas.codes import Reason
from fastapi import APIRouter, Response

from referral_svc.api.calls import Call, calls
from referral_svc.api.models import HoldIn, NeedOut, Nothing, OfferIn, OfferOut, WithdrawIn
from referral_svc.api.parts import Parts
from referral_svc.handlers.commands import Approve, Hold, MakeOffer, Resume, Withdraw

Works = Annotated[Call, calls("cases:work")]
Approves = Annotated[Call, calls("needs:approve")]


def needs_router(parts: Parts) -> APIRouter:
    """The routes for a need."""
    router = APIRouter(tags=["needs"])

    @router.post("/needs/{need_id}/offers", status_code=201, response_model=OfferOut)
    async def make_offer(call: Works, need_id: UUID, body: OfferIn | None = None) -> Response:
        """Offer the need to whom a person chose; below the caller's own offer, if it has one."""
        chosen = body or OfferIn()
        return await call.submit(
            parts,
            MakeOffer,
            need_id=need_id,
            service_id=chosen.service_id,
            organization_id=chosen.organization_id,
            parent_offer_id=chosen.parent_offer_id,
        )

    @router.post("/needs/{need_id}/hold", response_model=NeedOut)
    async def hold_need(call: Works, need_id: UUID, body: HoldIn) -> Response:
        """Wait for the resident, a document or capacity; clocks in business hours pause."""
        return await call.submit(parts, Hold, need_id=need_id, reason=Reason(body.reason))

    @router.post("/needs/{need_id}/resume", response_model=NeedOut)
    async def resume_need(call: Works, need_id: UUID, body: Nothing | None = None) -> Response:
        """Go on with a need on hold, or with one that waited for a person."""
        del body
        return await call.submit(parts, Resume, need_id=need_id)

    @router.post("/needs/{need_id}/withdraw", response_model=NeedOut)
    async def withdraw_need(call: Works, need_id: UUID, body: WithdrawIn | None = None) -> Response:
        """End the need; its open offers are to end too."""
        reason = Reason((body or WithdrawIn()).reason)
        return await call.submit(parts, Withdraw, need_id=need_id, reason=reason)

    @router.post("/needs/{need_id}/approve", response_model=NeedOut)
    async def approve_need(call: Approves, need_id: UUID, body: Nothing | None = None) -> Response:
        """Let the contact go ahead that the policy reserves for the caller's role."""
        del body
        return await call.submit(parts, Approve, need_id=need_id)

    return router
