from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from event_schemas.consents import ConsentGranted
from event_schemas.referrals import NeedRequested
from handoff_kit.db import Database
from handoff_kit.testing import said

CASE_MANAGEMENT = "52090f5a-eba6-5e0f-b6f1-39369a3bb036"


async def test_a_consented_referral_is_answered_and_said(
    post: Any, get: Any, db: Database, a_referral: Callable[..., dict[str, Any]]
) -> None:
    answer = await post("/referrals", a_referral())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"/intake/v1/referrals/{body['referral_id']}"
    assert body["needs"][0]["category"] == "food-insecurity"
    assert body["needs"][0]["case_id"] == body["case_id"]
    assert len(body["consent_receipt"]) == 40
    events = await said(db)
    granted = next(e.data for e in events if isinstance(e.data, ConsentGranted))
    asked = next(e.data for e in events if isinstance(e.data, NeedRequested))
    assert str(granted.consent_id) == body["consent_id"]
    assert str(granted.recipients[0]) == CASE_MANAGEMENT
    assert len(granted.recipients) == 3
    assert asked.area == ["city:test-city", "district:east", "postcode:02150"]
    assert asked.languages == ["es"]
    assert asked.age_bands == ["minor", "adult"]
    assert asked.tenure == "renter"
    assert asked.property_id is None
    assert asked.inspection_id is None
    assert asked.property is None
    assert asked.feedback is True
    mine = await get(f"/referrals/{body['referral_id']}")
    assert mine.status_code == 200
    assert mine.json()["needs"][0]["need_id"] == body["needs"][0]["need_id"]
    other = await get(f"/referrals/{body['referral_id']}", subject="somebody-else")
    assert other.status_code == 404
    elsewhere = await get(f"/referrals/{body['referral_id']}", agency="other-city")
    assert elsewhere.status_code == 404


async def test_fields_limit_what_the_event_carries(
    post: Any, db: Database, a_referral: Callable[..., dict[str, Any]]
) -> None:
    answer = await post("/referrals", a_referral(consent={"fields": ["name", "phone"]}))
    assert answer.status_code == 201
    asked = next(e.data for e in await said(db) if isinstance(e.data, NeedRequested))
    assert asked.area == ["city:test-city"]
    assert (asked.languages, asked.age_bands, asked.tenure) == ([], [], None)


async def test_a_tenure_in_own_words_stays_sealed(
    post: Any, db: Database, a_referral: Callable[..., dict[str, Any]]
) -> None:
    await post("/referrals", a_referral(resident={"tenure": "cousin-of-the-owner"}))
    asked = next(e.data for e in await said(db) if isinstance(e.data, NeedRequested))
    assert asked.tenure is None


async def test_a_household_with_an_open_case_gets_its_needs_added(
    post: Any, admin: Any, a_referral: Callable[..., dict[str, Any]]
) -> None:
    first = (await post("/referrals", a_referral())).json()
    again = a_referral(
        property={"address": {"line1": "12 EXAMPLE ST.", "unit": "Apt 3-b"}},
        resident={"name": "One,  RESIDENT"},
        needs=[{"category": "utility-insecurity"}],
        consent={"covers": ["utility-insecurity"]},
    )
    second = (await post("/referrals", again)).json()
    assert second["case_id"] == first["case_id"]
    assert second["consent_id"] != first["consent_id"]
    assert await admin.fetchval("SELECT count(*) FROM intake.property") == 1
    assert await admin.fetchval("SELECT count(*) FROM intake.resident") == 1
    assert await admin.fetchval("SELECT count(*) FROM intake.case_link") == 1


async def test_a_similar_name_is_noted_and_not_merged(
    post: Any, admin: Any, a_referral: Callable[..., dict[str, Any]]
) -> None:
    first = (await post("/referrals", a_referral())).json()
    other = a_referral(resident={"name": "Resyident One", "phone": ...})
    second = (await post("/referrals", other)).json()
    assert second["case_id"] != first["case_id"]
    reasons = await admin.fetch("SELECT reason FROM intake.possible_match")
    assert [row["reason"] for row in reasons] == ["similar-name"]


async def test_the_same_phone_elsewhere_is_noted(
    post: Any, admin: Any, a_referral: Callable[..., dict[str, Any]]
) -> None:
    await post("/referrals", a_referral())
    elsewhere = {"address": {"line1": "9 Other Rd"}, "latitude": ..., "longitude": ...}
    other = a_referral(
        property=elsewhere, resident={"name": "Another Person", "phone": "617-555-0111"}
    )
    assert (await post("/referrals", other)).status_code == 201
    assert await admin.fetchval("SELECT reason FROM intake.possible_match") == "same-phone"


async def test_a_restricted_need_has_case_consent_and_topic_of_its_own(
    post: Any, db: Database, admin: Any, a_referral: Callable[..., dict[str, Any]]
) -> None:
    body = a_referral(
        needs=[{"category": "food-insecurity"}, {"category": "mental-health", "note": "afraid"}],
        consent={"covers": ["food-insecurity", "mental-health"]},
    )
    answer = (await post("/referrals", body)).json()
    general, restricted = answer["needs"]
    assert answer["case_id"] == general["case_id"] != restricted["case_id"]
    events = await said(db)
    by_topic = {(e.topic, type(e.data).__name__): e for e in events}
    secret = by_topic["handoff.restricted.referrals", "NeedRequested"]
    usual = by_topic["handoff.referrals", "NeedRequested"]
    assert secret.data.consent_id != usual.data.consent_id
    assert secret.data.feedback is False
    assert usual.data.feedback is True
    # Nothing on the topics joins the two: no id, no trace, no moment.
    assert secret.headers["traceparent"][3:35] != usual.headers["traceparent"][3:35]
    assert secret.data.at.second == secret.data.at.microsecond == 0
    granted = [e for e in events if isinstance(e.data, ConsentGranted)]
    assert {e.topic for e in granted} == {"handoff.consents", "handoff.restricted.consents"}
    assert sorted(len(e.data.categories) for e in granted) == [1, 1]
    hashes = await admin.fetch("SELECT DISTINCT receipt_hash FROM intake.consent")
    assert len(hashes) == 1


