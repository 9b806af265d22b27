import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from event_schemas.inbound import InspectionReported
from event_schemas.inspections import InspectionClosed, InspectionCorrected, InspectionRecorded
from event_schemas.referrals import NeedRequested, NeedSettled
from handoff_kit.bus.ports import Record
from handoff_kit.db import Database
from handoff_kit.testing import Feeder, said

Build = Callable[..., dict[str, Any]]
GRAVE = [{"code": "10.1", "scheme": "city", "class": "A", "status": "open", "text": "no alarm"}]


async def test_the_life_of_an_inspection(
    post: Any, get: Any, db: Database, an_inspection: Build
) -> None:
    made = await post("/inspections", an_inspection(), role="department")
    assert made.status_code == 201, made.text
    body = made.json()
    assert made.headers["location"] == f"/intake/v1/inspections/{body['inspection_id']}"
    assert body["revision"] == 1
    assert body["cases"] == []
    again = await post("/inspections", an_inspection(), role="department")
    assert (again.status_code, again.json()) == (200, body)
    changed = an_inspection(findings=[{"code": "10.2", "scheme": "city", "text": "rats"}])
    corrected = await post("/inspections", changed, role="department")
    assert corrected.status_code == 200
    assert corrected.json()["revision"] == 2
    assert corrected.json()["suggested_needs"] == ["health-care"]
    closed = await post("/inspections", {**changed, "status": "closed"}, role="department")
    assert closed.json()["revision"] == 3
    kinds = [type(e.data) for e in await said(db) if not isinstance(e.data, NeedRequested)]
    assert kinds == [InspectionRecorded, InspectionCorrected, InspectionClosed]
    shown = (await get(f"/inspections/{body['inspection_id']}", role="department")).json()
    assert shown["inspector"] == "badge 17"
    assert shown["findings"][0]["text"] == "rats"
    assert shown["property"]["address"]["line1"] == "12 Example Street"
    listed = await get(f"/inspections?property={body['property_id']}", role="department")
    assert [i["inspection_id"] for i in listed.json()["items"]] == [body["inspection_id"]]


async def test_other_organizations_and_agencies_do_not_see_it(
    post: Any, get: Any, an_inspection: Build
) -> None:
    mine, other = str(uuid4()), str(uuid4())
    made = await post("/inspections", an_inspection(), role="department", organization=mine)
    path = f"/inspections/{made.json()['inspection_id']}"
    assert (await get(path, role="department", organization=mine)).status_code == 200
    assert (await get(path, role="department", organization=other)).status_code == 404
    assert (await get(path, role="department", agency="other-city")).status_code == 404


async def test_an_inspection_that_comes_closed_is_recorded_and_closed(
    post: Any, db: Database, an_inspection: Build
) -> None:
    body = an_inspection(status="closed", findings=GRAVE)
    answer = await post("/inspections", body, role="department")
    assert answer.json()["cases"] == []
    assert [type(e.data) for e in await said(db)] == [InspectionRecorded, InspectionClosed]


async def test_a_grave_finding_opens_the_propertys_need_once(
    post: Any, db: Database, an_inspection: Build, feeder: Callable[..., Feeder]
) -> None:
    body = an_inspection(findings=GRAVE)
    made = (await post("/inspections", body, role="department", subject="isd-client")).json()
    needs = [e.data for e in await said(db) if isinstance(e.data, NeedRequested)]
    (need,) = needs
    assert need.category == "fire-protection-missing"
    assert need.encounter == "finding"
    assert need.severity == "life-threatening"
    assert need.urgency == "emergency"
    assert need.deadline_basis == "city:10.1"
    assert (need.deadline - need.at).days < 3650
    assert str(need.property_id) == made["property_id"]
    assert str(need.inspection_id) == made["inspection_id"]
    assert need.referrer == "isd-client"
    assert made["cases"] == [str(need.case_id)]
    assert need.property.occupancy == "occupied"
    # Neither a correction nor another inspection of the same house opens it again.
    await post("/inspections", {**body, "kind": "routine"}, role="department")
    other = await post("/inspections", {**body, "source_id": "V2"}, role="department")
    assert len([e for e in await said(db) if isinstance(e.data, NeedRequested)]) == 1
    assert other.json()["cases"] == []
    # Once it is settled, another inspection may; a correction of the first one may not.
    settled = NeedSettled(
        case_id=need.case_id,
        need_id=need.need_id,
        at=need.at,
        category=need.category,
        status="met",
    )
    await feeder("intake").feed(settled, source="/handoff/referral")
    await post("/inspections", {**body, "kind": "follow-up"}, role="department")
    assert len([e for e in await said(db) if isinstance(e.data, NeedRequested)]) == 1
    third = await post("/inspections", {**body, "source_id": "V3"}, role="department")
    assert third.json()["cases"] == made["cases"]
    assert len([e for e in await said(db) if isinstance(e.data, NeedRequested)]) == 2


