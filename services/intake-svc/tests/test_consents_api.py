import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from event_schemas.cases import CaseAssigned, CaseClosed, CaseReopened
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from handoff_kit.db import Database
from handoff_kit.service import Built
from handoff_kit.telemetry import process_metrics
from handoff_kit.testing import Feeder, said
from handoff_kit.tx import Tx

Build = Callable[..., dict[str, Any]]
CASE_MANAGEMENT = "52090f5a-eba6-5e0f-b6f1-39369a3bb036"
PANTRY = "fab1b547-3688-5990-b929-db91c511b5f1"
MANAGER = {"role": "case-manager", "organization": CASE_MANAGEMENT, "subject": "cm-1"}


def a_grant(**changes: Any) -> dict[str, Any]:
    return {
        "method": "written",
        "language": "es",
        "notice_version": "2026-01",
        "covers": ["food-insecurity", "utility-insecurity"],
        "recipients": ["case-management"],
    } | changes


@pytest.fixture
async def referred(post: Any, a_referral: Build) -> dict[str, Any]:
    return dict((await post("/referrals", a_referral())).json())


@pytest.fixture
def disclose(post: Any, referred: dict[str, Any]) -> Callable[..., Any]:
    async def ask(**changes: Any) -> httpx.Response:
        body = {
            "offer_id": str(uuid4()),
            "case_id": referred["case_id"],
            "consent_id": referred["consent_id"],
            "organization_id": PANTRY,
            "category": "food-insecurity",
            "purpose": "referral-and-service",
            "route": "api",
            "reader": {"organization_id": PANTRY, "roles": ["partner"], "subject": "p-1"},
        }
        answer: httpx.Response = await post("/disclosures", body | changes, role="service")
        return answer

    return ask


async def test_the_covered_facts_leave_and_the_disclosure_is_written(
    disclose: Any, get: Any, referred: dict[str, Any], client: httpx.AsyncClient
) -> None:
    answer = await disclose()
    assert answer.status_code == 200, answer.text
    facts = answer.json()
    assert facts["name"] == "Resident One"
    assert facts["phone"] == "+1 617 555 0111"
    assert facts["household"] == {"adults": 2, "minors": 1, "older_adults": 0}
    assert facts["address"]["unit"] == "3B"
    assert "notes" not in facts
    receipt = await client.get(f"/intake/v1/receipts/{referred['consent_receipt']}")
    (listed,) = receipt.json()["disclosures"]
    assert listed["disclosure_id"] == facts["disclosure_id"]
    assert listed["organization_id"] == PANTRY
    assert set(listed["fields"]) == set(facts) - {"disclosure_id", "consent_id"}
    record = await get(f"/disclosures?consent_id={referred['consent_id']}", role="records-officer")
    assert record.json()["items"] == [listed]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"organization_id": str(uuid4())}, "recipient"),
        ({"category": "stress"}, "category"),
        ({"purpose": "research"}, "purpose"),
        ({"fields": ["email"]}, "fields"),
        ({"consent_id": str(uuid4())}, "no-consent"),
        ({"case_id": str(uuid4())}, "no-consent"),
    ],
)
async def test_what_no_consent_covers_is_not_there_and_counted(
    disclose: Any, admin: Any, changes: dict[str, Any], reason: str
) -> None:
    def counted() -> float:
        name = "handoff_consent_denials_total"
        return process_metrics().value(name, reason=reason) or 0

    before = counted()
    answer = await disclose(**changes)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert counted() == before + 1
    assert await admin.fetchval("SELECT count(*) FROM intake.disclosure") == 0


async def test_only_what_the_fields_name_leaves(
    post: Any, disclose: Any, a_referral: Build
) -> None:
    body = a_referral(resident={"name": "Resident Two"}, consent={"fields": ["name", "languages"]})
    other = (await post("/referrals", body)).json()
    answer = await disclose(case_id=other["case_id"], consent_id=other["consent_id"])
    assert set(answer.json()) == {"disclosure_id", "consent_id", "name", "languages"}


