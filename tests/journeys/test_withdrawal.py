"""(c) Consent withdrawn in the middle: what is open is cancelled, what was told is listed."""

from support.data import a_referral
from support.system import eventually


def test_withdrawal_cancels_the_open_offer(people):
    made = people.inspector.ok("POST", "/intake/v1/referrals", 201, json=a_referral())
    offer = people.offers(made["case_id"])[0]
    partner = people.target(offer["organization_id"])
    people.inspector.ok("POST", f"/intake/v1/receipts/{made['consent_receipt']}/withdraw", json={})

    def cancelled():
        now = partner.ok("GET", f"/partner/v1/offers/{offer['id']}")
        return now if now["status"] == "cancelled" else None

    now = eventually(cancelled)
    assert now["reason"] == "consent-withdrawn"
    late = partner.request(
        "POST",
        f"/partner/v1/offers/{offer['id']}/accept",
        json={},
        headers={"if-match": f'"{now["version"]}"'},
    )
    assert late.status_code == 409
    # Nobody else is asked.
    assert len(people.offers(made["case_id"])) == 1


def test_withdrawal_after_acceptance_ends_access_and_lists_what_was_told(people, do):
    made = people.inspector.ok("POST", "/intake/v1/referrals", 201, json=a_referral())
    offer = people.offers(made["case_id"])[0]
    partner = people.target(offer["organization_id"])
    do(partner, offer["id"], "accept")
    read = partner.ok("GET", f"/partner/v1/offers/{offer['id']}/resident")
    answer = people.inspector.ok(
        "POST", f"/intake/v1/receipts/{made['consent_receipt']}/withdraw", json={}
    )
    # From this answer on, nothing more leaves.
    assert partner.request("GET", f"/partner/v1/offers/{offer['id']}/resident").status_code == 404
    told = answer["disclosures"]
    assert [d["disclosure_id"] for d in told] == [read["disclosure_id"]]

    def ended():
        now = partner.ok("GET", f"/partner/v1/offers/{offer['id']}")
        return now if now["status"] == "cancelled" else None

    assert eventually(ended)["reason"] == "consent-withdrawn"
    assert partner.request("GET", f"/partner/v1/offers/{offer['id']}/resident").status_code == 404

    def withdrawn():
        case = people.case_manager.ok("GET", f"/referral/v1/cases/{made['case_id']}")
        return case["needs"][0]["status"] == "withdrawn"

    eventually(withdrawn)
    listed = people.system.handoff("disclosures", "--consent", made["consent_id"], "--json")
    assert read["disclosure_id"] in listed.stdout