async def test_a_batch_answers_each_for_itself(
    post: Any, db: Database, an_inspection: Build
) -> None:
    one, two = an_inspection(), an_inspection(source_id="V2")
    wrong = an_inspection(source_id="V3", findings=[{"status": "half-open"}])
    answer = await post(
        "/inspections/batch", {"inspections": [one, wrong, two, one]}, role="department"
    )
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [r["status"] for r in results] == [201, 422, 201, 200]
    assert [r.get("change") for r in results] == ["new", None, "new", "unchanged"]
    assert results[1]["errors"][0]["field"] == "findings.0.status"
    assert results[0]["property_id"] == results[2]["property_id"]
    again = await post("/inspections/batch", {"inspections": [one, two]}, role="department")
    assert [r["change"] for r in again.json()["results"]] == ["unchanged", "unchanged"]
    assert len(await said(db)) == 2


async def test_a_time_that_cannot_be_meant_is_refused_alone(
    post: Any, db: Database, an_inspection: Build
) -> None:
    bodies = [an_inspection(source_id=f"V{n}") for n in range(3)]
    bodies[1]["inspected_at"] = "9999-12-31T00:00:00Z"
    answer = await post("/inspections/batch", {"inspections": bodies}, role="department")
    results = answer.json()["results"]
    assert [(r["status"], r.get("change")) for r in results] == [
        (201, "new"),
        (422, None),
        (201, "new"),
    ]
    assert results[1]["code"] == "invalid"
    assert [(e["field"], e["code"]) for e in results[1]["errors"]] == [
        ("inspected_at", "in-the-future")
    ]
    alone = await post("/inspections/batch", {"inspections": [bodies[1]]}, role="department")
    assert alone.json()["results"] == [results[1]]
    assert len(await said(db)) == 2


async def test_the_point_of_nothing_is_no_point(post: Any, get: Any, an_inspection: Build) -> None:
    """What a geocoder did not find twice is not one property."""
    made = []
    for number, known in enumerate(({"address": {"line1": "1 Void Way"}}, {"address_id": "A9"})):
        place = known | {"latitude": 0.0, "longitude": 0.0}
        body = an_inspection(source_id=f"V{number}") | {"property": place}
        made.append((await post("/inspections", body, role="department")).json())
    assert made[0]["property_id"] != made[1]["property_id"]
    shown = (await get(f"/inspections/{made[0]['inspection_id']}", role="department")).json()
    assert shown["property"]["latitude"] is None


async def test_a_batch_with_a_correction_and_a_grave_finding_in_one_set(
    post: Any, admin: Any, an_inspection: Build
) -> None:
    first = an_inspection(findings=GRAVE)
    second = {**first, "kind": "follow-up"}
    answer = await post("/inspections/batch", {"inspections": [first, second]}, role="department")
    one, two = answer.json()["results"]
    assert (one["revision"], two["revision"]) == (1, 2)
    assert one["cases"] == two["cases"] != []
    assert await admin.fetchval("SELECT revision FROM intake.inspection") == 2
    assert await admin.fetchval("SELECT jsonb_array_length(cases) FROM intake.inspection") == 1


