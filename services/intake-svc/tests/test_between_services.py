from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

Build = Callable[..., dict[str, Any]]
CASE_MANAGEMENT = "52090f5a-eba6-5e0f-b6f1-39369a3bb036"
PANTRY = "fab1b547-3688-5990-b929-db91c511b5f1"


def reader(organization: str | None, role: str, subject: str = "reader-1") -> dict[str, Any]:
    return {"organization_id": organization, "roles": [role], "subject": subject}


@pytest.fixture
def seal(post: Any) -> Callable[..., Any]:
    async def send(case_id: str, text: str, kind: str = "progress", **changes: Any) -> Any:
        body = {
            "note_id": str(uuid4()),
            "case_id": case_id,
            "kind": kind,
            "text": text,
            "author": reader(PANTRY, "partner", "p-1"),
        } | changes
        return body["note_id"], await post("/notes", body, role="service")

    return send


@pytest.fixture
def notes(post: Any) -> Callable[..., Any]:
    async def read(case_id: str, ids: list[str], who: dict[str, Any]) -> list[str]:
        body = {"case_id": case_id, "note_ids": ids, "reader": who}
        answer = await post("/notes/read", body, role="service")
        assert answer.status_code == 200, answer.text
        return [note["text"] for note in answer.json()["notes"]]

    return read


async def test_a_note_is_sealed_once_and_read_by_whom_the_consent_names(
    post: Any, seal: Any, notes: Any, a_referral: Build, admin: Any
) -> None:
    made = (await post("/referrals", a_referral())).json()
    case = made["case_id"]
    note_id, answer = await seal(case, "a first box was brought")
    assert answer.status_code == 204
    _, again = await seal(case, "another text", note_id=note_id)
    assert again.status_code == 204
    own = reader(PANTRY, "partner", "p-2")
    assert await notes(case, [note_id], own) == ["a first box was brought"]
    assert await admin.fetchval("SELECT count(*) FROM intake.disclosure") == 0
    manager = reader(CASE_MANAGEMENT, "case-manager")
    assert await notes(case, [note_id], manager) == ["a first box was brought"]
    assert await admin.fetchval("SELECT fields->>0 FROM intake.disclosure") == "notes"
    assert await notes(case, [note_id], reader(str(uuid4()), "partner")) == []
    assert await notes(case, [note_id], reader(None, "inspector")) == []
    assert await notes(str(uuid4()), [note_id], manager) == []


async def test_a_needs_note_leaves_only_where_the_fields_name_notes(
    post: Any, notes: Any, a_referral: Build, admin: Any
) -> None:
    manager = reader(CASE_MANAGEMENT, "case-manager")
    for fields, name, expected in (
        (None, "Person A", ["the fridge is empty"]),
        (["name"], "Person B", []),
    ):
        body = a_referral(resident={"name": name}, consent={"fields": fields} if fields else {})
        made = (await post("/referrals", body)).json()
        note = await admin.fetchval(
            "SELECT id::text FROM intake.note WHERE case_id = $1", made["case_id"]
        )
        assert await notes(made["case_id"], [note], manager) == expected
        mine = reader(None, "inspector", "client-inspector")
        assert await notes(made["case_id"], [note], mine) == ["the fridge is empty"]


async def test_notes_end_with_the_consent(
    post: Any, client: Any, seal: Any, notes: Any, a_referral: Build
) -> None:
    made = (await post("/referrals", a_referral())).json()
    note_id, _ = await seal(made["case_id"], "words")
    await client.post(f"/intake/v1/receipts/{made['consent_receipt']}/withdraw")
    manager = reader(CASE_MANAGEMENT, "case-manager")
    assert await notes(made["case_id"], [note_id], manager) == []


async def test_a_note_of_an_unknown_case_is_not_taken(seal: Any) -> None:
    _, answer = await seal(str(uuid4()), "words")
    assert answer.status_code == 404


@pytest.fixture
async def a_property_case(post: Any, a_referral: Build) -> dict[str, Any]:
    body = a_referral(resident=..., consent=..., needs=[{"category": "pests", "note": "rats"}])
    return dict((await post("/referrals", body)).json())


