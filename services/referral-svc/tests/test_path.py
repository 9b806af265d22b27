"""From a need to its end, on a real database: what referral says, and in which order."""

from uuid import uuid4

import pytest
from event_schemas import offers
from event_schemas.cases import (
    CaseAssigned,
    CaseClosed,
    CaseNeedAdded,
    CaseOpened,
    CaseReopened,
)
from event_schemas.codes import NeedCategory, NeedStatus, Outcome, Reason, TargetKind
from event_schemas.referrals import NeedMatched, NeedSettled, OfferCancelRequested, OfferMade


async def test_food_goes_to_a_partner_at_once(town, tools) -> None:
    need = tools.need()
    events = await town.asks(need)
    assert [type(event) for event in events] == [CaseOpened, CaseNeedAdded, NeedMatched, OfferMade]
    made = tools.only(OfferMade, events)
    assert made.target_kind is TargetKind.PARTNER
    assert made.service_id in {tools.service_id(slug) for slug in tools.pantries}
    assert made.consent_id == need.consent_id
    assert made.property_id is None
    assert made.answer_due_at is not None
    matched = tools.only(NeedMatched, events)
    assert (matched.eligible, matched.ask_first, matched.excluded) == (3, 0, 0)
    assert matched.status is NeedStatus.OFFERED
    assert matched.policy_version.startswith("2026-01+")


async def test_pantries_take_turns(town, tools) -> None:
    asked = [tools.only(OfferMade, await town.asks(tools.need())).organization_id for _ in range(6)]
    pantries = {tools.organization_id(slug) for slug in tools.pantries}
    assert set(asked[:3]) == set(asked[3:]) == pantries
    assert asked[:3] == asked[3:]


async def test_pantries_take_turns_within_one_set(town, tools) -> None:
    events = await town.asks(*(tools.need() for _ in range(30)))
    asked = [event.organization_id for event in events if isinstance(event, OfferMade)]
    assert sorted(map(asked.count, set(asked))) == [10, 10, 10]


async def test_the_same_need_again_changes_nothing(town, tools) -> None:
    need = tools.need()
    await town.asks(need)
    assert await town.asks(need) == []


async def test_a_second_need_joins_its_case(town, tools) -> None:
    first = tools.need()
    await town.asks(first)
    events = await town.asks(tools.need(case_id=first.case_id, category=NeedCategory.LEGAL_HELP))
    assert [type(e) for e in events] == [CaseNeedAdded, NeedMatched, OfferMade]


async def test_other_needs_go_to_the_case_managers_and_then_below(town, tools) -> None:
    need = tools.need(category=NeedCategory.LEGAL_HELP)
    made = tools.only(OfferMade, await town.asks(need))
    assert (made.target_kind, made.organization_id) == (TargetKind.CASE_MANAGER, tools.hub)
    assert made.service_id is None
    events = await town.answers(offers.OfferAccepted, made)
    assert tools.only(CaseAssigned, events).organization_id == tools.hub


async def test_a_property_goes_to_the_department_of_the_table(town, tools) -> None:
    need = tools.property_need(severity="life-threatening")
    events = await town.asks(need)
    made = tools.only(OfferMade, events)
    assert made.target_kind is TargetKind.DEPARTMENT
    assert made.organization_id == tools.organization_id("fire-department")
    assert made.property_id == need.property_id
    assert made.inspection_id == need.inspection_id
    assert made.urgency == "emergency"  # severity is the higher of the two axes
    assert tools.only(CaseOpened, events).property_id == need.property_id


async def test_a_department_that_declines_is_followed_by_the_next(town, tools) -> None:
    made = tools.only(OfferMade, await town.asks(tools.property_need()))
    events = await town.answers(offers.OfferRejected, made, reason=Reason.SERVICE_NOT_PROVIDED)
    after = tools.only(OfferMade, events)
    assert after.organization_id == tools.organization_id("inspectional-services")


async def test_a_restricted_need_stays_with_case_managers_without_clocks(town, tools) -> None:
    need = tools.need(category=NeedCategory.MENTAL_HEALTH, restricted=True)
    events = await town.asks(need)
    made = tools.only(OfferMade, events)
    assert made.target_kind is TargetKind.CASE_MANAGER
    assert made.answer_due_at is None
    assert all(event.restricted for event in events)
    events = await town.answers(offers.OfferCompleted, made, outcome=Outcome.HANDED_OVER)
    settled = tools.only(NeedSettled, events)
    assert settled.status is NeedStatus.PARTLY_MET