async def test_many_at_once_make_one_property(post: Any, admin: Any, an_inspection: Build) -> None:
    """Sets of two writers race for the same house, in other words each time."""
    ways = ["12 Example Street", "12 EXAMPLE ST", "12 Example St.", "12, example street"]
    bodies = [
        an_inspection(
            source_id=f"R{n}", property={"address": {"line1": ways[n % 4]}}, findings=GRAVE
        )
        for n in range(40)
    ]
    answers = await asyncio.gather(*(post("/inspections", b, role="department") for b in bodies))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["property_id"] for a in answers}) == 1
    assert await admin.fetchval("SELECT count(*) FROM intake.property") == 1
    assert await admin.fetchval("SELECT count(*) FROM intake.case_link") == 1
    assert await admin.fetchval("SELECT count(*) FROM intake.need") == 1


def _record(body: bytes, offset: int, *, event_id: str, agency: str = "test-city") -> Record:
    return Record(
        "handoff.inbound.inspections",
        0,
        offset,
        "any key",
        {
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_source": "/isd",
            "ce_type": InspectionReported.TYPE,
            "ce_agency": agency,
        },
        body,
    )


async def test_a_departments_records_are_taken_once_and_bad_ones_listed(
    db: Database, get: Any, an_inspection: Build, feeder: Callable[..., Feeder], client: Any
) -> None:
    import orjson

    good = orjson.dumps(an_inspection())
    bad = orjson.dumps(an_inspection(source_id="V9", surprise=1))
    inbound = feeder("intake-inbound")
    await inbound.feed_records(
        [
            _record(good, 0, event_id="e1"),
            _record(good, 1, event_id="e1"),
            _record(b"half a {", 2, event_id="e2"),
            _record(bad, 3, event_id="e3"),
            _record(orjson.dumps(an_inspection(source_id="V2")), 4, event_id="e4"),
            _record(good, 5, event_id="e5"),
            _record(
                orjson.dumps(an_inspection(source_id="V8", inspected_at="1900-01-01T00:00:00Z")),
                6,
                event_id="e6",
            ),
        ]
    )
    recorded = [e for e in await said(db) if isinstance(e.data, InspectionRecorded)]
    assert len(recorded) == 2
    listed = (await get("/inbound/rejected", role="department")).json()["items"]
    assert {(i["event_id"], i["reason"]) for i in listed} == {
        ("e2", "bad-body"),
        ("e3", "bad-body"),
        ("e6", "invalid"),
    }
    assert "inspected_at: too-early" in {i["detail"] for i in listed}
    assert any("surprise" in i["detail"] for i in listed)
    other = await get("/inbound/rejected", role="department", agency="other-city")
    assert other.json()["items"] == []


async def test_what_cannot_be_taken_says_where(post: Any, an_inspection: Build) -> None:
    body = an_inspection(inspected_at="yesterday", property={"parcel": "x"})
    answer = await post("/inspections", body, role="department")
    assert answer.status_code == 422
    fields = {e["field"] for e in answer.json()["errors"]}
    assert fields == {"inspected_at", "property.parcel"}


async def test_an_open_code_with_spaces_is_kept_and_travels_as_a_code(
    post: Any, get: Any, db: Database, an_inspection: Build
) -> None:
    body = an_inspection(kind="Housing - Complaint", findings=[{"code": "Low pressure / H2O"}])
    made = (await post("/inspections", body, role="department")).json()
    event = (await said(db))[0].data
    assert event.kind == "Housing---Complaint"
    assert event.findings[0].code == "Low-pressure-/-H2O"
    shown = await get(f"/inspections/{made['inspection_id']}", role="department")
    assert shown.json()["kind"] == "Housing - Complaint"


async def test_lists_come_in_pages(post: Any, get: Any, an_inspection: Build) -> None:
    made = [
        (await post("/inspections", an_inspection(source_id=f"P{n}"), role="department")).json()
        for n in range(5)
    ]
    for query in ("", f"property={made[0]['property_id']}&"):
        seen: list[str] = []
        cursor = ""
        while True:
            path = f"/inspections?{query}limit=2{cursor}"
            page = (await get(path, role="department")).json()
            seen += [item["inspection_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert sorted(seen) == sorted(m["inspection_id"] for m in made)
    wrong = await get(f"/inspections?property={made[0]['property_id']}&cursor=x", role="department")
    assert wrong.status_code == 422
    assert (await get("/inspections/not-an-id", role="department")).status_code == 404
    assert (await get("/inspections/batch", role="department")).status_code == 405
