"""(a) From the doorway to help, and back to who referred, in words that each may know."""

import json

from standardwebhooks import Webhook
from support.data import a_referral
from support.system import eventually


def test_food_goes_to_the_next_partner_after_a_decline_and_everybody_hears(people, do, receiver):
    hook = people.inspector.ok(
        "POST", "/notify/v1/webhooks", 201, json={"url": receiver.url, "types": ["*"]}
    )
    body = a_referral("food-insecurity")
    made = people.inspector.ok("POST", "/intake/v1/referrals", 201, json=body)
    case_id, need_id = made["case_id"], made["needs"][0]["need_id"]

    # The case stands beside in the case managers' queue.
    case = eventually(
        lambda: (
            people.case_manager.request("GET", f"/referral/v1/cases/{case_id}").is_success
            and people.case_manager.ok("GET", f"/referral/v1/cases/{case_id}")
        ),
        hint="the case is in the queue",
    )
    assert case["needs"][0]["category"] == "food-insecurity"
    assert "property_id" not in case or case["property_id"]

    # The first partner has no room, the next one is asked by itself.
    first = people.offers(case_id)[0]
    assert first["target_kind"] == "partner"
    do(people.target(first["organization_id"]), first["id"], "decline", {"reason": "no-capacity"})
    second = people.offers(case_id, count=2)[1]
    assert second["organization_id"] != first["organization_id"]
    assert second["need_id"] == need_id
    partner = people.target(second["organization_id"])

    # Nothing of the resident before acceptance.
    early = partner.request("GET", f"/partner/v1/offers/{second['id']}/resident")
    assert early.status_code in (404, 409)
    do(partner, second["id"], "accept")
    facts = partner.ok("GET", f"/partner/v1/offers/{second['id']}/resident")
    assert facts["name"] == body["resident"]["name"]
    assert facts["phone"] == body["resident"]["phone"]
    assert facts["disclosure_id"]
    # Who declined may not read them, nor may anybody else.
    other = people.target(first["organization_id"])
    refused = other.request("GET", f"/partner/v1/offers/{first['id']}/resident")
    assert refused.status_code in (404, 409)
    assert other.request("GET", f"/partner/v1/offers/{second['id']}").status_code == 404

    do(partner, second["id"], "schedule", {"at": "2026-12-01T10:00:00-05:00"})
    do(partner, second["id"], "progress", {"note": "first box of food was brought"})
    done = do(partner, second["id"], "complete", {"outcome": "got-help", "note": "enrolled weekly"})
    assert (done["status"], done["business_status"]) == ("completed", "7.0")

    # The need is met, the case closes.
    def settled():
        now = people.case_manager.ok("GET", f"/referral/v1/cases/{case_id}")
        return now if now["needs"][0]["status"] == "met" else None

    assert eventually(settled)["needs"][0]["outcome"] == "got-help"

    # The inspector hears of it, coarsely: no partner, no note, no name.
    def heard():
        items = people.inspector.ok("GET", "/notify/v1/feed")["items"]
        about = [i for i in items if i["case_id"] == case_id]
        return (
            about
            if any("settled" in i["type"] or "completed" in i["type"] for i in about)
            else None
        )

    told = eventually(heard, hint="the inspector's feed tells the end")
    words = json.dumps(told)
    organization = people.coordinator.ok(
        "GET", f"/partner/v1/organizations/{second['organization_id']}"
    )
    for secret in (
        body["resident"]["name"],
        body["resident"]["phone"],
        "first box",
        "enrolled weekly",
        organization["name"],
    ):
        assert secret not in words

    # So does the signed webhook, thin, verified by another implementation of the standard.
    def hooked():
        return receiver.about(case_id) or None

    headers, event = eventually(hooked, hint="a webhook about the case")[0]
    raw = next(b for h, b in receiver.got if h["webhook-id"] == headers["webhook-id"])
    assert Webhook(hook["secret"]).verify(raw, headers)
    assert body["resident"]["name"] not in json.dumps(event)

    # The city manager hears that it works, never of which family.
    def counted():
        items = people.city_manager.ok("GET", "/notify/v1/feed")["items"]
        return items or None

    for item in eventually(counted):
        assert item["case_id"] is None

    timeline = people.case_manager.ok("GET", f"/referral/v1/cases/{case_id}/timeline")["items"]
    assert [e["type"] for e in timeline if e["type"].startswith("offer-")][:2] == [
        "offer-made",
        "offer-rejected",
    ]
    assert "first box" not in json.dumps(timeline)


