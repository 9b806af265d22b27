"""/partner/v1/offers: lists, one offer, its transitions, its resident and its property."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4, uuid5

from event_schemas.codes import OfferStatus, OrganizationKind
from fastapi import APIRouter, Query, Request, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.cursor import cursor_id, encode_cursor
from handoff_kit.errors import HandoffError, NotVisible
from handoff_kit.http import (
    TAGGED,
    IdempotencyKey,
    IfMatch,
    Page,
    PageParams,
    PageRequest,
    check_if_match,
    etag,
)

from partner_svc.api.models import (
    BODIES,
    Body,
    OfferView,
    PropertyView,
    ResidentView,
    ask_of,
)
from partner_svc.api.parts import (
    Parts,
    answered,
    idempotency,
    organization_of,
    reader_of,
    respond,
    role_of,
    sees_all,
    target,
)
from partner_svc.domain.offers import (
    Ask,
    Offer,
    allowed,
    may_read_property,
    may_read_resident,
)
from partner_svc.domain.transitions import Command
from partner_svc.handlers.answer import MarkRead, Transition, can_now
from partner_svc.handlers.views import full_view, offer_view
from partner_svc.tables.directory_reads import read_standing
from partner_svc.tables.reads import read_offer, read_offers

# Names a note by the request that brought it, so that a repeated request seals it once.
_NOTES = UUID("6f1d7a52-0f0c-4d0e-9d5c-7f9d5b1c2a10")

Reads = Annotated[Principal, requires("offers:read")]
Answers = Annotated[Principal, requires("offers:answer")]
ReadsResident = Annotated[Principal, requires("residents:read")]
ReadsProperty = Annotated[Principal, requires("properties:read")]


def offers_router(parts: Parts) -> APIRouter:
    """The routes of offers."""
    router = APIRouter(tags=["offers"])

    @router.get("/offers", response_model=Page[OfferView])
    async def list_offers(
        caller: Reads,
        page: PageParams,
        status: OfferStatus | None = None,
        case_id: UUID | None = None,
        organization_id: Annotated[UUID | None, Query()] = None,
    ) -> Response:
        """Offers, newest first: a target's own; for a coordinator all but restricted ones."""
        of, restricted = organization_id, False
        if not sees_all(caller):
            own = organization_of(caller)
            if own is None or organization_id not in (None, own):
                return respond({"items": [], "next_cursor": None})
            of, restricted = own, True
        async with parts.db.tenant(caller.agency) as connection:
            found = await read_offers(
                connection,
                caller.agency,
                organization_id=of,
                restricted=restricted,
                status=status,
                case_id=case_id,
                after=_after(page),
                limit=page.fetch,
            )
        shown = found[: page.limit]
        last = shown[-1] if len(found) > page.limit else None
        return respond(
            {
                "items": [offer_view(offer) for offer in shown],
                "next_cursor": encode_cursor(last.created_at, last.id) if last else None,
            }
        )

    @router.get("/offers/{offer_id}", response_model=OfferView, responses={200: TAGGED})
    async def get_offer(caller: Reads, offer_id: UUID) -> Response:
        """One offer. The target's reading of a restricted one is its receipt and hands it over."""
        offer, siblings, ended = await _visible(parts, caller, offer_id)
        own = offer.organization_id == organization_of(caller)
        if own and can_now(siblings, offer, Ask(Command.RECEIVE), offer.updated_at, ended=ended):
            receipt = Ask(Command.RECEIVE, role=role_of(caller))
            return answered(
                await parts.offers.submit(
                    Transition(
                        caller.agency,
                        offer_id,
                        offer.organization_id,
                        receipt,
                        if_match=None,
                        conditional=False,
                    )
                )
            )
        can = allowed(offer, siblings, consent_ended=ended)
        return respond(full_view(offer, can), headers={"ETag": etag(offer.version)})

    for command, model in BODIES.items():
        _add_transition(router, parts, command, model)

    @router.get("/offers/{offer_id}/resident", response_model=ResidentView)
    async def get_resident(caller: ReadsResident, offer_id: UUID) -> Response:
        """The consented facts of an offer in hand; each reading is a disclosure."""
        organization = target(caller)
        offer, _, ended = await _visible(parts, caller, offer_id)
        if offer.organization_id != organization or ended or not may_read_resident(offer):
            raise NotVisible
        await _mark_read(parts, offer, address=False)
        reader = reader_of(caller, organization)
        return respond(await parts.intake.disclose(offer, reader))

    @router.get("/offers/{offer_id}/property", response_model=PropertyView)
    async def get_property(caller: ReadsProperty, offer_id: UUID) -> Response:
        """The property of an offer; a resident's once it is in hand, as the consent covers it."""
        organization = target(caller)
        offer, _, ended = await _visible(parts, caller, offer_id)
        if offer.organization_id != organization or ended or not may_read_property(offer):
            raise NotVisible
        async with parts.db.tenant(caller.agency) as connection:
            standing = await read_standing(connection, caller.agency, organization)
        with_findings = standing is not None and (
            standing.kind == OrganizationKind.DEPARTMENT or standing.enforcement
        )
        if offer.property_id is None:
            await _mark_read(parts, offer, address=True)
        found = await parts.intake.read_property(
            offer,
            reader_of(caller, organization),
            with_findings=with_findings,
        )
        return respond(found)

    return router


