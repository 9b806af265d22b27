"""Placing a need: the next candidate's offer, what happens when nobody is left, and the end."""

from collections.abc import Collection
from uuid import UUID

from event_schemas.codes import (
    ClockKind,
    NeedStatus,
    OfferStatus,
    Reason,
    Role,
    TargetKind,
)
from event_schemas.referrals import NeedMatched, NeedSettled, OfferCancelRequested, OfferMade
from handoff_kit.ids import new_id

from referral_svc.domain import course
from referral_svc.domain.matching import Match, ask_first, pick
from referral_svc.domain.records import Attention, Bundle, Need, Offer
from referral_svc.domain.routing import Rule
from referral_svc.domain.states import NeedStep, need_after
from referral_svc.domain.timeline import Entry
from referral_svc.domain.verdicts import Candidate
from referral_svc.handlers import case_steps
from referral_svc.handlers.work import Work


def match_for(work: Work, bundle: Bundle, need: Need, rule: Rule, target: TargetKind) -> Match:
    """Judge who could meet the need, of this kind of target, as things stand now."""
    assert need.match_id is not None
    like = work.world.inputs_of(need.agency_id, need.match_id)
    inputs = work.world.inputs(need.agency_id, rule, target, like, bundle.case.area)
    match = work.world.match(need.agency_id, inputs, work.now)
    work.matches[need.agency_id, match.id] = match
    return match


def say_matched(work: Work, need: Need, match: Match, status: NeedStatus) -> None:
    need.match_id = match.id
    work.say(
        need.agency_id,
        NeedMatched(
            case_id=need.case_id,
            need_id=need.id,
            restricted=need.restricted,
            at=work.now,
            category=need.category,
            status=status,
            target_kind=match.inputs.target,
            policy_version=match.policy_version,
            directory_version=match.directory_version,
            eligible=match.eligible,
            ask_first=match.ask_first,
            excluded=match.excluded,
        ),
    )


def place_first(work: Work, bundle: Bundle, need: Need, rule: Rule, match: Match) -> None:
    """Ask the first candidate for a need that is matching, and say how the match came out."""
    found = pick(match, (), work.world.turns.get(need.agency_id, {}))
    status = NeedStatus.OFFERED if found is not None else NeedStatus.MATCHING
    say_matched(work, need, match, status)
    if found is not None:
        offer_to(work, bundle, need, rule, found, match.id)
    else:
        place(work, bundle, need)


def place(work: Work, bundle: Bundle, need: Need, parent: Offer | None = None) -> None:
    """Ask the next candidate: below *parent* where a case manager has the need in hand.

    The need is matching, offered or in service.
    """
    made, to_ask = _ask_next(work, bundle, need, parent)
    if made is None:
        tried = bool(bundle.offers_of(need))
        nobody_left(work, bundle, need, parent=parent, tried=tried, to_ask=to_ask)


def place_if_possible(
    work: Work, bundle: Bundle, need: Need, parent: Offer | None, full: Collection[UUID] = ()
) -> Offer | None:
    """Ask the next candidate outside *full*, if there is one; else all stays as it is."""
    return _ask_next(work, bundle, need, parent, full)[0]


def _ask_next(
    work: Work, bundle: Bundle, need: Need, parent: Offer | None, full: Collection[UUID] = ()
) -> tuple[Offer | None, bool]:
    """The offer to the next candidate; without one, whether a person may ask somebody."""
    rule = work.rule(need)
    offers = bundle.offers_of(need)
    directory = work.world.directory(need.agency_id)
    barred = course.barred(offers, work.world.policy, directory, work.now).union(full)
    remains_to_ask = False
    if course.tries(offers) < rule.max_tries:
        for target in _targets(rule, parent):
            match = match_for(work, bundle, need, rule, target)
            found = pick(match, barred, work.world.turns.get(need.agency_id, {}))
            if found is not None:
                if match.id != need.match_id:
                    say_matched(work, need, match, NeedStatus.OFFERED)
                return offer_to(work, bundle, need, rule, found, match.id, parent), False
            remains_to_ask = remains_to_ask or ask_first(match, barred)
    return None, remains_to_ask


