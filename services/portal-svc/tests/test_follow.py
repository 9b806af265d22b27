"""The read models: what they hold, that they can be told again, and in another order."""

import asyncio
from uuid import uuid4

import pytest
from event_schemas import offers
from event_schemas.codes import (
    BusinessStatus,
    ContactResult,
    NeedStatus,
    OfferStatus,
    Reason,
)
from portal_svc.consumers import FOLLOWED, groups
from portal_svc.domain.follow import RULES

VIEWS = (
    "case_view",
    "need_view",
    "consent_view",
    "offer_view",
    "organization_view",
    "delivery_view",
    "parked_view",
    "flow_view",
)


async def everything(admin) -> dict[str, list]:
    """All rows of all views; when they were read is no part of what they say."""
    return {
        view: [
            {k: v for k, v in row.items() if k != "last_read_at"}
            for row in await admin.fetch(f"SELECT * FROM portal.{view} v ORDER BY v::text")
        ]
        for view in VIEWS
    }


@pytest.fixture
def a_long_story(a_story, an_organization, operations):
    """Events of every kind that matters, in the order in which they are said."""
    story, pantry, harbor = a_story(), uuid4(), uuid4()
    told = [an_organization(pantry, "Pantry"), an_organization(pantry, "North Pantry", 2)]
    told += story.begun()
    first, second = story.offered(pantry), story.offered(harbor)
    told += [story.matched(), first, story.attempted(ContactResult.NO_ANSWER)]
    told += [story.declined(first), second, story.attempted(), story.assigned(pantry, "somebody")]
    told += [
        story.accepted(second),
        story.said(
            offers.OfferScheduled,
            second,
            OfferStatus.ACCEPTED,
            3,
            BusinessStatus.SCHEDULED,
            appointment_at=story.now,
        ),
        story.said(
            offers.OfferHeld,
            second,
            OfferStatus.ON_HOLD,
            4,
            reason=Reason.WAITING_ON_RESIDENT,
        ),
        story.said(offers.OfferResumed, second, OfferStatus.IN_PROGRESS, 5),
        story.completed(second, 6),
        story.settled(),
        story.closed(),
        *operations,
    ]
    return told


def test_every_rule_is_for_an_event_that_there_is() -> None:
    assert {event.TYPE for event in FOLLOWED} == set(RULES)
    (group,) = groups(lambda: None)
    assert {"handoff.cases", "handoff.restricted.cases", "handoff.offers"} <= set(group.topics)
    assert "handoff.inbound.inspections" not in group.topics


async def test_the_story_ends_as_it_was_told(tell, a_long_story, admin) -> None:
    await tell(*a_long_story)
    case = await admin.fetchrow("SELECT * FROM portal.case_view")
    assert (case["status"], case["assignee"], case["closed_reason"]) == (
        "closed",
        "somebody",
        "needs-settled",
    )
    assert case["last_attempt_result"] == "reached"
    assert case["attempt_ids"].count("-") == 8  # two ids
    need = await admin.fetchrow("SELECT * FROM portal.need_view")
    assert (need["status"], need["outcome"]) == ("met", "got-help")
    assert need["settled_at"] is not None
    statuses = await admin.fetch("SELECT status, reason, outcome FROM portal.offer_view ORDER BY 1")
    assert [tuple(row) for row in statuses] == [
        ("completed", None, "got-help"),
        ("rejected", "no-capacity", None),
    ]
    assert await admin.fetchval("SELECT name FROM portal.organization_view") == "North Pantry"
    topics = {row["topic"] for row in await admin.fetch("SELECT topic FROM portal.flow_view")}
    assert {"handoff.cases", "handoff.referrals", "handoff.deliveries"} <= topics


async def test_one_by_one_is_the_same_as_all_at_once(tell, a_long_story, admin) -> None:
    await tell(*a_long_story, agency="all-at-once")
    for event in a_long_story:
        await tell(event, agency="one-by-one")
    found = await everything(admin)
    for view, rows in found.items():
        told = {"all-at-once": [], "one-by-one": []}
        for row in rows:
            told[row.pop("agency_id")].append(row)
        if view != "flow_view":  # Its time is when the record was said, here: made.
            assert told["all-at-once"] == told["one-by-one"], view