async def test_no_capacity_goes_to_the_next_and_ends_unmet_when_nobody_is_left(town, tools) -> None:
    hubless = [tools.organization_id(slug) for slug in tools.pantries]
    made = tools.only(OfferMade, await town.asks(tools.need(recipients=hubless)))
    asked = [made.organization_id]
    for _ in range(2):
        events = await town.answers(offers.OfferRejected, made, reason=Reason.NO_CAPACITY)
        made = tools.only(OfferMade, events)
        asked.append(made.organization_id)
    assert sorted(asked) == sorted(hubless)
    events = await town.answers(offers.OfferRejected, made, reason=Reason.NO_CAPACITY)
    assert tools.only(NeedSettled, events).status is NeedStatus.UNMET
    assert tools.only(CaseClosed, events).reason == "needs-settled"


async def test_when_no_partner_is_left_the_case_managers_are_asked(town, tools) -> None:
    made = tools.only(OfferMade, await town.asks(tools.need()))
    for _ in range(3):
        events = await town.answers(offers.OfferRejected, made, reason=Reason.NOT_ELIGIBLE)
        made = tools.only(OfferMade, events)
    assert made.target_kind is TargetKind.CASE_MANAGER


async def test_who_said_no_capacity_is_asked_last_for_other_needs(town, tools) -> None:
    made = tools.only(OfferMade, await town.asks(tools.need()))
    await town.answers(offers.OfferRejected, made, reason=Reason.NO_CAPACITY)
    events = await town.asks(*(tools.need() for _ in range(12)))
    asked = {event.organization_id for event in events if isinstance(event, OfferMade)}
    assert made.organization_id not in asked
    said_anew = tools.service(
        next(s for s in tools.pantries if tools.organization_id(s) == made.organization_id),
        NeedCategory.FOOD_INSECURITY,
        version=2,
        capacity="capacity",
        capacity_said_at="2099-01-01T00:00:00Z",
    )
    await town.knows(said_anew)
    made_again = tools.only(OfferMade, await town.asks(tools.need()))
    assert made_again.organization_id == made.organization_id


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.GOT_HELP, NeedStatus.MET),
        (Outcome.ENROLLED, NeedStatus.MET),
        (Outcome.WAITLISTED, NeedStatus.PARTLY_MET),
        (Outcome.INFORMATION_ONLY, NeedStatus.PARTLY_MET),
        (Outcome.REFERRED_ELSEWHERE, NeedStatus.PARTLY_MET),
        (Outcome.RESIDENT_DECLINED, NeedStatus.WITHDRAWN),
    ],
)
async def test_an_outcome_settles_the_need(town, tools, outcome, status) -> None:
    made = tools.only(OfferMade, await town.asks(tools.need()))
    await town.answers(offers.OfferAccepted, made)
    events = await town.answers(offers.OfferCompleted, made, outcome=outcome)
    settled = tools.only(NeedSettled, events)
    assert (settled.status, settled.outcome, settled.feedback) == (status, outcome, True)
    assert tools.only(CaseClosed, events).status == "closed"


async def test_an_outcome_without_help_goes_to_the_next_candidate(town, tools) -> None:
    made = tools.only(OfferMade, await town.asks(tools.need()))
    await town.answers(offers.OfferAccepted, made)
    events = await town.answers(offers.OfferCompleted, made, outcome=Outcome.NO_FUNDS)
    assert tools.only(OfferMade, events).organization_id != made.organization_id


async def test_a_closed_case_opens_again_for_a_new_need(town, tools) -> None:
    need = tools.need()
    made = tools.only(OfferMade, await town.asks(need))
    await town.answers(offers.OfferAccepted, made)
    await town.answers(offers.OfferCompleted, made, outcome=Outcome.GOT_HELP)
    events = await town.asks(tools.need(case_id=need.case_id))
    assert [type(e) for e in events] == [CaseReopened, CaseNeedAdded, NeedMatched, OfferMade]


async def test_a_mistaken_accept_is_offered_anew_to_the_same(town, tools) -> None:
    made = tools.only(OfferMade, await town.asks(tools.need()))
    await town.answers(offers.OfferAccepted, made)
    events = await town.answers(offers.OfferCancelled, made, reason=Reason.ACCEPTED_IN_ERROR)
    again = tools.only(OfferMade, events)
    assert again.service_id == made.service_id
    assert again.offer_id != made.offer_id


async def test_a_late_accept_supersedes_the_next_offer(town, tools) -> None:
    first = tools.only(OfferMade, await town.asks(tools.need()))
    events = await town.answers(offers.OfferCancelled, first, reason=Reason.NO_RESPONSE)
    second = tools.only(OfferMade, events)
    events = await town.answers(offers.OfferAccepted, first, revived=True)
    ask = tools.only(OfferCancelRequested, events)
    assert (ask.offer_id, ask.reason) == (second.offer_id, Reason.SUPERSEDED)


