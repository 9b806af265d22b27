"""The course of a need: what follows when an offer ended, and who may still be asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from event_schemas.codes import NEED_SETTLED, NeedStatus, OfferStatus, Outcome, Reason

from referral_svc.domain.directory import Directory
from referral_svc.domain.records import Need, Offer
from referral_svc.domain.routing import Policy, Then
from referral_svc.domain.states import SETTLEMENT, NeedStep

_ASKED_FOR_GOOD = frozenset({Reason.SUPERSEDED, Reason.NEED_ENDED, Reason.CONSENT_WITHDRAWN})
_HELPED = frozenset({NeedStep.MEET, NeedStep.MEET_PARTLY})


@dataclass(frozen=True, slots=True)
class Settle:
    """The need ends by this step."""

    step: NeedStep


Follows = Settle | Then | None
"""What comes next; None: nothing, somebody else still has it or it is over."""


def follows(need: Need, ended: Offer, others: Iterable[Offer], policy: Policy) -> Follows:
    """What follows the end of an offer (``ended`` has its final status already).

    ``others``: every other offer of the need.
    """
    completed = ended.status == OfferStatus.COMPLETED
    step = SETTLEMENT[Outcome(ended.outcome)] if completed and ended.outcome else None
    if need.status in NEED_SETTLED:
        return _correction(need, step)
    if step is not None and not (ended.is_manager and ended.asked == Reason.NEED_ENDED):
        return Settle(step)
    if any(_carries(offer, ended) for offer in others):
        return None
    if ended.asked in _ASKED_FOR_GOOD and (not completed or step is not None):
        # Asked to end with a need that a person has opened again since: that person decides.
        return Then.TRY_NEXT if ended.asked == Reason.SUPERSEDED else Then.NEEDS_PERSON
    if completed:
        return Then.TRY_NEXT
    return policy.reasons[Reason(ended.reason or Reason.OTHER)].then


def _correction(need: Need, step: NeedStep | None) -> Follows:
    """An outcome that raced with the end of its need counts, unless the consent is gone."""
    if step not in _HELPED or need.reason == Reason.CONSENT_WITHDRAWN:
        return None
    better = need.status in {NeedStatus.UNMET, NeedStatus.WITHDRAWN} or (
        need.status == NeedStatus.PARTLY_MET and step is NeedStep.MEET
    )
    if not better:
        return None
    return Settle(NeedStep.CORRECT if step is NeedStep.MEET else NeedStep.CORRECT_PARTLY)


def stands(offer: Offer) -> bool:
    """Open, and not about to end for good: silence may still be broken."""
    return offer.open and offer.asked not in _ASKED_FOR_GOOD


def _carries(offer: Offer, ended: Offer) -> bool:
    """Whether this other offer still carries the need at the level of the one that ended.

    A case manager's offer in hand does not: it looks for the next one below it.
    """
    if not stands(offer):
        return False
    return ended.is_manager or not (offer.is_manager and offer.in_hand)


def barred(
    offers: Iterable[Offer], policy: Policy, directory: Directory | None, now: datetime
) -> set[UUID]:
    """Services and organizations that are not to be asked (again) for this need."""
    found: set[UUID] = set()
    for offer in offers:
        if offer.reason == Reason.CONFLICT_OF_INTEREST:
            found.add(offer.organization_id)
        if not _may_be_asked_again(offer, policy, directory, now):
            found.add(offer.target)
    return found


def _may_be_asked_again(
    offer: Offer, policy: Policy, directory: Directory | None, now: datetime
) -> bool:
    if offer.open:
        return False
    if offer.reason == Reason.ACCEPTED_IN_ERROR:
        return True
    consequence = policy.reasons.get(Reason(offer.reason)) if offer.reason else None
    if consequence is None or offer.ended_at is None:
        return False
    if consequence.cool_off is not None:
        return now >= offer.ended_at + timedelta(days=consequence.cool_off)
    if consequence.until_capacity and directory is not None and offer.service_id:
        service = directory.services.get(offer.service_id)
        said = service.capacity_said_at if service else None
        return said is not None and said > offer.ended_at
    return False


def carried_by(offers: Iterable[Offer]) -> NeedStep | None:
    """The step that puts a freed need where its open offers have it; None: nobody has it."""
    waiting = False
    for offer in offers:
        if offer.in_hand and stands(offer):
            return NeedStep.ACCEPT
        waiting = waiting or offer.waits
    return NeedStep.OFFER if waiting else None


def manager_in_hand(offers: Iterable[Offer]) -> Offer | None:
    """The case manager's offer under which further ones are made."""
    return next((o for o in offers if o.is_manager and o.in_hand and stands(o)), None)


def tries(offers: Iterable[Offer]) -> int:
    """Offers that the routing made by itself, for the limit of the route."""
    return sum(not offer.by_hand and not offer.is_manager for offer in offers)
