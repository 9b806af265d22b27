"""``need.requested``: the case opens or opens again, the need is routed, the first offer made."""

from collections.abc import Hashable

from event_schemas.cases import CaseNeedAdded, CaseOpened
from event_schemas.codes import RESTRICTED, CaseStatus, NeedStatus, Reason
from event_schemas.referrals import NeedApprovalRequested, NeedRequested
from handoff_kit.consumer import Received

from referral_svc.domain import routing
from referral_svc.domain.records import Attention, Bundle, Case, Need
from referral_svc.domain.states import NeedStep, need_after
from referral_svc.domain.timeline import Entry
from referral_svc.domain.verdicts import Inputs
from referral_svc.handlers import case_steps, placing
from referral_svc.handlers.work import Work
from referral_svc.handlers.world import Planned, looks_at


def need_requested(work: Work, received: Received) -> None:
    """Take the need in. A need that is known already changes nothing."""
    event: NeedRequested = received.data
    agency = received.agency
    bundle = work.find(agency, event.case_id)
    if bundle is None:
        bundle = _open(work, agency, event)
    elif event.need_id in bundle.needs:
        return
    elif bundle.case.status == CaseStatus.CLOSED:
        case_steps.reopen_case(work, bundle, event.referrer_role)
    add_need(work, bundle, event)


def add_need(work: Work, bundle: Bundle, event: NeedRequested) -> Need:
    """Put the need into its case and take the first step towards meeting it."""
    agency = bundle.case.agency_id
    plan = plan_of(work, agency, event)
    rule, match = plan.rule, plan.match
    need = _need(agency, event, plan, work)
    bundle.needs[need.id] = need
    bundle.fresh.add(need.id)
    work.matches[agency, match.id] = match
    over = event.consent_id is not None and (agency, event.consent_id) in work.ended_consents
    if not over:
        step = NeedStep.ASK_APPROVAL if rule.approval else NeedStep.MATCH
        need.status = need_after(need.status, step)
    _say_added(work, bundle, need, event.referrer_role)
    if over:
        placing.settle(
            work, bundle, need, NeedStep.WITHDRAW, reason=Reason.CONSENT_WITHDRAWN, forced=True
        )
    elif rule.approval:
        _ask_approval(work, bundle, need, rule.approval)
    else:
        placing.place_first(work, bundle, need, rule, match)
    return need


def plan_of(work: Work, agency: str, event: NeedRequested) -> Planned:
    """Route and match of the need. Needs alike in all that counts share one plan."""
    key: Hashable = (
        agency,
        event.category,
        event.urgency,
        event.encounter,
        event.referrer_role,
        event.consent_id is None,
        event.severity,
        event.tenure,
        event.property,
        *event.area,
        0,
        *event.languages,
        0,
        *event.age_bands,
        0,
        *event.recipients,
    )
    found = work.world.plan(agency, key, event.category, work.now)
    if found is not None:
        return found
    world = work.world
    rule = routing.choose(world.policy, facts_of(event))
    like = Inputs(
        category=event.category,
        serves=(),
        target=rule.target,
        organizations=(),
        area=(),
        languages=tuple(event.languages),
        age_bands=tuple(event.age_bands),
        tenure=event.tenure,
        recipients=None if event.consent_id is None else tuple(event.recipients),
    )
    inputs = world.inputs(agency, rule, rule.target, like, event.area)
    revision = world.directory(agency).revision_of((*looks_at(inputs), *rule.serves))
    match = world.match(agency, inputs, work.now)
    urgency = routing.effective_urgency(event.urgency, event.severity)
    made = world.plans[key] = Planned(rule, urgency, match, revision)
    return made


_NOTHING: frozenset[str] = frozenset()


def facts_of(event: NeedRequested) -> routing.Facts:
    """What the routing table may ask about."""
    codes = event.property
    building = codes.model_dump(exclude_none=True) if codes is not None else {}
    facts = dict.fromkeys(routing.CONDITIONS, _NOTHING)
    facts.update({name: frozenset({value}) for name, value in building.items()})
    stated = {
        "category": event.category,
        "subject": "property" if event.consent_id is None else "resident",
        "restricted": "yes" if event.restricted or event.category in RESTRICTED else "no",
        "urgency": routing.effective_urgency(event.urgency, event.severity),
        "severity": event.severity,
        "source": event.encounter,
        "referrer_role": event.referrer_role,
        "tenure": event.tenure,
    }
    facts.update({name: frozenset({v}) for name, v in stated.items() if v is not None})
    facts["household"] = frozenset(event.age_bands)
    facts["language"] = frozenset(event.languages)
    return facts


def _open(work: Work, agency: str, event: NeedRequested) -> Bundle:
    case = Case(
        agency,
        event.case_id,
        CaseStatus.OPEN,
        event.restricted,
        event.area,
        event.property_id,
        None,
        None,
        work.now,
        None,
        None,
        [],
        0,
    )
    bundle = Bundle(case)
    bundle.fresh.add(case.id)
    work.bundles[agency, case.id] = bundle
    work.write(bundle, Entry.CASE_OPENED, role=event.referrer_role)
    work.say(
        agency,
        CaseOpened(
            case_id=case.id,
            restricted=event.restricted,
            at=work.now,
            version=case.version,
            status=CaseStatus.OPEN,
            actor_role=event.referrer_role,
            area=event.area,
            property_id=event.property_id,
            referrer=event.referrer,
            referrer_role=event.referrer_role,
            referrer_organization_id=event.referrer_organization_id,
        ),
    )
    return bundle


def _need(agency: str, event: NeedRequested, plan: Planned, work: Work) -> Need:
    return Need(
        agency,
        event.need_id,
        event.case_id,
        event.category,
        plan.urgency,
        event.severity,
        NeedStatus.REQUESTED,
        None,
        None,
        None,
        event.restricted,
        event.referrer,
        event.referrer_role,
        event.referrer_organization_id,
        event.feedback,
        event.consent_id,
        event.inspection_id,
        event.deadline,
        event.deadline_basis,
        plan.rule.name,
        plan.rule.target,
        plan.match.id,
        work.now,
        None,
        0,
    )


def _say_added(work: Work, bundle: Bundle, need: Need, role: str) -> None:
    work.write(bundle, Entry.NEED_REQUESTED, need, role=role, facts={"category": need.category})
    work.touch(bundle, need)
    case = bundle.case
    work.say(
        need.agency_id,
        CaseNeedAdded(
            case_id=case.id,
            restricted=case.restricted,
            at=work.now,
            version=case.version,
            status=case.status,
            actor_role=role,
            need_id=need.id,
            category=need.category,
            urgency=need.urgency,
            need_status=need.status,
            referrer=need.referrer,
            referrer_role=need.referrer_role,
            referrer_organization_id=need.referrer_organization_id,
            feedback=need.feedback,
        ),
    )


def _ask_approval(work: Work, bundle: Bundle, need: Need, approvers: tuple[str, ...]) -> None:
    need.attention = Attention.APPROVAL
    work.write(bundle, Entry.APPROVAL_REQUESTED, need)
    work.say(
        need.agency_id,
        NeedApprovalRequested(
            case_id=need.case_id,
            need_id=need.id,
            restricted=need.restricted,
            at=work.now,
            category=need.category,
            approvers=list(approvers),
        ),
    )
