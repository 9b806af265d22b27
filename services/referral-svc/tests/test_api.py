"""HTTP: who sees what of a case, and what case managers do with it."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from event_schemas import offers
from event_schemas.cases import CaseContactAttempted
from event_schemas.codes import NeedCategory, Outcome, Reason, TargetKind
from event_schemas.directory import Eligibility
from event_schemas.referrals import (
    NeedSettled,
    OfferCancelRequested,
    OfferMade,
)
from handoff_kit.cursor import encode_cursor


@pytest.fixture
async def a_legal_need(town, tools):
    """A need that the hub has in hand: (need, the hub's offer)."""
    need = tools.need(category=NeedCategory.LEGAL_HELP)
    made = tools.only(OfferMade, await town.asks(need))
    await town.answers(offers.OfferAccepted, made, actor_role="case-manager")
    return need, made


async def test_a_case_manager_sees_a_case_with_its_needs(town, tools, manager) -> None:
    need = tools.need()
    await town.asks(need)
    listed = (await manager.get("/cases")).json()
    assert listed["next_cursor"] is None
    (case,) = listed["items"]
    assert case["id"] == str(need.case_id)
    assert case["status"] == "open"
    assert case["assigned_to"] is None
    assert case["area"] == ["city:demo", "postcode:02150"]
    (shown,) = case["needs"]
    assert (shown["category"], shown["status"]) == ("food-insecurity", "offered")
    one = await manager.get(f"/cases/{need.case_id}")
    assert one.headers["etag"] == f'"{case["version"]}"'
    assert one.json()["needs"] == case["needs"]


async def test_an_inspector_sees_a_coarse_status_of_its_own(town, tools, person) -> None:
    need = tools.need()
    made = tools.only(OfferMade, await town.asks(need))
    await town.answers(offers.OfferAccepted, made)
    own = person("inspector", subject="inspector-1")
    case = (await own.get(f"/cases/{need.case_id}")).json()
    assert case["status"] == "active"
    assert case["needs"][0]["status"] == "in-hand"
    assert case["offers"] == []
    assert case["assignee"] is None
    other = person("inspector", subject="inspector-2")
    assert (await other.get(f"/cases/{need.case_id}")).status_code == 404
    assert (await other.get("/cases")).json()["items"] == []


async def test_without_a_yes_to_feedback_it_was_received_and_no_more(town, tools, person) -> None:
    need = tools.need(feedback=False)
    made = tools.only(OfferMade, await town.asks(need))
    await town.answers(offers.OfferAccepted, made)
    await town.answers(offers.OfferCompleted, made, outcome=Outcome.GOT_HELP)
    own = person("inspector", subject="inspector-1")
    case = (await own.get(f"/cases/{need.case_id}")).json()
    assert (case["status"], case["needs"][0]["status"]) == ("open", "received")
    entries = (await own.get(f"/cases/{need.case_id}/timeline")).json()["items"]
    assert [entry["text"] for entry in entries] == ["The referral was received."]
    assert (await own.get("/cases", status="closed")).json()["items"] == []
    assert len((await own.get("/cases", status="open")).json()["items"]) == 1


async def test_a_target_sees_its_own_offers_case_alone(town, tools, person) -> None:
    need = tools.need()
    made = tools.only(OfferMade, await town.asks(need))
    partner = person("partner", organization=str(made.organization_id))
    case = (await partner.get(f"/cases/{need.case_id}")).json()
    assert [offer["id"] for offer in case["offers"]] == [str(made.offer_id)]
    assert case["assigned_to"] is None
    others = next(s for s in tools.pantries if tools.organization_id(s) != made.organization_id)
    stranger = person("partner", organization=str(tools.organization_id(others)))
    assert (await stranger.get(f"/cases/{need.case_id}")).status_code == 404
    entries = (await partner.get(f"/cases/{need.case_id}/timeline")).json()["items"]
    assert {entry["offer_id"] for entry in entries} == {str(made.offer_id)}


async def test_a_restricted_case_is_there_for_the_hub_that_was_asked(town, tools, person) -> None:
    need = tools.need(category=NeedCategory.MENTAL_HEALTH, restricted=True)
    await town.asks(need)
    hub = person("case-manager", organization=str(tools.hub))
    assert (await hub.get(f"/cases/{need.case_id}")).status_code == 200
    assert len((await hub.get("/cases")).json()["items"]) == 1
    for who in (
        person("coordinator"),
        person("case-manager", organization=str(uuid4())),
        person("inspector", subject="inspector-1"),
    ):
        assert (await who.get(f"/cases/{need.case_id}")).status_code == 404
        assert (await who.get("/cases")).json()["items"] == []


async def test_another_agency_sees_nothing(town, tools, person, manager) -> None:
    need = tools.need()
    await town.asks(need)
    foreign = person("case-manager", organization=str(tools.hub), agency="other-city")
    assert (await foreign.get("/cases")).json()["items"] == []
    for path in (
        f"/cases/{need.case_id}",
        f"/cases/{need.case_id}/timeline",
        f"/needs/{need.need_id}/candidates",
    ):
        assert (await foreign.get(path)).status_code == 404
        assert (await manager.get(path)).status_code == 200
    for path, body in (
        (f"/cases/{need.case_id}/assign", {}),
        (f"/cases/{need.case_id}/notes", {"text": "note"}),
        (f"/cases/{need.case_id}/close", {}),
        (f"/needs/{need.need_id}/withdraw", {}),
        (f"/needs/{need.need_id}/offers", {}),
    ):
        assert (await foreign.post(path, body)).status_code == 404


async def test_row_level_security_is_a_second_wall(town, tools, db) -> None:
    await town.asks(tools.need())
    for agency, expected in (("test-city", 1), ("other-city", 0)):
        async with db.tenant(agency) as connection:
            for table in ('"case"', "need", "offer", "timeline", "match"):
                found = await connection.fetchval(f"SELECT count(*) FROM referral.{table}")
                assert found == expected, table


async def test_the_timeline_tells_in_templates(a_legal_need, manager) -> None:
    need, made = a_legal_need
    entries = (await manager.get(f"/cases/{need.case_id}/timeline")).json()["items"]
    assert [entry["type"] for entry in entries] == [
        "case-opened",
        "need-requested",
        "offer-made",
        "offer-accepted",
        "case-assigned",
    ]
    assert entries[2]["text"] == "A case manager was asked to help with legal-help."
    assert entries[2]["offer_id"] == str(made.offer_id)
    first = (await manager.get(f"/cases/{need.case_id}/timeline", limit=1)).json()
    rest = (
        await manager.get(f"/cases/{need.case_id}/timeline", cursor=first["next_cursor"])
    ).json()
    assert first["items"] + rest["items"] == entries


async def test_a_case_manager_asks_a_partner_below_its_own_offer(
    a_legal_need, town, tools, manager
) -> None:
    need, hub_offer = a_legal_need
    service = str(tools.service_id(tools.legal))
    answer = await manager.post(f"/needs/{need.need_id}/offers", {"service_id": service})
    assert answer.status_code == 201, answer.text
    assert answer.json()["parent_offer_id"] == str(hub_offer.offer_id)
    below = tools.only(OfferMade, await town.said())
    assert below.parent_offer_id == hub_offer.offer_id
    assert below.target_kind is TargetKind.PARTNER
    await town.answers(offers.OfferAccepted, below)
    events = await town.answers(offers.OfferCompleted, below, outcome=Outcome.GOT_HELP)
    settled = tools.only(NeedSettled, events)
    assert settled.organization_id == below.organization_id
    # Partner completes the hub's own offer with the need.
    assert not [e for e in events if isinstance(e, OfferCancelRequested)]


async def test_a_declined_one_below_is_followed_by_the_next(
    a_legal_need, town, tools, manager
) -> None:
    need, hub_offer = a_legal_need
    await town.knows(
        tools.service("community-kitchen", NeedCategory.LEGAL_HELP, version=2),
    )
    body = {"service_id": str(tools.service_id(tools.legal))}
    await manager.post(f"/needs/{need.need_id}/offers", body)
    below = tools.only(OfferMade, await town.said())
    events = await town.answers(offers.OfferRejected, below, reason=Reason.NOT_ELIGIBLE)
    after = tools.only(OfferMade, events)
    assert after.parent_offer_id == hub_offer.offer_id
    assert after.organization_id == tools.organization_id("community-kitchen")
    events = await town.answers(offers.OfferRejected, after, reason=Reason.NOT_ELIGIBLE)
    assert not [e for e in events if isinstance(e, OfferMade)]
    shown = (await manager.get(f"/cases/{need.case_id}")).json()["needs"][0]
    assert (shown["status"], shown["attention"]) == ("in-service", "no-candidates")


async def test_commands_need_the_version_last_read(a_legal_need, manager) -> None:
    need, _ = a_legal_need
    path = f"/needs/{need.need_id}/hold"
    body = {"reason": "waiting-on-resident"}
    assert (await manager.post(path, body, match=None)).status_code == 428
    assert (await manager.post(path, body, match='"0"')).status_code == 412
    version = (await manager.get(f"/cases/{need.case_id}")).json()["needs"][0]["version"]
    held = await manager.post(path, body, match=f'"{version}"')
    assert held.status_code == 200
    assert held.json()["status"] == "on-hold"
    resumed = await manager.post(f"/needs/{need.need_id}/resume", match=held.headers["etag"])
    assert resumed.json()["status"] == "in-service"


async def test_an_illegal_step_says_which_are_possible(a_legal_need, manager) -> None:
    need, _ = a_legal_need
    await manager.post(f"/needs/{need.need_id}/withdraw")
    refused = await manager.post(f"/needs/{need.need_id}/hold", {"reason": "other"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "illegal-transition"
    assert "reopen" in refused.json()["allowed"]


async def test_withdrawing_a_need_asks_for_the_end_of_its_offers(
    a_legal_need, town, tools, manager
) -> None:
    need, hub_offer = a_legal_need
    answer = await manager.post(f"/needs/{need.need_id}/withdraw", {"reason": "resident-declined"})
    assert answer.json()["status"] == "withdrawn"
    events = await town.said()
    ask = tools.only(OfferCancelRequested, events)
    assert (ask.offer_id, ask.reason) == (hub_offer.offer_id, Reason.NEED_ENDED)
    assert not ask.forced


async def test_candidates_come_with_verdicts_and_reasons(town, tools, manager) -> None:
    await town.knows(
        tools.service(
            tools.pantries[1],
            NeedCategory.FOOD_INSECURITY,
            version=2,
            eligibility=Eligibility(stated_in_words=True),
        ),
        tools.service(tools.pantries[2], NeedCategory.FOOD_INSECURITY, version=2, minimum_age=60),
    )
    need = tools.need()
    made = tools.only(OfferMade, await town.asks(need))
    answer = (await manager.get(f"/needs/{need.need_id}/candidates")).json()
    assert answer["policy_version"].startswith("2026-01+")
    assert answer["directory_version"] == 2
    found = {item["name"]: item for item in answer["items"]}
    assert len(found) == 4
    asked = found[tools.pantries[0]]
    assert made.service_id == UUID(asked["service_id"])
    assert (asked["verdict"], asked["rank"]) == ("excluded", None)
    assert asked["reasons"][0]["code"] == "offer-open"
    assert found[tools.pantries[1]]["verdict"] == "ask-first"
    assert found[tools.pantries[1]]["rank"] == 1
    assert found[tools.pantries[2]]["reasons"] == [
        {"code": "age-outside-range", "fact": "from age 60"}
    ]
    assert found[tools.legal]["reasons"][0]["code"] == "need-not-served"
    path = f"/needs/{need.need_id}/candidates"
    recorded = (await manager.get(path, offer_id=str(made.offer_id))).json()
    assert recorded["items"][0]["name"] == tools.pantries[0]
    assert (recorded["items"][0]["verdict"], recorded["items"][0]["rank"]) == ("eligible", 1)
    paged = (await manager.get(path, limit=3)).json()
    rest = (await manager.get(path, limit=3, cursor=paged["next_cursor"])).json()
    assert paged["items"] + rest["items"] == answer["items"]


async def test_an_excluded_candidate_is_refused_with_its_reasons(
    a_legal_need, tools, manager, town
) -> None:
    need, _ = a_legal_need
    await town.knows(
        tools.service(tools.legal, NeedCategory.LEGAL_HELP, version=2, status="inactive")
    )
    body = {"service_id": str(tools.service_id(tools.legal))}
    refused = await manager.post(f"/needs/{need.need_id}/offers", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "excluded")
    assert refused.json()["reasons"] == [{"code": "service-inactive", "fact": "status inactive"}]


async def test_a_person_may_ask_whom_the_city_does_not_ask_by_itself(
    a_legal_need, tools, manager, town
) -> None:
    need, _ = a_legal_need
    unknown = tools.service(
        tools.legal, NeedCategory.LEGAL_HELP, version=2, areas=[], area_unknown=True
    )
    await town.knows(unknown)
    refused = await manager.post(f"/needs/{need.need_id}/offers")
    assert (refused.status_code, refused.json()["code"]) == (409, "no-candidates")
    body = {"service_id": str(tools.service_id(tools.legal))}
    assert (await manager.post(f"/needs/{need.need_id}/offers", body)).status_code == 201


async def test_a_note_is_sealed_in_intake_before_it_is_written_here(
    town, tools, manager, intake, admin
) -> None:
    need = tools.need()
    await town.asks(need)
    body = {"channel": "phone", "result": "reached", "note": "canary-words"}
    answer = await manager.post(f"/cases/{need.case_id}/contact-attempts", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "contacted"
    path, sealed = intake.asked[-1]
    assert path == "/intake/v1/notes"
    assert (sealed["text"], sealed["case_id"]) == ("canary-words", str(need.case_id))
    event = tools.only(CaseContactAttempted, await town.said())
    assert str(event.note_id) == sealed["note_id"]
    for table in ('"case"', "timeline", "outbox"):
        rows = await admin.fetch(f"SELECT t::text AS text FROM referral.{table} t")
        assert "canary-words" not in "".join(row["text"] for row in rows)
    assert b"canary-words".hex() not in str(
        await admin.fetch("SELECT encode(value, 'hex') FROM referral.outbox")
    )


async def test_when_intake_is_away_nothing_is_written(town, tools, manager, intake) -> None:
    need = tools.need()
    await town.asks(need)
    intake.away = True
    answer = await manager.post(f"/cases/{need.case_id}/notes", {"text": "note"})
    assert answer.status_code == 503
    assert await town.said() == []
    assert (await manager.get(f"/cases/{need.case_id}")).status_code == 200
    assert (await manager.get("/cases", property=str(uuid4()))).status_code == 503


async def test_a_repeated_command_is_answered_once(town, tools, manager, intake) -> None:
    need = tools.need()
    await town.asks(need)
    path = f"/cases/{need.case_id}/notes"
    version = (await manager.get(f"/cases/{need.case_id}")).headers["etag"]
    key = {"Idempotency-Key": "note-1"}
    first = await manager.post(path, {"text": "note"}, match=version, **key)
    again = await manager.post(path, {"text": "note"}, match=version, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    notes = [body["note_id"] for where, body in intake.asked if where == "/intake/v1/notes"]
    assert len(set(notes)) == 1
    other = await manager.post(path, {"text": "other"}, match=version, **key)
    assert other.json()["code"] == "idempotency-mismatch"


async def test_a_note_about_an_offer_answers_its_targets_question(
    town, tools, manager, admin
) -> None:
    made = tools.only(OfferMade, await town.asks(tools.need()))
    await town.answers(offers.OfferQuestionAsked, made)
    assert await admin.fetchval("SELECT clock_due_at FROM referral.offer") is None
    body = {"text": "note", "offer_id": str(made.offer_id)}
    assert (await manager.post(f"/cases/{made.case_id}/notes", body)).status_code == 201
    assert await admin.fetchval("SELECT clock_due_at FROM referral.offer") is not None
    assert await admin.fetchval("SELECT attention FROM referral.need") is None


async def test_a_further_need_is_added_under_a_consent_that_covers_it(
    a_legal_need, town, tools, manager
) -> None:
    need, _ = a_legal_need
    path = f"/cases/{need.case_id}/needs"
    body = {"category": "food-insecurity", "urgency": "urgent"}
    refused = await manager.post(path, body)
    assert (refused.status_code, refused.json()["code"]) == (422, "consent-required")
    covers = [NeedCategory.LEGAL_HELP, NeedCategory.FOOD_INSECURITY]
    await town.tells(tools.granted(need, categories=covers), source="/handoff/intake")
    added = await manager.post(path, body)
    assert added.status_code == 201, added.text
    assert added.json()["status"] == "offered"
    made = tools.only(OfferMade, await town.said())
    assert made.consent_id == need.consent_id
    assert made.target_kind is TargetKind.PARTNER
    restricted = await manager.post(path, {"category": "mental-health"})
    assert restricted.status_code == 422


async def test_could_not_reach_needs_attempts_on_three_days(
    a_legal_need, town, tools, manager
) -> None:
    need, _ = a_legal_need
    path = f"/cases/{need.case_id}"
    close = {"reason": "could-not-reach"}
    for day in (2, 2, 3):
        body = {
            "channel": "phone",
            "result": "no-answer",
            "attempted_at": f"2026-03-0{day}T10:00:00-05:00",
        }
        await manager.post(f"{path}/contact-attempts", body)
    refused = await manager.post(f"{path}/close", close)
    assert (refused.status_code, refused.json()["code"]) == (409, "too-few-attempts")
    assert (refused.json()["days_tried"], refused.json()["days_needed"]) == (2, 3)
    body = {"channel": "visit", "result": "no-answer", "attempted_at": "2026-03-05T10:00:00-05:00"}
    await manager.post(f"{path}/contact-attempts", body)
    closed = await manager.post(f"{path}/close", close)
    assert closed.json()["status"] == "closed"
    assert closed.json()["needs"][0]["status"] == "unmet"
    events = await town.said()
    assert tools.only(NeedSettled, events).reason is Reason.CANNOT_REACH_RESIDENT
    reopened = await manager.post(f"{path}/reopen")
    assert reopened.json()["status"] == "open"
    assert reopened.json()["needs"][0]["status"] == "matching"


async def test_a_case_is_assigned_to_a_person(town, tools, manager) -> None:
    need = tools.need()
    await town.asks(need)
    answer = await manager.post(f"/cases/{need.case_id}/assign", {"assignee": "case-manager-1"})
    assert answer.json()["assigned_to"] == str(tools.hub)
    assert answer.json()["assignee"] == "case-manager-1"


async def test_filters_by_property_ask_intake(town, tools, manager, intake, person) -> None:
    first, second = tools.need(), tools.need()
    await town.asks(first, second)
    place = str(uuid4())
    intake.links = {"cases": [str(first.case_id)], "properties": {str(first.case_id): place}}
    found = (await manager.get("/cases", property=place)).json()["items"]
    assert [case["id"] for case in found] == [str(first.case_id)]
    assert found[0]["property_id"] == place
    everything = (await manager.get("/cases")).json()["items"]
    assert {case.get("property_id") for case in everything} == {place, None}
    made = tools.only(OfferMade, await town.asks(tools.need()))
    partner = person("partner", organization=str(made.organization_id))
    assert (await partner.get("/cases", property=place)).json()["items"] == []
    (case,) = (await partner.get("/cases")).json()["items"][:1]
    assert "property_id" not in case


async def test_lists_go_on_where_they_stopped(town, tools, manager) -> None:
    for _ in range(5):
        await town.asks(tools.need())
    seen, cursor = [], None
    for _ in range(3):
        page = (
            await manager.get("/cases", limit=2, **({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [case["id"] for case in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert len(set(seen)) == 5
    forged = await manager.get("/cases", cursor=encode_cursor(datetime.now(UTC), "x"))
    assert (forged.status_code, forged.json()["errors"][0]["code"]) == (422, "invalid-cursor")


async def test_unknown_fields_and_roles_are_refused(town, tools, manager, person) -> None:
    need = tools.need()
    await town.asks(need)
    answer = await manager.post(f"/cases/{need.case_id}/assign", {"assignee": "x", "colour": "red"})
    assert answer.status_code == 422
    coordinator = person("coordinator")
    assert (await coordinator.get(f"/cases/{need.case_id}")).status_code == 200
    assert (await coordinator.post(f"/cases/{need.case_id}/close")).status_code == 403