async def test_withdrawal_by_receipt_stops_what_follows(
    disclose: Any, client: httpx.AsyncClient, db: Database, referred: dict[str, Any]
) -> None:
    told = (await disclose()).json()
    path = f"/intake/v1/receipts/{referred['consent_receipt']}"
    answer = await client.post(f"{path}/withdraw", json={})
    assert answer.status_code == 200, answer.text
    assert [c["status"] for c in answer.json()["consents"]] == ["withdrawn"]
    assert [d["disclosure_id"] for d in answer.json()["disclosures"]] == [told["disclosure_id"]]
    assert (await disclose()).status_code == 404
    assert (await client.post(f"{path}/withdraw")).json() == answer.json()
    withdrawn = [e.data for e in await said(db) if isinstance(e.data, ConsentWithdrawn)]
    assert [str(w.consent_id) for w in withdrawn] == [referred["consent_id"]]
    unknown = await client.get("/intake/v1/receipts/" + "0" * 40)
    assert unknown.status_code == 404


async def test_one_receipt_holds_the_restricted_consent_too(
    post: Any, client: httpx.AsyncClient, db: Database, a_referral: Build
) -> None:
    body = a_referral(
        needs=[{"category": "food-insecurity"}, {"category": "elder-abuse"}],
        consent={"covers": ["food-insecurity", "elder-abuse"]},
    )
    made = (await post("/referrals", body)).json()
    path, key = f"/intake/v1/receipts/{made['consent_receipt']}/withdraw", {"idempotency-key": "w1"}
    answer = await client.post(path, headers=key)
    assert [c["covers"] for c in answer.json()["consents"]] == [
        ["food-insecurity"],
        ["elder-abuse"],
    ]
    assert (await client.post(path, headers=key)).content == answer.content
    topics = {e.topic for e in await said(db) if isinstance(e.data, ConsentWithdrawn)}
    assert topics == {"handoff.consents", "handoff.restricted.consents"}


async def test_a_case_manager_replaces_the_spoken_consent_by_a_written_one(
    post: Any, get: Any, db: Database, referred: dict[str, Any]
) -> None:
    path = f"/consents/{referred['consent_id']}"
    before = await get(path, **MANAGER)
    assert before.headers["etag"] == '"1"'
    assert before.json()["method"] == "spoken"
    body = a_grant(consent_id=referred["consent_id"])
    stale = await post("/consents", body, headers={"if-match": '"7"'}, **MANAGER)
    assert stale.status_code == 412
    answer = await post("/consents", body, headers={"if-match": '"1"'}, **MANAGER)
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == 2
    assert (await get(path, **MANAGER)).json()["method"] == "written"
    granted = [e.data for e in await said(db) if isinstance(e.data, ConsentGranted)]
    assert [g.version for g in granted] == [1, 2]
    assert granted[1].categories == ["food-insecurity", "utility-insecurity"]