async def test_a_second_accept_does_not_stand(town, tools) -> None:
    first = tools.only(OfferMade, await town.asks(tools.need()))
    events = await town.answers(offers.OfferCancelled, first, reason=Reason.NO_RESPONSE)
    second = tools.only(OfferMade, events)
    await town.answers(offers.OfferAccepted, second)
    events = await town.answers(offers.OfferAccepted, first, revived=True)
    ask = tools.only(OfferCancelRequested, events)
    assert (ask.offer_id, ask.reason) == (first.offer_id, Reason.SUPERSEDED)


async def test_withdrawal_forces_every_open_offer_to_end(town, tools) -> None:
    need = tools.need()
    made = tools.only(OfferMade, await town.asks(need))
    await town.answers(offers.OfferAccepted, made)
    events = await town.tells(tools.withdrawn(need), source="/handoff/intake")
    ask = tools.only(OfferCancelRequested, events)
    assert (ask.offer_id, ask.reason, ask.forced) == (made.offer_id, Reason.CONSENT_WITHDRAWN, True)
    settled = tools.only(NeedSettled, events)
    assert (settled.status, settled.reason) == (NeedStatus.WITHDRAWN, Reason.CONSENT_WITHDRAWN)
    events = await town.answers(offers.OfferCancelled, made, reason=Reason.CONSENT_WITHDRAWN)
    assert events == []


async def test_a_need_under_a_consent_that_is_gone_is_offered_to_nobody(town, tools) -> None:
    first = tools.need()
    await town.asks(first)
    await town.tells(tools.withdrawn(first), source="/handoff/intake")
    late = tools.need(case_id=first.case_id, consent_id=first.consent_id)
    events = await town.asks(late)
    assert not [e for e in events if isinstance(e, OfferMade)]
    assert tools.only(NeedSettled, events).status is NeedStatus.WITHDRAWN


async def test_a_withdrawal_that_is_first_waits_for_its_case(town, tools) -> None:
    need = tools.need()
    assert await town.tells(tools.withdrawn(need), source="/handoff/intake") == []
    await town.asks(need)
    await town.cases.repair()
    events = await town.said()
    assert tools.only(OfferCancelRequested, events).forced


async def test_an_answer_to_an_unknown_offer_waits(town, tools) -> None:
    need = tools.need()
    made = OfferMade(
        offer_id=uuid4(),
        case_id=need.case_id,
        need_id=need.need_id,
        at=tools.at,
        organization_id=tools.hub,
        target_kind=TargetKind.CASE_MANAGER,
        category=need.category,
        urgency=need.urgency,
    )
    assert await town.answers(offers.OfferAccepted, made) == []
    assert town.cases.consumer.waiting


async def test_a_consent_for_more_recipients_lets_a_waiting_need_go_on(town, tools) -> None:
    need = tools.need(recipients=[uuid4()])
    events = await town.asks(need)
    assert not [e for e in events if isinstance(e, OfferMade)]
    wider = [tools.organization_id(slug) for slug in tools.pantries]
    events = await town.tells(
        tools.granted(need, version=2, recipients=wider), source="/handoff/intake"
    )
    assert tools.only(OfferMade, events).organization_id in wider


async def test_a_target_without_agreement_is_not_asked(town, tools) -> None:
    gone = tools.organization(tools.pantries[0], version=2, agreement_active=False)
    await town.knows(gone)
    events = await town.asks(*(tools.need() for _ in range(9)))
    asked = {event.organization_id for event in events if isinstance(event, OfferMade)}
    assert tools.organization_id(tools.pantries[0]) not in asked
    assert len(asked) == 2


async def test_who_cannot_be_asked_by_itself_waits_for_a_person(town, tools, admin) -> None:
    for slug in tools.pantries:
        unknown = tools.service(
            slug, NeedCategory.FOOD_INSECURITY, version=2, area_unknown=True, areas=[]
        )
        await town.knows(unknown)
    need = tools.need(recipients=[tools.organization_id(slug) for slug in tools.pantries])
    events = await town.asks(need)
    assert not [e for e in events if isinstance(e, OfferMade)]
    row = await admin.fetchrow("SELECT status, attention FROM referral.need")
    assert tuple(row) == ("matching", "ask-first")


async def test_what_decided_is_stored_once_and_found_again(town, tools, admin) -> None:
    await town.asks(*(tools.need() for _ in range(5)))
    await town.asks(*(tools.need() for _ in range(5)))
    assert await admin.fetchval("SELECT count(*) FROM referral.match") == 1
    used = await admin.fetchval("SELECT count(DISTINCT match_id) FROM referral.offer")
    assert used == 1