async def test_a_property_alone_needs_no_consent(
    post: Any, db: Database, a_referral: Callable[..., dict[str, Any]]
) -> None:
    body = a_referral(
        resident=...,
        consent=...,
        needs=[{"category": "heat-off", "urgency": "emergency"}, {"category": "relocation"}],
    )
    answer = await post("/referrals", body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["consent_id"] is None
    assert answer.json()["consent_receipt"] is None
    asked = [e.data for e in await said(db)]
    assert all(isinstance(e, NeedRequested) and e.property_id and not e.consent_id for e in asked)
    assert len({e.case_id for e in asked}) == 1


async def test_a_residents_referral_may_also_ask_for_the_property(
    post: Any, a_referral: Callable[..., dict[str, Any]]
) -> None:
    body = a_referral(needs=[{"category": "pests"}, {"category": "food-insecurity"}])
    answer = (await post("/referrals", body)).json()
    pests, food = answer["needs"]
    assert pests["case_id"] != food["case_id"] == answer["case_id"]


async def test_an_idempotency_key_gives_the_same_receipt_which_is_stored_nowhere(
    post: Any, admin: Any, a_referral: Callable[..., dict[str, Any]]
) -> None:
    first = await post("/referrals", a_referral(), key="k1")
    again = await post("/referrals", a_referral(), key="k1")
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert await admin.fetchval("SELECT count(*) FROM intake.referral") == 1
    stored = await admin.fetchval("SELECT body FROM intake.idempotency")
    assert first.json()["consent_receipt"].encode() not in stored
    other = await post("/referrals", a_referral(encounter={"kind": "other"}), key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")


async def test_a_referral_from_an_inspection_uses_its_property(
    post: Any,
    an_inspection: Callable[..., dict[str, Any]],
    a_referral: Callable[..., dict[str, Any]],
    admin: Any,
) -> None:
    made = (await post("/inspections", an_inspection(), role="department")).json()
    body = a_referral(property=..., encounter=..., inspection_id=made["inspection_id"])
    answer = await post("/referrals", body)
    assert answer.status_code == 201, answer.text
    row = await admin.fetchrow("SELECT * FROM intake.referral")
    assert str(row["property_id"]) == made["property_id"]
    assert row["encounter"] == "inspection"


@pytest.mark.parametrize(
    ("changes", "code", "fields"),
    [
        ({"consent": ...}, "consent-required", {"needs.0.category", "consent"}),
        ({"consent": {"covers": ["stress"]}}, "consent-required", {"needs.0.category"}),
        ({"consent": {"witness": ...}}, "invalid", {"consent.witness"}),
        ({"consent": {"expires_at": 4102444800}}, "invalid", {"consent.expires_at"}),
        ({"consent": {"expires_at": "2020-01-01T00:00:00Z"}}, "invalid", {"consent.expires_at"}),
        ({"resident": {"role": "representative"}}, "invalid", {"consent.given_by"}),
        (
            {
                "needs": [{"category": "tangled-title"}],
                "consent": {"covers": ["tangled-title"]},
            },
            "invalid",
            {"needs.0.category"},
        ),
        ({"property": ...}, "invalid", {"property"}),
        ({"resident": ..., "consent": ...}, "consent-required", {"needs.0.category"}),
        ({"resident": ...}, "invalid", {"resident"}),
        ({"needs": [{"category": "sunshine"}]}, "invalid", {"needs.0.category"}),
        ({"surprise": 1}, "invalid", {"surprise"}),
        (
            {"consent": {"covers": ["food-insecurity", "elder-abuse"]}},
            "invalid",
            {"consent.covers.1"},
        ),
        ({"property": {"latitude": ...}}, "invalid", {"property"}),
        (
            {"consent": {"method": "electronic", "notice_version": "1999"}},
            "invalid",
            {"consent.notice_version"},
        ),
    ],
)
async def test_what_cannot_be_taken_says_which_field(
    post: Any,
    a_referral: Callable[..., dict[str, Any]],
    admin: Any,
    changes: dict[str, Any],
    code: str,
    fields: set[str],
) -> None:
    answer = await post("/referrals", a_referral(**changes))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert {error["field"] for error in answer.json()["errors"]} == fields
    assert "Resident One" not in answer.text
    assert await admin.fetchval("SELECT count(*) FROM intake.referral") == 0


async def test_an_unknown_inspection_is_refused_alone(
    post: Any, a_referral: Callable[..., dict[str, Any]], admin: Any
) -> None:
    answer = await post("/referrals", a_referral(inspection_id=str(uuid4())))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "inspection_id"
    assert await admin.fetchval("SELECT count(*) FROM intake.property") == 0


async def test_scopes(post: Any, get: Any, a_referral: Callable[..., dict[str, Any]]) -> None:
    assert (await post("/referrals", a_referral(), role="partner")).status_code == 403
    assert (await post("/inspections", {}, role="inspector")).status_code == 403
    assert (await get(f"/referrals/{uuid4()}", role="city-manager")).status_code == 403
