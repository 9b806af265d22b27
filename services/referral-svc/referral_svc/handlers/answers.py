"""What partner says of an offer, and what follows for its need."""

from collections.abc import Callable
from typing import Any

from event_schemas.codes import (
    NEED_SETTLED,
    CaseStatus,
    ClockKind,
    NeedStatus,
    OfferStatus,
    Reason,
    TargetKind,
    Verdict,
)
from event_schemas.offers import (
    OfferAccepted,
    OfferAppointmentCancelled,
    OfferCancelled,
    OfferCompleted,
    OfferFailed,
    OfferHeld,
    OfferNoShow,
    OfferProgressed,
    OfferQuestionAsked,
    OfferRejected,
    OfferResumed,
    OfferScheduled,
)
from handoff_kit.consumer import Received
from handoff_kit.errors import Waiting

from referral_svc.domain import course
from referral_svc.domain.records import Attention, Bundle, Need, Offer
from referral_svc.domain.routing import Then
from referral_svc.domain.states import CaseStep, NeedStep, case_after, need_after
from referral_svc.domain.timeline import Entry
from referral_svc.domain.verdicts import Candidate
from referral_svc.handlers import case_steps, placing
from referral_svc.handlers.work import Work


def answered(work: Work, received: Received) -> None:
    """Apply partner's word on an offer. Raises Waiting for an offer that is not known yet."""
    event = received.data
    bundle = work.find(received.agency, event.case_id)
    offer = bundle.offers.get(event.offer_id) if bundle is not None else None
    if bundle is None or offer is None:
        raise Waiting("the offer that is answered is not known yet")
    need = bundle.needs[offer.need_id]
    offer.status = event.status
    bundle.changed.add(offer.id)
    _ANSWERS[type(event)](work, bundle, need, offer, event)


def _accepted(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferAccepted) -> None:
    ended = offer.asked in _OVER or need.reason in _OVER
    offer.reason = offer.ended_at = None
    placing.stop_clock(offer)
    _note(work, bundle, Entry.OFFER_ACCEPTED, need, offer, event)
    others = [other for other in bundle.offers_of(need) if other.id != offer.id]
    if any(_has_place_of(other, offer) for other in others):
        offer.asked = None
        placing.end_offer(work, bundle, need, offer, Reason.SUPERSEDED)
        return
    if need.status in NEED_SETTLED:
        if need.status != NeedStatus.UNMET or ended:
            _end_again(work, bundle, need, offer)
            return
        if bundle.case.status == CaseStatus.CLOSED:
            case_steps.reopen_case(work, bundle)
        need.status = need_after(need.status, NeedStep.REVIVE)
        need.outcome = need.reason = need.settled_at = None
    else:
        need.status = need_after(need.status, NeedStep.ACCEPT)
    offer.asked = None
    need.attention = None
    need.reason = None
    work.touch(bundle, need)
    bundle.case.status = case_after(bundle.case.status, CaseStep.START)
    placing.start_clock(work, need, offer, ClockKind.FIRST_CONTACT_DUE)
    for other in others:
        if other.waits and (other.is_manager or not offer.is_manager):
            placing.end_offer(work, bundle, need, other, Reason.SUPERSEDED)
    if offer.is_manager:
        case_steps.assign_case(work, bundle, offer.organization_id, None, event.actor_role)


_OVER = frozenset({Reason.NEED_ENDED, Reason.CONSENT_WITHDRAWN})


def _has_place_of(other: Offer, offer: Offer) -> bool:
    """Whether the other was accepted before, at the same level: a hub's, or a helper's."""
    return other.in_hand and other.asked is None and other.is_manager == offer.is_manager


def _end_again(work: Work, bundle: Bundle, need: Need, offer: Offer) -> None:
    """Accepted while its need was ending: the request to end it is said again."""
    gone = need.reason == Reason.CONSENT_WITHDRAWN
    offer.asked = None
    reason = Reason.CONSENT_WITHDRAWN if gone else Reason.NEED_ENDED
    placing.end_offer(work, bundle, need, offer, reason, forced=gone)


