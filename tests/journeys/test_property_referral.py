"""(b) A finding alone opens a referral to the department of the code pack."""

from support.data import an_address, an_inspection


def test_a_locked_second_exit_reaches_the_fire_department(people, do):
    body = an_inspection("H-101", "demo-housing-code")
    made = people.department.ok("POST", "/intake/v1/inspections", 201, json=body)
    (case_id,) = [c["case_id"] if isinstance(c, dict) else c for c in made["cases"]]
    offer = people.offers(case_id)[0]
    assert offer["target_kind"] == "department"
    assert offer["category"] == "blocked-egress"
    assert offer["property_id"] == made["property_id"]
    assert offer["inspection_id"] == made["inspection_id"]
    department = people.target(offer["organization_id"])
    place = department.ok("GET", f"/partner/v1/offers/{offer['id']}/property")
    assert place["address"]["line1"] == body["property"]["address"]["line1"]
    assert department.request("GET", f"/partner/v1/offers/{offer['id']}/resident").status_code in (
        404,
        409,
    )
    do(department, offer["id"], "accept")
    do(department, offer["id"], "complete", {"outcome": "got-help"})

    again = people.department.ok("POST", "/intake/v1/inspections", 200, json=body)
    assert again == made
    assert len(people.offers(case_id)) == 1


def test_an_inspector_refers_a_property_without_any_resident(people):
    made = people.inspector.ok(
        "POST",
        "/intake/v1/referrals",
        201,
        json={
            "encounter": {"kind": "inspection"},
            "property": an_address(),
            "needs": [{"category": "rubbish", "urgency": "routine", "note": "heaps in the yard"}],
        },
    )
    assert "consent_id" not in made or made["consent_id"] is None
    offer = people.offers(made["case_id"])[0]
    assert offer["target_kind"] == "department"
    assert offer["category"] == "rubbish"