def _targets(rule: Rule, parent: Offer | None) -> tuple[TargetKind, ...]:
    if parent is not None:
        return (TargetKind.PARTNER,)
    return (rule.target, rule.otherwise) if rule.otherwise else (rule.target,)


def nobody_left(
    work: Work,
    bundle: Bundle,
    need: Need,
    *,
    parent: Offer | None,
    tried: bool,
    to_ask: bool,
) -> None:
    """Nobody can be asked by itself any more: a person is told, or the need ends unmet."""
    if to_ask and not need.restricted:
        call_person(work, bundle, need, Attention.ASK_FIRST)
    elif parent is not None or not (tried or need.restricted):
        call_person(work, bundle, need, Attention.NO_CANDIDATES)
    else:
        settle(work, bundle, need, NeedStep.GIVE_UP)


def call_person(work: Work, bundle: Bundle, need: Need, why: Attention) -> None:
    """The need waits for a person; its place in the case managers' queue says why."""
    if need.attention != why:
        need.attention = why
        work.touch(bundle, need)
        work.write(bundle, Entry.NEEDS_PERSON, need, facts={"reason": why})


def offer_to(
    work: Work,
    bundle: Bundle,
    need: Need,
    rule: Rule,
    candidate: Candidate,
    match_id: UUID | None,
    parent: Offer | None = None,
    *,
    by_hand: bool = False,
    role: str = Role.SYSTEM,
) -> Offer:
    """Make the offer to *candidate*; the answer's clock starts."""
    agency, now = need.agency_id, work.now
    clock = None if need.restricted else rule.clocks.get(ClockKind.ANSWER_DUE)
    due = work.due(clock.within) if clock is not None else None
    offer = Offer(
        agency,
        need.case_id,
        new_id(),
        need.id,
        parent.id if parent is not None else None,
        candidate.organization_id,
        candidate.service_id,
        candidate.target,
        OfferStatus.REQUESTED,
        None,
        None,
        None,
        match_id,
        by_hand,
        now,
        None,
        due,
        ClockKind.ANSWER_DUE if due is not None else None,
        due,
        None,
        0,
        len(bundle.offers) + 1,
    )
    bundle.offers[offer.id] = offer
    bundle.fresh.add(offer.id)
    need.status = need_after(need.status, NeedStep.OFFER)
    need.attention = None
    work.touch(bundle, need)
    work.turn(agency, offer.target)
    case = bundle.case
    work.say(
        agency,
        OfferMade(
            case_id=need.case_id,
            need_id=need.id,
            restricted=need.restricted,
            at=now,
            offer_id=offer.id,
            parent_offer_id=offer.parent_offer_id,
            organization_id=offer.organization_id,
            service_id=offer.service_id,
            target_kind=candidate.target,
            category=need.category,
            urgency=need.urgency,
            area=case.area,
            consent_id=need.consent_id,
            property_id=case.property_id,
            inspection_id=need.inspection_id,
            severity=need.severity,
            deadline=need.deadline,
            deadline_basis=need.deadline_basis,
            answer_due_at=due,
        ),
    )
    work.write(
        bundle,
        Entry.OFFER_MADE,
        need,
        offer,
        role,
        {"target": candidate.target, "category": need.category},
    )
    return offer


def end_offer(
    work: Work, bundle: Bundle, need: Need, offer: Offer, reason: Reason, *, forced: bool = False
) -> None:
    """Ask partner to end an offer; its clock stops. Asked twice only to force."""
    if not offer.open or (offer.asked == reason and not forced):
        return
    offer.asked = reason
    stop_clock(offer)
    bundle.changed.add(offer.id)
    work.say(
        need.agency_id,
        OfferCancelRequested(
            case_id=need.case_id,
            need_id=need.id,
            restricted=need.restricted,
            at=work.now,
            offer_id=offer.id,
            organization_id=offer.organization_id,
            reason=reason,
            forced=forced,
        ),
    )
    facts = {"target": offer.target_kind, "reason": reason}
    work.write(bundle, Entry.CANCEL_REQUESTED, need, offer, facts=facts)