async def test_told_again_nothing_changes(tell, a_long_story, admin) -> None:
    await tell(*a_long_story)
    before = await everything(admin)
    before.pop("flow_view")
    await tell(*a_long_story)
    after = await everything(admin)
    after.pop("flow_view")
    assert after == before


async def test_writers_may_come_in_any_order(tell, a_long_story, admin) -> None:
    """Partner's words before referral's, referral's before intake's: nothing waits or differs."""
    await tell(*a_long_story)
    expected = await everything(admin)
    by_topic: dict[str, list] = {}
    for event in a_long_story:
        by_topic.setdefault(event.TOPIC, []).append(event)
    backwards = [e for topic in sorted(by_topic, reverse=True) for e in by_topic[topic]]
    assert backwards != a_long_story
    await admin.execute(f"TRUNCATE {', '.join(f'portal.{view}' for view in VIEWS)}")
    await tell(*backwards)
    found = await everything(admin)
    for view in set(VIEWS) - {"flow_view"}:
        assert found[view] == expected[view], view


async def test_a_settled_need_can_be_opened_again(tell, a_story, admin) -> None:
    story = a_story()
    await tell(*story.begun(), story.settled(NeedStatus.UNMET))
    await tell(story.matched(NeedStatus.MATCHING))
    need = await admin.fetchrow("SELECT status, settled_at, outcome FROM portal.need_view")
    assert tuple(need) == ("matching", None, None)


async def test_a_withdrawn_consent_stays_withdrawn(tell, a_story, admin) -> None:
    story = a_story()
    late = story.granted(version=2)
    await tell(*story.begun(), story.withdrawn(), late)
    assert await admin.fetchval("SELECT active FROM portal.consent_view") is False


async def test_the_pages_are_woken_after_each_set(tell, a_story, context) -> None:
    woken = context.wakes.subscribe(["portal:changed"])
    await tell(*a_story().begun())
    assert woken.is_set()


async def test_a_set_is_written_in_one_round_trip_however_long(
    db, built, tell, a_story, monkeypatch
) -> None:
    """The bench of a replay leans on it."""
    from handoff_kit import sets

    written: list[list[str]] = []
    write = sets.write

    async def counted(connection, parts):
        written.append([part.name for part in parts if part.name])
        return await write(connection, parts)

    monkeypatch.setattr(sets, "write", counted)
    await tell(*[event for _ in range(50) for event in a_story().begun()])
    assert written == [["insert case_view", "insert need_view", "insert consent_view"]]


async def test_two_members_with_different_topics_lose_nothing(
    feeder, a_story, admin, monkeypatch
) -> None:
    """One has ``cases``, the other ``referrals`` and ``offers``: both write of the same needs."""
    from portal_svc.handlers import follow as module

    upsert = module.sets.upsert

    async def slow(connection, table, rows):
        # Who knows less writes last, long after both have read what was there.
        knows_less = table.__tablename__ == "need_view" and rows and rows[0].consent_id is None
        await asyncio.sleep(0.5 if knows_less else 0.02)
        return await upsert(connection, table, rows)

    monkeypatch.setattr(module.sets, "upsert", slow)
    one, other = feeder(), feeder()
    stories = [a_story() for _ in range(40)]
    told = [[*s.begun(), s.matched()] for s in stories]

    def of(topics: set[str], follower, source: str):
        return [
            follower.record(event, source=source)
            for events in told
            for event in events
            if event.TOPIC in topics
        ]

    await asyncio.gather(
        one.feed_records(of({"cases"}, one, "/handoff/referral")),
        other.feed_records(of({"referrals", "consents"}, other, "/handoff/intake")),
    )
    rows = await admin.fetch("SELECT status, consent_id, referrer, urgency FROM portal.need_view")
    assert len(rows) == 40
    for row in rows:
        assert row["status"] == "offered"
        assert row["consent_id"] is not None
        assert row["referrer"] == "an-inspector"