async def test_a_further_consent_for_the_case_has_its_own_receipt(
    post: Any, client: httpx.AsyncClient, referred: dict[str, Any]
) -> None:
    body = a_grant(case_id=referred["case_id"], covers=["home-repair"])
    answer = await post("/consents", body, key="c1", **MANAGER)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith(answer.json()["consent_id"])
    receipt = answer.json()["consent_receipt"]
    assert receipt != referred["consent_receipt"]
    shown = await client.get(f"/intake/v1/receipts/{receipt}")
    assert [c["covers"] for c in shown.json()["consents"]] == [["home-repair"]]
    assert (await post("/consents", body, key="c1", **MANAGER)).json() == answer.json()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"covers": ["mental-health"]}, "covers.0"),
        ({"covers": ["pests"]}, "covers"),
        ({"method": "spoken"}, "witness"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_grant_says_what_to_mend(
    post: Any, referred: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    answer = await post("/consents", a_grant(case_id=referred["case_id"], **changes), **MANAGER)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_neither_or_both_of_case_and_consent(post: Any, referred: dict[str, Any]) -> None:
    both = {"case_id": referred["case_id"], "consent_id": referred["consent_id"]}
    for named in ({}, both):
        assert (await post("/consents", a_grant(**named), **MANAGER)).status_code == 422


async def test_other_organizations_do_not_see_a_consent(
    post: Any, get: Any, referred: dict[str, Any]
) -> None:
    other = MANAGER | {"organization": str(uuid4())}
    path = f"/consents/{referred['consent_id']}"
    assert (await get(path, **other)).status_code == 404
    assert (await post(f"{path}/withdraw", **other)).status_code == 404
    body = a_grant(case_id=referred["case_id"])
    assert (await post("/consents", body, **other)).status_code == 404
    elsewhere = MANAGER | {"agency": "other-city"}
    assert (await get(path, **elsewhere)).status_code == 404
    assert (await post(f"{path}/withdraw", **elsewhere)).status_code == 404


async def test_a_restricted_consent_is_for_the_person_assigned(
    post: Any, get: Any, a_referral: Build, feeder: Callable[..., Feeder]
) -> None:
    body = a_referral(needs=[{"category": "substance-use"}], consent={"covers": ["substance-use"]})
    made = (await post("/referrals", body)).json()
    path = f"/consents/{made['consent_id']}"
    assert (await get(path, **MANAGER)).status_code == 200
    assigned = CaseAssigned(
        case_id=made["case_id"],
        restricted=True,
        at=datetime.now(UTC),
        version=2,
        status="open",
        assignee="cm-2",
        organization_id=CASE_MANAGEMENT,
    )
    await feeder("intake").feed(assigned, source="/handoff/referral")
    assert (await get(path, **MANAGER)).status_code == 404
    assert (await get(path, **MANAGER | {"subject": "cm-2"})).status_code == 200


async def test_withdrawn_stays_withdrawn_and_a_new_yes_is_a_new_consent(
    post: Any, client: httpx.AsyncClient, disclose: Any, referred: dict[str, Any]
) -> None:
    answer = await post(f"/consents/{referred['consent_id']}/withdraw", **MANAGER)
    assert answer.status_code == 200
    assert answer.json()["status"] == "withdrawn"
    renewed = await post("/consents", a_grant(consent_id=referred["consent_id"]), **MANAGER)
    assert (renewed.status_code, renewed.json()["allowed"]) == (409, [])
    body = {
        "language": "es",
        "notice_version": "2026-01",
        "covers": ["food-insecurity"],
        "recipients": ["case-management"],
    }
    path = f"/intake/v1/receipts/{referred['consent_receipt']}/consents"
    new = await client.post(path, json=body)
    assert new.status_code == 201, new.text
    assert new.json()["consent_id"] != referred["consent_id"]
    assert new.json()["method"] == "electronic"
    assert (await disclose()).status_code == 404
    assert (await disclose(consent_id=new.json()["consent_id"])).status_code == 200
    unknown = await client.post(path, json=body | {"notice_version": "1999"})
    assert unknown.json()["errors"][0]["code"] == "unknown-notice"


async def test_the_resident_renews_by_its_own_link(
    client: httpx.AsyncClient, referred: dict[str, Any]
) -> None:
    body = {
        "language": "en",
        "notice_version": "2026-01",
        "covers": ["food-insecurity", "stress"],
        "recipients": [PANTRY],
    }
    path = f"/intake/v1/receipts/{referred['consent_receipt']}/consents"
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["consent_id"] == referred["consent_id"]
    assert answer.json()["recipients"] == [PANTRY]
    assert answer.json()["version"] == 2


async def test_f30_expiry_is_by_the_databases_clock(
    post: Any, disclose: Any, db: Database, admin: Any, built: Built, a_referral: Build
) -> None:
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = a_referral(resident={"name": "Resident Two"}, consent={"expires_at": soon})
    made = (await post("/referrals", body)).json()
    asked = {"case_id": made["case_id"], "consent_id": made["consent_id"]}
    assert (await disclose(**asked)).status_code == 200
    await admin.execute(
        "UPDATE intake.consent SET expires_at = clock_timestamp() WHERE id = $1",
        made["consent_id"],
    )
    # Denied at once, before anything has swept.
    assert (await disclose(**asked)).status_code == 404
    expiry = next(p for p in built.periodics if p.name == "intake-consent-expiry")
    async with db.sets() as connection:
        tx = Tx(connection, datetime.now(UTC), "intake")
        assert await expiry.run(tx) == 1
        await tx.save()
    async with db.sets() as connection:
        assert await expiry.run(Tx(connection, datetime.now(UTC), "intake")) == 0
    expired = [e.data for e in await said(db) if isinstance(e.data, ConsentExpired)]
    assert [str(e.consent_id) for e in expired] == [made["consent_id"]]


async def test_a_closed_case_takes_no_more_needs_until_it_is_reopened(
    post: Any, a_referral: Build, referred: dict[str, Any], feeder: Callable[..., Feeder]
) -> None:
    cases = feeder("intake")

    def said_of(kind: Any, version: int, **more: Any) -> Any:
        return kind(
            case_id=referred["case_id"],
            at=datetime.now(UTC),
            version=version,
            status="closed" if kind is CaseClosed else "open",
            **more,
        )

    closed = said_of(CaseClosed, 5, reason="needs-settled")
    await cases.feed(closed, source="/handoff/referral")
    second = (await post("/referrals", a_referral())).json()
    assert second["case_id"] != referred["case_id"]
    # The reopened one does not take the place of the one that is current by now.
    await cases.feed(said_of(CaseReopened, 6), source="/handoff/referral")
    third = (await post("/referrals", a_referral())).json()
    assert third["case_id"] == second["case_id"]


async def test_f28_a_withdrawal_and_a_disclosure_never_pass_each_other(
    post: Any, client: httpx.AsyncClient, disclose: Any, a_referral: Build, admin: Any
) -> None:
    """Readers ask on and on while the consent is withdrawn: once the withdrawal has been
    answered nothing more leaves, and its list holds all that ever left. Forty of them."""
    for n in range(40):
        body = a_referral(resident={"name": f"Person {chr(97 + n % 26)}{n}", "phone": ...})
        made = (await post("/referrals", body)).json()
        asked = {"case_id": made["case_id"], "consent_id": made["consent_id"]}
        withdrawn = asyncio.Event()
        late: list[int] = []

        async def read(
            asked: dict[str, Any] = asked,
            withdrawn: asyncio.Event = withdrawn,
            late: list[int] = late,
        ) -> None:
            while True:
                after = withdrawn.is_set()
                answer = await disclose(**asked)
                if after and answer.status_code == 200:
                    late.append(answer.status_code)
                if after:
                    return

        readers = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0.001 * (n % 5))
        path = f"/intake/v1/receipts/{made['consent_receipt']}/withdraw"
        answer = await client.post(path)
        withdrawn.set()
        await asyncio.gather(*readers)
        assert late == []
        listed = {d["disclosure_id"] for d in answer.json()["disclosures"]}
        rows = await admin.fetch(
            "SELECT d.id::text, d.at <= c.ended_at AS before FROM intake.disclosure d"
            " JOIN intake.consent c ON c.id = d.consent_id WHERE c.id = $1",
            made["consent_id"],
        )
        assert {row["id"] for row in rows} == listed
        assert all(row["before"] for row in rows)


async def test_the_audit_chain_tells_of_grants_disclosures_and_withdrawals(
    disclose: Any, post: Any, referred: dict[str, Any], admin: Any
) -> None:
    await disclose()
    await post("/consents", a_grant(consent_id=referred["consent_id"]), **MANAGER)
    await post(f"/consents/{referred['consent_id']}/withdraw", **MANAGER)
    bodies = await admin.fetch("SELECT convert_from(body, 'UTF8') AS body FROM intake.audit")
    text = " ".join(row["body"] for row in bodies)
    for action in ("disclosure", "consent.renewed", "consent.withdrawn"):
        assert action in text