def _rejected(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferRejected) -> None:
    _ended(work, bundle, need, offer, event, Entry.OFFER_REJECTED)


def _failed(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferFailed) -> None:
    _ended(work, bundle, need, offer, event, Entry.OFFER_FAILED)


def _cancelled(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferCancelled) -> None:
    _ended(work, bundle, need, offer, event, Entry.OFFER_CANCELLED)


def _ended(
    work: Work,
    bundle: Bundle,
    need: Need,
    offer: Offer,
    event: OfferRejected | OfferFailed | OfferCancelled,
    entry: Entry,
) -> None:
    offer.reason, offer.ended_at = event.reason, work.now
    placing.stop_clock(offer)
    _note(work, bundle, entry, need, offer, event, reason=event.reason)
    if event.reason == Reason.NO_CAPACITY and offer.service_id is not None:
        work.full[offer.agency_id, offer.service_id] = work.now
    _follow(work, bundle, need, offer)


def _completed(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferCompleted) -> None:
    offer.outcome, offer.ended_at = event.outcome, work.now
    placing.stop_clock(offer)
    _note(work, bundle, Entry.OFFER_COMPLETED, need, offer, event, outcome=event.outcome)
    _follow(work, bundle, need, offer)


def _follow(work: Work, bundle: Bundle, need: Need, ended: Offer) -> None:
    """Take the need on after an offer ended."""
    offers = bundle.offers_of(need)
    others = [offer for offer in offers if offer.id != ended.id]
    what = course.follows(need, ended, others, work.world.policy)
    if isinstance(what, course.Settle):
        helped = what.step in _HELPED
        placing.settle(
            work,
            bundle,
            need,
            what.step,
            outcome=ended.outcome,
            helper=ended.organization_id if helped else None,
        )
        return
    if what is None or need.status in NEED_SETTLED:
        return
    held = need.status == NeedStatus.ON_HOLD
    need.status = need_after(need.status, NeedStep.FREE)
    work.touch(bundle, need)
    if not held:
        placing.rest(bundle, need)
    _do(work, bundle, need, ended, what, held=held)


_HELPED = frozenset(
    {NeedStep.MEET, NeedStep.MEET_PARTLY, NeedStep.CORRECT, NeedStep.CORRECT_PARTLY}
)


def _do(work: Work, bundle: Bundle, need: Need, ended: Offer, what: Then, *, held: bool) -> None:
    parent = course.manager_in_hand(bundle.offers_of(need))
    if held:
        # It waits for somebody already; whoever resumes it starts the next try.
        return
    if what is Then.TRY_NEXT:
        placing.place(work, bundle, need, parent)
    elif what is Then.SAME_TARGET:
        _ask_again(work, bundle, need, ended, parent)
    elif what is Then.ASK_RESIDENT:
        hold(work, bundle, need, Reason.WAITING_ON_RESIDENT)
        placing.call_person(work, bundle, need, Attention.ASK_RESIDENT)
    elif what is Then.NEEDS_PERSON:
        if need.restricted:
            placing.place(work, bundle, need, parent)
        else:
            placing.call_person(work, bundle, need, Attention.NEEDS_PERSON)
    else:
        reason = Reason(ended.reason) if ended.reason else None
        placing.settle(work, bundle, need, NeedStep.GIVE_UP, reason=reason)


def _ask_again(work: Work, bundle: Bundle, need: Need, ended: Offer, parent: Offer | None) -> None:
    """A mistaken accept was undone: the same target is asked anew."""
    same = Candidate(
        ended.service_id,
        ended.organization_id,
        "",
        TargetKind(ended.target_kind),
        Verdict.ELIGIBLE,
        (),
        (),
    )
    below = parent if not ended.is_manager else None
    placing.offer_to(
        work,
        bundle,
        need,
        work.rule(need),
        same,
        ended.match_id,
        below,
        by_hand=ended.by_hand,
    )