def _add_transition(router: APIRouter, parts: Parts, command: Command, model: type[Body]) -> None:
    """One route for a command; a body that has nothing it must hold may be left out."""

    async def with_body(
        request: Request,
        caller: Answers,
        offer_id: UUID,
        body: Body,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        return await _answer(parts, request, caller, offer_id, command, body, if_match, key)

    async def with_or_without(
        request: Request,
        caller: Answers,
        offer_id: UUID,
        body: Body | None = None,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        given = body if body is not None else model()
        return await _answer(parts, request, caller, offer_id, command, given, if_match, key)

    if any(field.is_required() for field in model.model_fields.values()):
        endpoint: Callable[..., Awaitable[Response]] = with_body
        endpoint.__annotations__["body"] = model
    else:
        endpoint = with_or_without
        endpoint.__annotations__["body"] = model | None
    router.add_api_route(
        f"/offers/{{offer_id}}/{command.value}",
        endpoint,
        methods=["POST"],
        response_model=OfferView,
        name=command.value,
        operation_id=f"{command.value.replace('-', '_')}_offer",
        summary=_SUMMARY[command],
    )


async def _answer(
    parts: Parts,
    request: Request,
    caller: Principal,
    offer_id: UUID,
    command: Command,
    body: Body,
    if_match: str | None,
    key: str | None,
) -> Response:
    """Seal the note, then decide in a set of the doorway."""
    organization = target(caller)
    known = await idempotency(request, caller, key)
    text = body.free_text()
    note_id = _note_id(caller, request, key) if text is not None else None
    ask = ask_of(command, body, role=role_of(caller), note_id=note_id)
    sealed = text is None or await _seal(parts, caller, offer_id, ask, text, if_match)
    transition = Transition(
        caller.agency, offer_id, organization, ask, if_match=if_match, sealed=sealed
    )
    return answered(await parts.offers.submit(transition, idempotency=known))


_SUMMARY = {
    Command.ACCEPT: "Take the offer, also late if nobody else has",
    Command.DECLINE: "Decline, with a reason",
    Command.UNDO_ACCEPT: "Take back a mistaken accept before a fact was read",
    Command.ASK: "Ask a question; the answer clock pauses",
    Command.SCHEDULE: "Make or move an appointment",
    Command.NO_SHOW: "The resident did not come",
    Command.CANCEL_APPOINTMENT: "Call an appointment off",
    Command.PROGRESS: "Report progress",
    Command.HOLD: "Wait for something",
    Command.RESUME: "Go on",
    Command.CONFIRM_CANCEL: "Confirm a cancellation that was asked for",
    Command.COMPLETE: "Complete with an outcome",
    Command.FAIL: "End without success",
}


async def _visible(
    parts: Parts, caller: Principal, offer_id: UUID
) -> tuple[Offer, list[Offer], bool]:
    """The offer, those of its need, and whether its consent ended. Raises NotVisible."""
    async with parts.db.tenant(caller.agency) as connection:
        found = await read_offer(connection, caller.agency, offer_id)
    if found is None:
        raise NotVisible
    offer, siblings, ended = found
    own = offer.organization_id == organization_of(caller)
    if not own and (offer.restricted or not sees_all(caller)):
        raise NotVisible
    return offer, siblings, ended


async def _seal(
    parts: Parts,
    caller: Principal,
    offer_id: UUID,
    ask: Ask,
    text: tuple[str, str],
    if_match: str | None,
) -> bool:
    """Have a note sealed if the transition would go through now; false where it would not.

    What would be refused seals nothing: the decision in the transaction then says why, or a stored
    answer is given.
    """
    assert ask.note_id is not None
    organization = target(caller)
    try:
        offer, siblings, ended = await _visible(parts, caller, offer_id)
        check_if_match(if_match, offer.version)
    except HandoffError:
        return False
    if offer.organization_id != organization:
        return False
    if not can_now(siblings, offer, ask, offer.updated_at, ended=ended):
        return False
    kind, words = text
    author = reader_of(caller, organization)
    await parts.intake.seal_note(ask.note_id, offer, kind, words, author)
    return True


def _note_id(caller: Principal, request: Request, key: str | None) -> UUID:
    if key is None:
        return uuid4()
    return uuid5(_NOTES, "\x1f".join((caller.agency, caller.caller, request.url.path, key)))


async def _mark_read(parts: Parts, offer: Offer, *, address: bool) -> None:
    """Before a fact leaves, so that a mistaken accept can no longer be undone. Once an offer."""
    if offer.facts_read_at is None:
        await parts.offers.submit(
            MarkRead(offer.agency_id, offer.id, offer.organization_id, address)
        )


def _after(page: PageRequest) -> tuple[datetime, UUID] | None:
    after = page.after(datetime)
    if after is None:
        return None
    return after[0], cursor_id(after[1])
