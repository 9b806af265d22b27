"""Clocks on a real database: reminders, silence, pauses. Time is given, not waited for."""

from datetime import UTC, datetime, timedelta

import pytest
from event_schemas import offers
from event_schemas.codes import ClockKind, NeedCategory, Reason
from event_schemas.referrals import ClockDue, OfferCancelRequested, OfferMade
from handoff_kit.cities import city_folder
from handoff_kit.clock import FakeClock
from handoff_kit.tx import Tx
from referral_svc.handlers.clocks import run_clocks
from referral_svc.handlers.world import World
from referral_svc.settings.policy import load_policy

HOUR = timedelta(hours=1)
# A Tuesday morning in Boston; the demo city is open from 8 to 19 that day.
TUESDAY = datetime(2026, 3, 3, 13, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(TUESDAY)


@pytest.fixture
def world() -> World:
    return World(load_policy(city_folder("demo")))


@pytest.fixture
def tick(db, town, world, clock):
    """Run the clocks at the fake clock's time; what was said."""

    async def run(advance: timedelta = timedelta()):
        clock.advance(advance)
        async with db.sets() as connection:
            tx = Tx(connection, clock.now(), "referral")
            done = await run_clocks(world, tx)
            await tx.save()
        events = await town.said()
        assert len([e for e in events if isinstance(e, ClockDue)]) <= done
        return events

    return run


@pytest.fixture
async def an_offer(town, tools, admin, clock):
    """A partner's offer, as if it was made at the fake clock's time."""
    made = tools.only(OfferMade, await town.asks(tools.need(urgency="routine")))
    due = load_policy(city_folder("demo")).calendar.add(clock.now(), 8 * 3600)
    await admin.execute(
        "UPDATE referral.offer SET made_at = $1, answer_due_at = $2, clock_due_at = $2",
        clock.now(),
        due,
    )
    return made


async def test_nothing_is_due_before_its_time(an_offer, tick) -> None:
    assert await tick(7 * HOUR) == []


async def test_silence_is_reminded_and_then_ends_the_offer(an_offer, tick, town, tools) -> None:
    events = await tick(8 * HOUR)
    due = tools.only(ClockDue, events)
    assert (due.clock, due.reminder, due.source) == (ClockKind.ANSWER_DUE, 1, "partner-agreement")
    assert due.organization_id == an_offer.organization_id
    assert await tick(2 * HOUR) == []
    # Three of the next four business hours are left of Tuesday, one is Wednesday's first.
    events = await tick(15 * HOUR)
    assert tools.only(ClockDue, events).reminder == 2
    ask = tools.only(OfferCancelRequested, events)
    assert (ask.offer_id, ask.reason, ask.forced) == (an_offer.offer_id, Reason.NO_RESPONSE, False)
    assert await tick(500 * HOUR) == []
    events = await town.answers(offers.OfferCancelled, an_offer, reason=Reason.NO_RESPONSE)
    assert tools.only(OfferMade, events).organization_id != an_offer.organization_id


async def test_an_answer_stops_the_answers_clock(an_offer, tick, town, tools) -> None:
    await town.answers(offers.OfferRejected, an_offer, reason=Reason.OTHER)
    assert await tick(500 * HOUR) == []


async def test_a_question_pauses_it(an_offer, tick, town, admin) -> None:
    await town.answers(offers.OfferQuestionAsked, an_offer)
    assert await tick(500 * HOUR) == []
    row = await admin.fetchrow(
        "SELECT o.clock_left, n.attention FROM referral.offer o, referral.need n"
    )
    assert row["attention"] == "question"
    assert row["clock_left"] is not None


async def test_after_the_last_reminder_a_person_is_told(an_offer, tick, town, tools, admin) -> None:
    await town.answers(offers.OfferAccepted, an_offer)
    await admin.execute("UPDATE referral.offer SET clock_due_at = $1", TUESDAY)
    kinds = []
    for _ in range(4):
        kinds += [e.clock for e in await tick(40 * HOUR) if isinstance(e, ClockDue)]
    assert kinds == [ClockKind.FIRST_CONTACT_DUE] * 3
    assert await admin.fetchval("SELECT attention FROM referral.need") == "silent"
    await town.answers(offers.OfferProgressed, an_offer)
    row = await admin.fetchrow("SELECT n.attention, o.clock FROM referral.need n, referral.offer o")
    assert tuple(row) == (None, ClockKind.PROGRESS_DUE)


async def test_an_emergencys_clock_does_not_pause(town, tools, admin) -> None:
    need = tools.property_need(severity="life-threatening")
    made = tools.only(OfferMade, await town.asks(need))
    before = await admin.fetchval("SELECT clock_due_at FROM referral.offer")
    await town.answers(offers.OfferQuestionAsked, made)
    assert await admin.fetchval("SELECT clock_due_at FROM referral.offer") == before
    assert before - made.at == 2 * HOUR


async def test_a_restricted_offer_has_no_clock(town, tools, tick) -> None:
    await town.asks(tools.need(category=NeedCategory.ELDER_ABUSE, restricted=True))
    assert await tick(5000 * HOUR) == []