def hold(work: Work, bundle: Bundle, need: Need, reason: Reason, role: str = "system") -> None:
    """Put the need on hold; its offers' clocks pause."""
    need.status = need_after(need.status, NeedStep.HOLD)
    need.reason = reason
    work.touch(bundle, need)
    facts = {"category": need.category, "reason": reason}
    work.write(bundle, Entry.NEED_HELD, need, role=role, facts=facts)
    for offer in bundle.offers_of(need):
        if offer.open:
            placing.pause_clock(work, bundle, need, offer)


def _question(
    work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferQuestionAsked
) -> None:
    placing.pause_clock(work, bundle, need, offer)
    _note(work, bundle, Entry.QUESTION_ASKED, need, offer, event)
    need.attention = Attention.QUESTION
    work.touch(bundle, need)


def _scheduled(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferScheduled) -> None:
    placing.start_clock(work, need, offer, ClockKind.PROGRESS_DUE)
    _note(work, bundle, Entry.APPOINTMENT_MADE, need, offer, event)


def _no_show(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferNoShow) -> None:
    _note(work, bundle, Entry.APPOINTMENT_MISSED, need, offer, event)


def _appointment_cancelled(
    work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferAppointmentCancelled
) -> None:
    _note(work, bundle, Entry.APPOINTMENT_CANCELLED, need, offer, event)


def _progressed(
    work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferProgressed
) -> None:
    placing.start_clock(work, need, offer, ClockKind.PROGRESS_DUE)
    if need.attention == Attention.SILENT:
        need.attention = None
        work.touch(bundle, need)
    _note(work, bundle, Entry.PROGRESS, need, offer, event)


def _held(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferHeld) -> None:
    offer.reason = event.reason
    _note(work, bundle, Entry.OFFER_HELD, need, offer, event, reason=event.reason)
    if need.status in NEED_SETTLED or _works(bundle, need, offer):
        placing.pause_clock(work, bundle, need, offer)
    else:
        hold(work, bundle, need, event.reason)


def _works(bundle: Bundle, need: Need, held: Offer) -> bool:
    """Whether a helper below goes on while the case manager waits."""
    return held.is_manager and any(
        offer.in_hand and not offer.is_manager and offer.status != OfferStatus.ON_HOLD
        for offer in bundle.offers_of(need)
    )


def _resumed(work: Work, bundle: Bundle, need: Need, offer: Offer, event: OfferResumed) -> None:
    offer.reason = None
    _note(work, bundle, Entry.OFFER_RESUMED, need, offer, event)
    placing.resume_clock(work, bundle, need, offer)
    if need.status == NeedStatus.ON_HOLD:
        resume(work, bundle, need)


def resume(work: Work, bundle: Bundle, need: Need, role: str = "system") -> None:
    """The need goes on: where its offers have it, else with the next candidate."""
    need.status = need_after(need.status, NeedStep.RESUME)
    need.reason = need.attention = None
    work.touch(bundle, need)
    work.write(bundle, Entry.NEED_RESUMED, need, role=role, facts={"category": need.category})
    offers = bundle.offers_of(need)
    for offer in offers:
        if offer.open and offer.status != OfferStatus.ON_HOLD:
            placing.resume_clock(work, bundle, need, offer)
    if not placing.rest(bundle, need):
        placing.place(work, bundle, need)


def _note(
    work: Work,
    bundle: Bundle,
    entry: Entry,
    need: Need,
    offer: Offer,
    event: Any,
    **facts: str,
) -> None:
    told: dict[str, Any] = {"target": offer.target_kind, **facts}
    if event.note_id is not None:
        told["note_id"] = event.note_id
    work.write(bundle, entry, need, offer, event.actor_role, told)


_ANSWERS: dict[type, Callable[..., None]] = {
    OfferAccepted: _accepted,
    OfferRejected: _rejected,
    OfferQuestionAsked: _question,
    OfferScheduled: _scheduled,
    OfferNoShow: _no_show,
    OfferAppointmentCancelled: _appointment_cancelled,
    OfferProgressed: _progressed,
    OfferHeld: _held,
    OfferResumed: _resumed,
    OfferCompleted: _completed,
    OfferFailed: _failed,
    OfferCancelled: _cancelled,
}
ANSWERS = frozenset(_ANSWERS)
