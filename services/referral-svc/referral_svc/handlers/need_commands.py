"""Commands on a need: offers by hand, hold and resume, withdrawal, approval."""

from collections.abc import Callable, Sequence
from uuid import UUID

from event_schemas.codes import NeedStatus, OrganizationKind, TargetKind, Verdict
from handoff_kit.doorway import Answer
from handoff_kit.errors import Conflict, FieldError, Invalid, NotVisible, ScopeMissing
from handoff_kit.http import etag

from referral_svc.domain import course
from referral_svc.domain.matching import pick
from referral_svc.domain.records import Bundle, Need, Offer
from referral_svc.domain.states import NeedStep, need_after
from referral_svc.domain.timeline import Entry
from referral_svc.domain.verdicts import Candidate
from referral_svc.handlers import answers, placing
from referral_svc.handlers.commands import Approve, Hold, MakeOffer, Resume, Withdraw
from referral_svc.handlers.views import need_view, offer_view
from referral_svc.handlers.work import Work


def need_answer(need: Need, status: int = 200) -> Answer:
    return Answer(status, need_view(need), {"ETag": etag(need.version)})


def _make_offer(work: Work, bundle: Bundle, need: Need, command: MakeOffer) -> Answer:
    """Offer the need to whom the person chose; an excluded candidate is refused with reasons."""
    need_after(need.status, NeedStep.OFFER)
    if need.restricted:
        raise Conflict("A restricted need stays with its case manager.", code="restricted-kind")
    parent = _parent(bundle, need, command)
    rule = work.rule(need)
    candidate, match_id = _chosen(work, bundle, need, command)
    for other in bundle.offers_of(need):
        if other.open and other.asked is None and other.target == candidate.key:
            raise Conflict("There is an open offer to this target already.", code="already-offered")
    offer = placing.offer_to(
        work,
        bundle,
        need,
        rule,
        candidate,
        match_id,
        parent,
        by_hand=True,
        role=command.role,
    )
    return Answer(201, offer_view(offer), {"ETag": etag(need.version)})


def _parent(bundle: Bundle, need: Need, command: MakeOffer) -> Offer | None:
    """The case manager's own offer in hand, under which the new one lies."""
    if command.parent_offer_id is None:
        own = course.manager_in_hand(bundle.offers_of(need))
        return own if own is not None and own.organization_id == command.organization else None
    parent = bundle.offers.get(command.parent_offer_id)
    if parent is None or parent.need_id != need.id:
        raise NotVisible
    if not (parent.is_manager and parent.in_hand):
        raise Conflict("The parent offer is not in a case manager's hand.", code="parent-not-open")
    return parent


def _chosen(
    work: Work, bundle: Bundle, need: Need, command: MakeOffer
) -> tuple[Candidate, UUID | None]:
    rule = work.rule(need)
    directory = work.world.directory(need.agency_id)
    if command.service_id is None and command.organization_id is not None:
        return _department(work, need, command), need.match_id
    match = placing.match_for(work, bundle, need, rule, TargetKind.PARTNER)
    if command.service_id is None:
        barred = course.barred(bundle.offers_of(need), work.world.policy, directory, work.now)
        found = pick(match, barred, work.world.turns.get(need.agency_id, {}))
        if found is None:
            raise Conflict("No eligible candidate is left.", code="no-candidates")
        return found, match.id
    listed = {c.key: c for c in match.candidates}
    found = listed.get(command.service_id)
    if found is None:
        if command.service_id not in directory.services:
            raise NotVisible
        raise _excluded([("need-not-served", "serves other kinds of need")])
    if found.verdict is Verdict.EXCLUDED:
        raise _excluded(found.reasons)
    return found, match.id


def _excluded(reasons: Sequence[tuple[str, str]]) -> Conflict:
    return Conflict(
        "This candidate is excluded.",
        code="excluded",
        reasons=[{"code": code, "fact": fact} for code, fact in reasons],
    )


def _department(work: Work, need: Need, command: MakeOffer) -> Candidate:
    """An offer to a department or a case manager as such, without a service."""
    directory = work.world.directory(need.agency_id)
    organization = directory.organizations.get(command.organization_id)  # type: ignore[arg-type]
    if organization is None:
        raise NotVisible
    if organization.kind == OrganizationKind.PARTNER:
        message = "A partner is asked for one of its services."
        raise Invalid(errors=[FieldError("service_id", "missing", message)])
    if need.consent_id is not None and need.match_id is not None:
        recipients = work.world.inputs_of(need.agency_id, need.match_id).recipients or ()
        if organization.id not in recipients:
            raise _excluded([("consent-does-not-cover", "not among the consent's recipients")])
        if not organization.agreement_active:
            raise _excluded([("no-agreement", "no active data-sharing agreement")])
    case_manager = organization.kind == OrganizationKind.CASE_MANAGEMENT
    target = TargetKind.CASE_MANAGER if case_manager else TargetKind.DEPARTMENT
    return Candidate(None, organization.id, organization.name, target, Verdict.ELIGIBLE, (), ())


def _hold(work: Work, bundle: Bundle, need: Need, command: Hold) -> Answer:
    answers.hold(work, bundle, need, command.reason, command.role)
    return need_answer(need)


def _resume(work: Work, bundle: Bundle, need: Need, command: Resume) -> Answer:
    """Go on with a need on hold, or with one that waited for a person."""
    if need.status == NeedStatus.ON_HOLD:
        answers.resume(work, bundle, need, command.role)
        return need_answer(need)
    if need.status not in _GOES_ON or need.attention is None:
        need_after(need.status, NeedStep.RESUME)
    need.attention = None
    work.touch(bundle, need)
    facts = {"category": need.category}
    work.write(bundle, Entry.NEED_RESUMED, need, role=command.role, facts=facts)
    waiting = [offer for offer in bundle.offers_of(need) if course.stands(offer)]
    for offer in waiting:
        placing.resume_clock(work, bundle, need, offer)
    if not any(offer.waits or not offer.is_manager for offer in waiting):
        placing.place(work, bundle, need, course.manager_in_hand(waiting))
    return need_answer(need)


_GOES_ON = frozenset({NeedStatus.MATCHING, NeedStatus.OFFERED, NeedStatus.IN_SERVICE})


def _withdraw(work: Work, bundle: Bundle, need: Need, command: Withdraw) -> Answer:
    placing.settle(work, bundle, need, NeedStep.WITHDRAW, reason=command.reason, role=command.role)
    return need_answer(need)


def _approve(work: Work, bundle: Bundle, need: Need, command: Approve) -> Answer:
    """Raises ScopeMissing for a role that the policy does not name."""
    rule = work.rule(need)
    status = need_after(need.status, NeedStep.APPROVE)
    if command.roles.isdisjoint(rule.approval):
        raise ScopeMissing("The policy reserves this approval for another role.")
    need.status, need.attention = status, None
    work.touch(bundle, need)
    work.write(bundle, Entry.APPROVED, need, role=command.role)
    match = placing.match_for(work, bundle, need, rule, rule.target)
    placing.place_first(work, bundle, need, rule, match)
    return need_answer(need)


OF_NEED: dict[type, Callable[..., Answer]] = {
    MakeOffer: _make_offer,
    Hold: _hold,
    Resume: _resume,
    Withdraw: _withdraw,
    Approve: _approve,
}