async def test_a_propertys_notes_are_for_targets(
    notes: Any, a_property_case: dict[str, Any], admin: Any
) -> None:
    note = await admin.fetchval("SELECT id::text FROM intake.note")
    case = a_property_case["case_id"]
    assert await notes(case, [note], reader(str(uuid4()), "department")) == ["rats"]
    assert await notes(case, [note], reader(str(uuid4()), "inspector")) == []


async def test_links_join_what_no_topic_joins(
    post: Any, a_referral: Build, an_inspection: Build
) -> None:
    grave = [{"code": "10.1", "scheme": "city"}]
    made = (await post("/inspections", an_inspection(findings=grave), role="department")).json()
    body = a_referral(
        inspection_id=made["inspection_id"],
        property=...,
        needs=[{"category": "food-insecurity"}, {"category": "mental-health"}],
        consent={"covers": ["food-insecurity", "mental-health"]},
    )
    referred = (await post("/referrals", body)).json()
    general, restricted = (need["case_id"] for need in referred["needs"])

    async def links(**asked: Any) -> Any:
        answer = await post("/links", asked, role="service")
        assert answer.status_code == 200, answer.text
        return answer.json()

    both = {made["cases"][0], general}
    assert set((await links(property_id=made["property_id"]))["case_ids"]) == both
    assert set((await links(inspection_id=made["inspection_id"]))["case_ids"]) == both
    assert set((await links(source_id="V1"))["case_ids"]) == both
    assert await links(case_ids=[general, restricted]) == {
        general: {"property_id": made["property_id"], "inspection_id": made["inspection_id"]}
    }
    assert (await post("/links", {}, role="service")).status_code == 422
    other = await post("/links", {"case_ids": [general]}, role="service", agency="other-city")
    assert other.json() == {}


async def test_a_property_is_read_with_findings_where_the_service_asks_for_them(
    post: Any, seal: Any, an_inspection: Build
) -> None:
    grave = [{"code": "10.1", "scheme": "city", "text": "words"}, {"code": "x", "status": "closed"}]
    made = (await post("/inspections", an_inspection(findings=grave), role="department")).json()
    await seal(made["cases"][0], "ring twice", kind="access")
    plain = await post("/properties/read", {"property_id": made["property_id"]}, role="service")
    place = plain.json()
    assert place["address"]["line1"] == "12 Example Street"
    assert place["unit"] == "3B"
    assert place["access_note"] == "ring twice"
    assert "findings" not in place
    asked = {"case_id": made["cases"][0], "with_findings": True}
    told = (await post("/properties/read", asked, role="service")).json()
    assert [f["code"] for f in told["findings"]] == ["10.1"]
    unknown = await post("/properties/read", {"property_id": str(uuid4())}, role="service")
    assert unknown.status_code == 404


async def test_a_residents_home_leaves_by_consent_and_as_a_disclosure(
    post: Any, a_referral: Build, admin: Any
) -> None:
    made = (await post("/referrals", a_referral())).json()
    asked = {
        "case_id": made["case_id"],
        "consent_id": made["consent_id"],
        "organization_id": PANTRY,
        "category": "food-insecurity",
        "reader": reader(PANTRY, "partner"),
        "with_findings": True,
    }
    place = (await post("/properties/read", asked, role="service")).json()
    assert place["address"]["line1"] == "12 Example Street"
    assert place["disclosure_id"]
    assert "findings" not in place
    assert "property_id" not in place
    assert await admin.fetchval("SELECT fields->>0 FROM intake.disclosure") == "address"
    for without in ({"consent_id": None}, {"organization_id": str(uuid4())}):
        assert (await post("/properties/read", asked | without, role="service")).status_code == 404
    bare = {"case_id": made["case_id"]}
    assert (await post("/properties/read", bare, role="service")).status_code == 404


async def test_these_are_between_services(post: Any) -> None:
    for path in ("/disclosures", "/notes", "/notes/read", "/links", "/properties/read"):
        for role in ("inspector", "case-manager", "partner", "coordinator"):
            assert (await post(path, {}, role=role)).status_code == 403