def test_the_resident_s_facts_are_disclosed_once_a_read_and_listed(people, do):
    made = people.inspector.ok("POST", "/intake/v1/referrals", 201, json=a_referral())
    offer = people.offers(made["case_id"])[0]
    partner = people.target(offer["organization_id"])
    do(partner, offer["id"], "accept")
    read = partner.ok("GET", f"/partner/v1/offers/{offer['id']}/resident")
    receipt = people.inspector.ok("GET", f"/intake/v1/receipts/{made['consent_receipt']}")
    rows = [d for d in receipt["disclosures"] if d["disclosure_id"] == read["disclosure_id"]]
    assert len(rows) == 1
    assert rows[0]["organization_id"] == offer["organization_id"]
    assert "name" in rows[0]["fields"]


def test_other_needs_go_to_case_management_first_and_partners_below_it(people, do, case_management):
    made = people.inspector.ok("POST", "/intake/v1/referrals", 201, json=a_referral("legal-help"))
    offer = people.offers(made["case_id"])[0]
    assert offer["target_kind"] == "case-manager"
    assert offer["organization_id"] == case_management
    do(people.case_manager, offer["id"], "accept")

    def assigned():
        case = people.case_manager.ok("GET", f"/referral/v1/cases/{made['case_id']}")
        return case if case["assigned_to"] else None

    case = eventually(assigned, hint="accepting assigns the case")
    need = case["needs"][0]
    listed = people.case_manager.ok("GET", f"/referral/v1/needs/{need['id']}/candidates")
    assert listed["policy_version"]
    candidates = [c for c in listed["items"] if c["verdict"] == "eligible"]
    assert candidates, listed
    assert all(c["reasons"] for c in listed["items"] if c["verdict"] != "eligible")
    chosen = candidates[0]
    people.case_manager.ok(
        "POST",
        f"/referral/v1/needs/{need['id']}/offers",
        201,
        json={"service_id": chosen["service_id"]},
        headers={"if-match": f'"{need["version"]}"'},
    )
    below = people.offers(made["case_id"], count=2)[1]
    assert below["parent_offer_id"] == offer["id"]
    assert below["target_kind"] == "partner"
    do(people.target(below["organization_id"]), below["id"], "accept")


def test_a_restricted_need_has_a_case_of_its_own_that_nothing_joins(people, case_management):
    body = a_referral(
        "food-insecurity",
        needs=[
            {"category": "food-insecurity", "urgency": "routine"},
            {"category": "intimate-partner-violence", "urgency": "urgent"},
        ],
    )
    body["consent"]["covers"] = ["food-insecurity", "intimate-partner-violence"]
    made = people.inspector.ok("POST", "/intake/v1/referrals", 201, json=body)
    plain, hidden = sorted(made["needs"], key=lambda n: n["category"])
    assert plain["case_id"] != hidden["case_id"]
    assert made["case_id"] == plain["case_id"]
    people.offers(plain["case_id"])
    # The coordinator does not see the restricted one.
    seen = people.coordinator.ok("GET", f"/partner/v1/offers?case_id={hidden['case_id']}")["items"]
    assert seen == []
    hidden_case = people.coordinator.request("GET", f"/referral/v1/cases/{hidden['case_id']}")
    assert hidden_case.status_code == 404

    def offered():
        items = people.case_manager.ok("GET", f"/partner/v1/offers?case_id={hidden['case_id']}")[
            "items"
        ]
        return items or None

    (offer,) = eventually(offered)
    assert offer["organization_id"] == case_management
    # No feedback to who referred.
    items = people.inspector.ok("GET", "/notify/v1/feed")["items"]
    assert not [i for i in items if i["case_id"] == hidden["case_id"]]
