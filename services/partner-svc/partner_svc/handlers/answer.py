"""What a target does with its offers: transitions, and the mark that a fact is read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError, IllegalTransition, NotVisible, StaleVersion
from handoff_kit.http import check_if_match, etag
from handoff_kit.tx import Cause, Tx

from partner_svc.domain.offers import (
    Ask,
    Happened,
    Offer,
    Refused,
    allowed,
    decide,
    may_read_property,
    may_read_resident,
)
from partner_svc.handlers.said import say
from partner_svc.handlers.views import full_view
from partner_svc.tables.offers import Key, ended_consents, keep_offers, lock_with_siblings


@dataclass(frozen=True, slots=True)
class Transition:
    """A target's command. ``if_match`` is the header as sent; None for what the system does.

    ``sealed`` is false where the note that *ask* names could not be sealed before.
    """

    agency: str
    offer_id: UUID
    organization_id: UUID
    ask: Ask
    if_match: str | None
    conditional: bool = True
    sealed: bool = True


@dataclass(frozen=True, slots=True)
class MarkRead:
    """A fact of the offer's resident is about to be read, or its address where *address*."""

    agency: str
    offer_id: UUID
    organization_id: UUID
    address: bool = False


Command = Transition | MarkRead


@dataclass(slots=True)
class Needs:
    """The offers of the set's needs as they stand, and the consents among them that ended."""

    offers: dict[Key, Offer]
    ended: set[Key]

    def find(self, command: Command) -> Offer:
        """The command's offer. Raises NotVisible where it is not of the command's organization."""
        offer = self.offers.get((command.agency, command.offer_id))
        if offer is None or offer.organization_id != command.organization_id:
            raise NotVisible
        return offer

    def siblings(self, offer: Offer) -> list[Offer]:
        return [
            other
            for other in self.offers.values()
            if (other.agency_id, other.need_id) == (offer.agency_id, offer.need_id)
        ]

    def consent_ended(self, offer: Offer) -> bool:
        return offer.consent_id is not None and (offer.agency_id, offer.consent_id) in self.ended


async def answer_offers(tx: Tx, commands: Sequence[Command]) -> list[Answer | HandoffError]:
    """Decide each command in order, on the offers as those before it left them."""
    offers = await lock_with_siblings(tx.conn, {(c.agency, c.offer_id) for c in commands})
    needs = Needs({(o.agency_id, o.id): o for o in offers}, await ended_consents(tx.conn, offers))
    changed: dict[Key, Offer] = {}
    answers: list[Answer | HandoffError] = []
    for command in commands:
        try:
            before = needs.find(command)
            offer, happened = _decide(needs, before, command, tx.now)
        except HandoffError as refusal:
            answers.append(refusal)
            continue
        key = (offer.agency_id, offer.id)
        if offer is not before:
            needs.offers[key] = changed[key] = offer
        say(tx, offer, happened, Cause(offer.trace))
        answers.append(_answer(needs, offer, command))
    keep_offers(tx, (), list(changed.values()))
    return answers


def _decide(
    needs: Needs, offer: Offer, command: Command, now: datetime
) -> tuple[Offer, Happened | None]:
    match command:
        case Transition():
            return _transition(needs, offer, command, now)
        case MarkRead():
            return _mark(needs, offer, command, now), None
        case _:
            assert_never(command)


def _transition(
    needs: Needs, offer: Offer, command: Transition, now: datetime
) -> tuple[Offer, Happened | None]:
    if command.conditional:
        check_if_match(command.if_match, offer.version)
    try:
        decided = decide(
            offer,
            needs.siblings(offer),
            command.ask,
            now,
            consent_ended=needs.consent_ended(offer),
        )
    except Refused as refused:
        raise refusal_of(refused) from None
    if not command.sealed:
        # The offer became ready for this only after the note was weighed: read it and try again.
        raise StaleVersion
    return decided


def _mark(needs: Needs, offer: Offer, command: MarkRead, now: datetime) -> Offer:
    """The mark keeps its version: who read the offer may still answer it with the tag he has."""
    may: Callable[[Offer], bool] = may_read_property if command.address else may_read_resident
    if not may(offer) or needs.consent_ended(offer):
        raise NotVisible
    return offer if offer.facts_read_at else replace(offer, facts_read_at=now)


def _answer(needs: Needs, offer: Offer, command: Command) -> Answer:
    if isinstance(command, MarkRead):
        return Answer(204, b"", {})
    can = allowed(offer, needs.siblings(offer), consent_ended=needs.consent_ended(offer))
    return Answer(200, full_view(offer, can), {"ETag": etag(offer.version)})


_DETAILS = {
    "already-placed": "Another offer of this need was accepted already.",
    "consent-ended": "The consent that this offer rests on has ended.",
    "facts-read": "A fact of the resident was read; decline the offer instead.",
}


def refusal_of(refused: Refused) -> IllegalTransition:
    """A refused decision as the answer that its caller reads."""
    return IllegalTransition(
        _DETAILS.get(refused.code),
        allowed=refused.allowed,
        **({"code": refused.code} if refused.code in _DETAILS else {}),
    )


def can_now(needs: Iterable[Offer], offer: Offer, ask: Ask, now: datetime, *, ended: bool) -> bool:
    """Would *ask* go through as things stand?"""
    try:
        decide(offer, needs, ask, now, consent_ended=ended)
    except Refused:
        return False
    return True