def settle(
    work: Work,
    bundle: Bundle,
    need: Need,
    step: NeedStep,
    *,
    outcome: str | None = None,
    reason: Reason | None = None,
    helper: UUID | None = None,
    forced: bool = False,
    role: str = Role.SYSTEM,
) -> None:
    """End the need and every offer of it that is still open; close the case if it was the last.

    A case manager's offer in hand is left to partner, which completes it with the need, unless
    the need was withdrawn.
    """
    need.status = need_after(need.status, step)
    need.outcome, need.reason = outcome, reason
    need.attention = None
    need.settled_at = work.now
    work.touch(bundle, need)
    work.say(
        need.agency_id,
        NeedSettled(
            case_id=need.case_id,
            need_id=need.id,
            restricted=need.restricted,
            at=work.now,
            category=need.category,
            status=need.status,
            outcome=outcome,
            reason=reason,
            organization_id=helper,
            feedback=need.feedback,
        ),
    )
    facts = {"category": need.category, "status": need.status}
    work.write(bundle, Entry.NEED_SETTLED, need, role=role, facts=facts)
    why = reason if reason == Reason.CONSENT_WITHDRAWN else Reason.NEED_ENDED
    for offer in bundle.offers_of(need):
        if not offer.open:
            continue
        if offer.is_manager and offer.in_hand and not forced and step is not NeedStep.WITHDRAW:
            # Partner ends it with the need; nothing lies below it from now on.
            offer.asked = Reason.NEED_ENDED
            stop_clock(offer)
            bundle.changed.add(offer.id)
        else:
            end_offer(work, bundle, need, offer, why, forced=forced)
    case_steps.close_if_done(work, bundle)


def rest(bundle: Bundle, need: Need) -> bool:
    """Put a matching need where its open offers have it; whether any has."""
    step = course.carried_by(bundle.offers_of(need))
    if step is None:
        return False
    need.status = need_after(need.status, step)
    return True


def start_clock(work: Work, need: Need, offer: Offer, kind: ClockKind) -> None:
    """Run the route's clock of this kind, or none. Restricted offers have no clocks."""
    clock = None if need.restricted else work.rule(need).clocks.get(kind)
    stop_clock(offer)
    if clock is not None:
        offer.clock, offer.clock_due_at = kind, work.due(clock.within)


def stop_clock(offer: Offer) -> None:
    offer.clock = offer.clock_due_at = offer.clock_left = None
    offer.reminders = 0


def pause_clock(work: Work, bundle: Bundle, need: Need, offer: Offer) -> None:
    """Stop counting while somebody else is waited for. Clocks in wall time never pause."""
    clock = work.rule(need).clocks.get(ClockKind(offer.clock)) if offer.clock else None
    if clock is None or offer.clock_due_at is None or not clock.within.business:
        return
    calendar = work.world.policy.calendar
    offer.clock_left = clock.within.left(work.now, offer.clock_due_at, calendar)
    offer.clock_due_at = None
    if offer.clock == ClockKind.ANSWER_DUE:
        offer.answer_due_at = None
    bundle.changed.add(offer.id)


def resume_clock(work: Work, bundle: Bundle, need: Need, offer: Offer) -> None:
    clock = work.rule(need).clocks.get(ClockKind(offer.clock)) if offer.clock else None
    if clock is None or offer.clock_left is None:
        return
    calendar = work.world.policy.calendar
    offer.clock_due_at = calendar.add(work.now, offer.clock_left)
    offer.clock_left = None
    if offer.clock == ClockKind.ANSWER_DUE:
        offer.answer_due_at = offer.clock_due_at
    bundle.changed.add(offer.id)
