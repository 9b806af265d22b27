"""What referral and intake say: offers to keep, offers to end, consents that have ended."""

from collections.abc import Sequence
from contextlib import suppress

from event_schemas.codes import OFFER_IN_HAND, NeedStatus, Reason, TargetKind
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from event_schemas.referrals import NeedSettled, OfferCancelRequested, OfferMade
from handoff_kit import sets
from handoff_kit.consumer import Received, each
from handoff_kit.errors import Waiting
from handoff_kit.tx import Tx

from partner_svc.domain.offers import (
    Ask,
    Offer,
    Refused,
    ask_of_cancel,
    decide,
)
from partner_svc.domain.transitions import Command
from partner_svc.handlers.said import say
from partner_svc.tables import EndedConsentRow
from partner_svc.tables.offers import (
    Key,
    keep_offers,
    lock_of_needs,
    lock_with_siblings,
)


def offer_made(event: OfferMade, agency: str, trace: str) -> Offer:
    """A new offer. It is as old as referral's decision, so that lists keep that order."""
    return Offer(
        agency_id=agency,
        id=event.offer_id,
        case_id=event.case_id,
        need_id=event.need_id,
        parent_offer_id=event.parent_offer_id,
        organization_id=event.organization_id,
        service_id=event.service_id,
        target_kind=event.target_kind,
        category=event.category,
        urgency=event.urgency,
        restricted=event.restricted,
        area=event.area,
        consent_id=event.consent_id,
        property_id=event.property_id,
        inspection_id=event.inspection_id,
        severity=event.severity,
        deadline=event.deadline,
        deadline_basis=event.deadline_basis,
        answer_due_at=event.answer_due_at,
        trace=trace,
        created_at=event.at,
        updated_at=event.at,
    )


async def follow_referrals(tx: Tx, events: Sequence[Received]) -> None:
    """Apply referral's events of a set in order. Raises Waiting for an offer that is not known."""
    known = await _load(tx, events)
    made: dict[Key, Offer] = {}
    changed: dict[Key, Offer] = {}

    def take(received: Received) -> None:
        event, agency = received.data, received.agency
        if isinstance(event, OfferMade):
            key = (agency, event.offer_id)
            if key not in known:
                trace = received.cause.traceparent
                known[key] = made[key] = offer_made(event, agency, trace)
        elif isinstance(event, OfferCancelRequested):
            key = (agency, event.offer_id)
            if key not in known:
                raise Waiting("the offer to cancel is not known yet")
            command = ask_of_cancel(event.reason, forced=event.forced)
            _end(tx, known, made, changed, key, Ask(command, reason=event.reason), received)
        elif isinstance(event, NeedSettled) and (ask := _settled(event)) is not None:
            for key in _desks(known, agency, event):
                _end(tx, known, made, changed, key, ask, received)

    each(events, take)
    keep_offers(tx, list(made.values()), list(changed.values()))


async def _load(tx: Tx, events: Sequence[Received]) -> dict[Key, Offer]:
    """Offers that the set may end. Those that it only makes need not be read."""
    ending: set[Key] = set()
    settling = set()
    for received in events:
        event = received.data
        if isinstance(event, OfferCancelRequested):
            ending.add((received.agency, event.offer_id))
        elif isinstance(event, NeedSettled):
            settling.add((received.agency, event.case_id, event.need_id))
    found: list[Offer] = []
    if ending:
        found += await lock_with_siblings(tx.conn, ending)
    if settling:
        found += await lock_of_needs(tx.conn, settling)
    return {(offer.agency_id, offer.id): offer for offer in found}


def _end(
    tx: Tx,
    known: dict[Key, Offer],
    made: dict[Key, Offer],
    changed: dict[Key, Offer],
    key: Key,
    ask: Ask,
    received: Received,
) -> None:
    """End an offer if its state allows it: what came too late changes nothing."""
    with suppress(Refused):
        offer, happened = decide(known[key], (), ask, tx.now)
        known[key] = offer
        (made if key in made else changed)[key] = offer
        say(tx, offer, happened, received.cause)


def _desks(known: dict[Key, Offer], agency: str, event: NeedSettled) -> list[Key]:
    """The case managers' offers of the need that are in hand."""
    return [
        key
        for key, offer in known.items()
        if key[0] == agency
        and offer.need_id == event.need_id
        and offer.target_kind is TargetKind.CASE_MANAGER
        and offer.status in OFFER_IN_HAND
    ]


def _settled(event: NeedSettled) -> Ask | None:
    """What a settled need makes of its case manager's offer.

    Without an outcome there is none to complete it with, so it is cancelled. A need that was
    withdrawn is referral's to call off, in two steps like any.
    """
    if event.outcome is not None:
        return Ask(Command.SETTLE, outcome=event.outcome)
    if event.status is NeedStatus.WITHDRAWN:
        return None
    return Ask(Command.FORCE_CANCEL, reason=event.reason or Reason.NEED_ENDED)


async def follow_consents(tx: Tx, events: Sequence[Received]) -> None:
    """Keep which consents have ended; the latest event about one counts."""
    ended: dict[Key, bool] = {}
    for received in events:
        event = received.data
        if isinstance(event, ConsentWithdrawn | ConsentExpired):
            ended[received.agency, event.consent_id] = True
        elif isinstance(event, ConsentGranted):
            ended[received.agency, event.consent_id] = False
    rows = [
        {"agency_id": agency, "id": id_, "ended_at": tx.now, "over": over}
        for (agency, id_), over in sorted(ended.items())
    ]
    tx.insert(EndedConsentRow, [row for row in rows if row["over"]], "nothing")
    await sets.delete(tx.conn, EndedConsentRow, [row for row in rows if not row["over"]])
