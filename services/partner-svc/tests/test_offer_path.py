"""Offers from the log to their target's answer and back onto the log, on a real database."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from event_schemas.codes import NeedStatus, Outcome, Reason, TargetKind
from event_schemas.referrals import NeedSettled
from handoff_kit.testing import said
from support.offers import AT, cancel


async def test_what_referral_makes_its_target_sees(an_offer, food_bank) -> None:
    listed = (await food_bank.get("/offers")).json()
    assert [o["id"] for o in listed["items"]] == [str(an_offer.offer_id)]
    one = await food_bank.get(f"/offers/{an_offer.offer_id}")
    assert one.headers["etag"] == '"1"'
    body = one.json()
    assert (body["status"], body["business_status"], body["version"]) == ("requested", "2.0", 1)
    assert body["allowed"] == ["accept", "ask", "decline"]
    assert "property_id" not in body
    assert body["case_id"] == str(an_offer.case_id)


async def test_a_property_offer_names_property_and_inspection(feeder, made, food_bank) -> None:
    offer = made(consent_id=None, property_id=uuid4(), inspection_id=uuid4())
    await feeder().feed(offer)
    body = (await food_bank.get(f"/offers/{offer.offer_id}")).json()
    assert body["property_id"] == str(offer.property_id)
    assert body["inspection_id"] == str(offer.inspection_id)


async def test_accept_is_stored_and_said(an_accepted_offer, food_bank, db) -> None:
    body = (await food_bank.get(f"/offers/{an_accepted_offer.offer_id}")).json()
    assert (body["status"], body["business_status"], body["version"]) == ("accepted", "3.0", 2)
    [event] = await said(db)
    assert (event.topic, event.type) == ("handoff.offers", "handoff.offer.accepted.v1")
    assert (event.key, event.sequence) == (str(an_accepted_offer.case_id), 1)
    assert (event.data.version, event.data.actor_role, event.data.revived) == (2, "partner", False)


async def test_the_answer_ends_the_trace_that_made_the_offer(feeder, made, food_bank, db) -> None:
    offer, feed = made(), feeder()
    record = feed.record(offer, source="/handoff/referral")
    trace = "ab" * 16
    record.headers["traceparent"] = f"00-{trace}-{'cd' * 8}-01"
    await feed.feed_records([record])
    await food_bank.do(offer.offer_id, "accept")
    [event] = await said(db)
    assert event.headers["traceparent"].split("-")[1] == trace


async def test_if_match_is_needed_and_has_to_be_fresh(an_offer, food_bank) -> None:
    assert (await food_bank.do(an_offer.offer_id, "accept", version=None)).status_code == 428
    assert (await food_bank.do(an_offer.offer_id, "accept", version=7)).status_code == 412
    assert (await food_bank.do(an_offer.offer_id, "accept", version=1)).status_code == 200


async def test_a_repeated_request_gets_the_stored_answer(an_offer, food_bank, db) -> None:
    first = await food_bank.do(an_offer.offer_id, "accept", key="k1")
    again = await food_bank.do(an_offer.offer_id, "accept", key="k1")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert again.headers["etag"] == '"2"'
    assert len(await said(db)) == 1


async def test_an_illegal_transition_says_what_is_possible(an_offer, food_bank) -> None:
    answer = await food_bank.do(an_offer.offer_id, "complete", {"outcome": "got-help"})
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["code"], problem["allowed"]) == (
        "illegal-transition",
        ["accept", "ask", "decline"],
    )


@pytest.mark.parametrize(
    ("command", "body", "field"),
    [
        ("accept", {"reason": "other"}, "reason"),
        ("decline", {}, "reason"),
        ("decline", {"reason": "no-response"}, "reason"),
        ("ask", {}, "note"),
        ("ask", {"note": ""}, "note"),
        ("schedule", {"at": "2026-03-01T10:00:00"}, "at"),
        ("schedule", {"at": "1774000000"}, "at"),
        ("progress", {"text": "x"}, "text"),
        ("hold", {"reason": "not-eligible"}, "reason"),
        ("complete", {}, "outcome"),
        ("fail", {"reason": "got-help"}, "reason"),
    ],
)
async def test_bodies_are_strict(an_offer, food_bank, command, body, field) -> None:
    answer = await food_bank.do(an_offer.offer_id, command, body)
    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json()["errors"]}


async def test_the_whole_way_to_an_outcome(an_accepted_offer, food_bank, db) -> None:
    steps = [
        ("schedule", {"at": "2026-04-01T10:00:00-05:00", "place": "the office"}, "5.1.1"),
        ("no-show", {}, "5.1.2"),
        ("schedule", {"at": "2026-04-02T10:00:00-05:00"}, "5.1.1"),
        ("cancel-appointment", {"reason": "resident-declined"}, "5.1.3"),
        ("progress", {"note": "talked on the telephone"}, "5.1.4"),
        ("hold", {"reason": "waiting-for-document"}, "5.1.4"),
        ("resume", {}, "5.1.4"),
        ("complete", {"outcome": "got-help", "note": "done"}, "7.0"),
    ]
    for version, (command, body, business) in enumerate(steps, 2):
        answer = await food_bank.do(an_accepted_offer.offer_id, command, body, version=version)
        assert answer.status_code == 200, (command, answer.text)
        assert (answer.json()["business_status"], answer.json()["version"]) == (
            business,
            version + 1,
        )
    events = await said(db)
    assert [e.type.split(".")[2] for e in events] == [
        "accepted",
        "scheduled",
        "no-show",
        "scheduled",
        "appointment-cancelled",
        "progressed",
        "held",
        "resumed",
        "completed",
    ]
    assert [e.sequence for e in events] == list(range(1, 10))
    assert events[1].data.note_id is not None
    assert events[-1].data.outcome == "got-help"


async def test_a_note_is_sealed_before_and_only_its_id_is_kept(
    an_offer, food_bank, intake, db, admin
) -> None:
    answer = await food_bank.do(an_offer.offer_id, "ask", {"note": "canary words"}, key="k")
    assert answer.status_code == 200
    again = await food_bank.do(an_offer.offer_id, "ask", {"note": "canary words"}, key="k")
    assert again.status_code == 200
    [(path, body)] = intake.asked
    assert path == "/intake/v1/notes"
    assert body["text"] == "canary words"
    assert body["case_id"] == str(an_offer.case_id)
    [event] = await said(db)
    assert event.data.note_id == UUID(body["note_id"])
    rows = await admin.fetch("SELECT o::text AS line FROM partner.offer o")
    rows += await admin.fetch("SELECT encode(value, 'escape') AS line FROM partner.outbox")
    rows += await admin.fetch("SELECT encode(body, 'escape') AS line FROM partner.idempotency")
    assert rows
    assert not [row for row in rows if "canary" in row["line"]]


async def test_what_is_refused_seals_nothing(an_offer, food_bank, intake) -> None:
    refused = await food_bank.do(an_offer.offer_id, "progress", {"note": "too early"})
    assert refused.status_code == 409
    stale = await food_bank.do(an_offer.offer_id, "ask", {"note": "stale"}, version=9)
    assert stale.status_code == 412
    assert intake.asked == []


async def test_no_transition_without_its_note(an_offer, food_bank, intake, db) -> None:
    intake.away = True
    answer = await food_bank.do(an_offer.offer_id, "ask", {"note": "hello"})
    assert answer.status_code == 503
    assert await said(db) == []


async def test_others_do_not_exist(an_offer, kitchen, caller) -> None:
    strangers = [
        kitchen,
        caller("partner", an_offer.organization_id, agency="elsewhere"),
        caller("coordinator", agency="elsewhere"),
        caller("partner"),
    ]
    for stranger in strangers:
        assert (await stranger.get("/offers")).json()["items"] == []
        assert (await stranger.get(f"/offers/{an_offer.offer_id}")).status_code == 404
    for stranger in (strangers[0], strangers[1], strangers[3]):
        for path in ("resident", "property"):
            answer = await stranger.get(f"/offers/{an_offer.offer_id}/{path}")
            assert answer.status_code == 404
        for version in (1, None):
            answer = await stranger.do(an_offer.offer_id, "accept", version=version)
            assert answer.status_code == 404


async def test_a_coordinator_sees_all_but_restricted_and_answers_none(
    an_offer, a_restricted_offer, coordinator
) -> None:
    listed = (await coordinator.get("/offers")).json()["items"]
    assert [o["id"] for o in listed] == [str(an_offer.offer_id)]
    assert (await coordinator.get(f"/offers/{a_restricted_offer.offer_id}")).status_code == 404
    assert (await coordinator.do(an_offer.offer_id, "accept")).status_code == 403


async def test_lists_are_filtered_and_paged_newest_first(feeder, made, food_bank) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    offers = [made(at=start + timedelta(minutes=n)) for n in range(5)]
    await feeder().feed(*offers)
    await food_bank.do(offers[0].offer_id, "decline", {"reason": "no-capacity"})
    seen, cursor = [], None
    while True:
        page = (
            await food_bank.get("/offers", limit=2, **({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [o["id"] for o in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [str(o.offer_id) for o in reversed(offers)]
    asked = (await food_bank.get("/offers", status="requested")).json()["items"]
    assert len(asked) == 4
    case = (await food_bank.get("/offers", case_id=str(offers[1].case_id))).json()["items"]
    assert [o["id"] for o in case] == [str(offers[1].offer_id)]
    assert (await food_bank.get("/offers", cursor="nonsense")).status_code == 422
    assert (await food_bank.get("/offers", status="lost")).status_code == 422


async def test_two_offers_of_one_need_are_never_both_accepted(
    feeder, made, food_bank, kitchen, db
) -> None:
    """Twenty needs, two targets each, all accepting at once."""
    pairs = []
    for _ in range(20):
        first = made()
        pairs.append(
            (
                first,
                made(
                    case_id=first.case_id,
                    need_id=first.need_id,
                    organization_id=UUID("0b4c1f0e-3f0a-4c1b-8d53-1de0a4d6b002"),
                ),
            )
        )
    await feeder().feed(*[offer for pair in pairs for offer in pair])
    answers = await asyncio.gather(
        *(food_bank.do(a.offer_id, "accept") for a, _ in pairs),
        *(kitchen.do(b.offer_id, "accept") for _, b in pairs),
    )
    codes = [answer.status_code for answer in answers]
    for one, other in zip(codes[:20], codes[20:], strict=True):
        assert sorted([one, other]) == [200, 409]
    refused = next(a for a in answers if a.status_code == 409).json()
    assert refused["code"] == "already-placed"
    assert len(await said(db)) == 20


async def test_silence_cancels_and_a_late_accept_revives(an_offer, feeder, food_bank, db) -> None:
    await feeder().feed(cancel(an_offer, Reason.NO_RESPONSE), source="/handoff/referral/again")
    body = (await food_bank.get(f"/offers/{an_offer.offer_id}")).json()
    assert (body["status"], body["reason"], body["version"]) == ("cancelled", "no-response", 2)
    assert body["allowed"] == ["accept"]
    assert (await food_bank.do(an_offer.offer_id, "accept", version=2)).status_code == 200
    cancelled, accepted = await said(db)
    assert (cancelled.data.reason, cancelled.data.party) == ("no-response", "target")
    assert accepted.data.revived


async def test_silence_does_not_end_what_was_accepted(
    an_accepted_offer, feeder, food_bank, db
) -> None:
    await feeder().feed(cancel(an_accepted_offer, Reason.NO_RESPONSE), source="/handoff/r2")
    body = (await food_bank.get(f"/offers/{an_accepted_offer.offer_id}")).json()
    assert body["status"] == "accepted"
    assert len(await said(db)) == 1


async def test_cancel_of_an_accepted_offer_takes_two_steps(
    an_accepted_offer, feeder, food_bank, db
) -> None:
    await feeder().feed(cancel(an_accepted_offer, Reason.NEED_ENDED), source="/handoff/r2")
    body = (await food_bank.get(f"/offers/{an_accepted_offer.offer_id}")).json()
    assert (body["status"], body["business_status"], body["cancel_reason"]) == (
        "accepted",
        "5.2",
        "need-ended",
    )
    assert body["allowed"] == ["complete", "confirm-cancel"]
    answer = await food_bank.do(an_accepted_offer.offer_id, "confirm-cancel", version=3)
    assert (answer.json()["status"], answer.json()["reason"]) == ("cancelled", "need-ended")
    assert (await said(db))[-1].data.business_status == "6.0"


async def test_made_and_cancelled_in_one_set(feeder, made, food_bank, db) -> None:
    offer, other = made(), made()
    await feeder().feed(offer, other, cancel(offer, Reason.SUPERSEDED), source="/handoff/referral")
    body = (await food_bank.get(f"/offers/{offer.offer_id}")).json()
    assert (body["status"], body["reason"]) == ("cancelled", "superseded")
    assert (await food_bank.get(f"/offers/{other.offer_id}")).json()["status"] == "requested"
    [event] = await said(db)
    assert event.data.offer_id == offer.offer_id


async def test_an_offer_known_already_stays_as_it_is(an_accepted_offer, feeder, food_bank) -> None:
    await feeder().feed(an_accepted_offer, source="/handoff/replayed")
    body = (await food_bank.get(f"/offers/{an_accepted_offer.offer_id}")).json()
    assert (body["status"], body["version"]) == ("accepted", 2)


async def test_a_cancel_waits_for_its_offer(feeder, made, food_bank) -> None:
    offer = made()
    feed = feeder()
    await feed.feed(cancel(offer, Reason.NEED_ENDED), source="/handoff/other")
    await feed.feed(offer, source="/handoff/referral")
    assert await feed.repair() >= 1
    body = (await food_bank.get(f"/offers/{offer.offer_id}")).json()
    assert body["status"] == "cancelled"


@pytest.mark.parametrize(
    ("need", "outcome", "status", "reason"),
    [
        (NeedStatus.MET, Outcome.GOT_HELP, "completed", None),
        (NeedStatus.UNMET, None, "cancelled", "need-ended"),
        (NeedStatus.WITHDRAWN, None, "accepted", None),
    ],
)
async def test_a_case_managers_offer_ends_with_its_need(
    feeder, made, caller, need, outcome, status, reason
) -> None:
    desk = made(target_kind=TargetKind.CASE_MANAGER)
    below = made(case_id=desk.case_id, need_id=desk.need_id, parent_offer_id=desk.offer_id)
    await feeder().feed(desk, below)
    manager = caller("case-manager", desk.organization_id)
    assert (await manager.do(desk.offer_id, "accept")).status_code == 200
    settled = NeedSettled(
        case_id=desk.case_id,
        need_id=desk.need_id,
        at=AT,
        category=desk.category,
        status=need,
        outcome=outcome,
    )
    await feeder().feed(settled, source="/handoff/r2")
    body = (await manager.get(f"/offers/{desk.offer_id}")).json()
    assert (body["status"], body["reason"]) == (status, reason)
    assert (await manager.get(f"/offers/{below.offer_id}")).json()["status"] == "requested"


@pytest.mark.parametrize("path", ["/offers", "/offers/{id}"])
async def test_a_read_is_cheap(an_offer, built, food_bank, context, monkeypatch, path) -> None:
    """At most three queries beside the tenant's setting."""
    counted: list[str] = []
    real = context.db.tenant

    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def counting(agency: str):
        async with real(agency) as connection:
            connection.add_query_logger(lambda record: counted.append(record.query))
            yield connection
            connection._con._query_loggers.clear()

    monkeypatch.setattr(context.db, "tenant", counting)
    answer = await food_bank.get(path.format(id=an_offer.offer_id))
    assert answer.status_code == 200
    assert 1 <= len(counted) <= 3
