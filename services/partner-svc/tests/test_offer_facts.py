"""The resident's facts and the consent they hang on, through an offer."""

from uuid import uuid4

import pytest
from event_schemas.codes import Reason
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from handoff_kit.testing import said
from support.offers import AT, cancel, consent_event


async def test_the_residents_facts_once_accepted(an_offer, food_bank, intake) -> None:
    path = f"/offers/{an_offer.offer_id}/resident"
    assert (await food_bank.get(path)).status_code == 404
    assert intake.asked == []
    await food_bank.do(an_offer.offer_id, "accept")
    answer = await food_bank.get(path)
    assert answer.status_code == 200
    assert set(answer.json()) == {"disclosure_id", "name"}
    [(asked, body)] = intake.asked
    assert asked == "/intake/v1/disclosures"
    assert body["consent_id"] == str(an_offer.consent_id)
    assert body["organization_id"] == str(an_offer.organization_id)


async def test_undo_accept_until_a_fact_was_read(an_accepted_offer, food_bank, intake, db) -> None:
    offer = an_accepted_offer.offer_id
    await food_bank.get(f"/offers/{offer}/resident")
    answer = await food_bank.do(offer, "undo-accept", version=2)
    assert (answer.status_code, answer.json()["code"]) == (409, "facts-read")
    assert "decline" in answer.json()["allowed"]
    assert len(await said(db)) == 1


async def test_a_mistaken_accept_is_undone(an_accepted_offer, food_bank, db) -> None:
    answer = await food_bank.do(an_accepted_offer.offer_id, "undo-accept", version=2)
    assert (answer.json()["status"], answer.json()["reason"]) == ("cancelled", "accepted-in-error")
    assert (await said(db))[-1].data.reason == "accepted-in-error"


async def test_without_consent_no_facts(an_accepted_offer, food_bank, intake) -> None:
    intake.consent = False
    answer = await food_bank.get(f"/offers/{an_accepted_offer.offer_id}/resident")
    assert answer.status_code == 404


@pytest.mark.parametrize("kind", [ConsentWithdrawn, ConsentExpired])
async def test_an_ended_consent_refuses_before_intake_is_asked(
    an_accepted_offer, feeder, food_bank, intake, kind
) -> None:
    offer = an_accepted_offer
    await feeder().feed(consent_event(kind, offer))
    for path in ("resident", "property"):
        assert (await food_bank.get(f"/offers/{offer.offer_id}/{path}")).status_code == 404
    assert intake.asked == []


async def test_a_renewed_consent_counts_again(an_accepted_offer, feeder, food_bank) -> None:
    offer = an_accepted_offer
    granted = consent_event(
        ConsentGranted,
        offer,
        version=2,
        recipients=[offer.organization_id],
        categories=[offer.category],
        purposes=["referral-and-service"],
        method="written",
        language="en",
        notice_version="2026-01",
        expires_at=AT,
    )
    await feeder().feed(consent_event(ConsentExpired, offer), granted)
    answer = await food_bank.get(f"/offers/{offer.offer_id}/resident")
    assert answer.status_code == 200


async def test_nothing_is_accepted_under_an_ended_consent(an_offer, feeder, food_bank) -> None:
    await feeder().feed(consent_event(ConsentWithdrawn, an_offer))
    answer = await food_bank.do(an_offer.offer_id, "accept")
    assert (answer.status_code, answer.json()["code"]) == (409, "consent-ended")


async def test_a_withdrawn_consent_ends_an_accepted_offer(
    an_accepted_offer, feeder, food_bank, db
) -> None:
    await feeder().feed(
        cancel(an_accepted_offer, Reason.CONSENT_WITHDRAWN, forced=True), source="/handoff/r2"
    )
    body = (await food_bank.get(f"/offers/{an_accepted_offer.offer_id}")).json()
    assert (body["status"], body["reason"]) == ("cancelled", "consent-withdrawn")
    assert (await said(db))[-1].data.party == "resident"


async def test_reading_a_restricted_offer_hands_it_over(
    a_restricted_offer, food_bank, intake, db
) -> None:
    offer = a_restricted_offer.offer_id
    assert (await food_bank.get("/offers")).json()["items"][0]["status"] == "requested"
    body = (await food_bank.get(f"/offers/{offer}")).json()
    assert (body["status"], body["business_status"], body["outcome"]) == (
        "completed",
        "7.0",
        "handed-over",
    )
    assert body["allowed"] == []
    [event] = await said(db)
    assert event.topic == "handoff.restricted.offers"
    assert event.type == "handoff.offer.completed.v1"
    await food_bank.get(f"/offers/{offer}")
    assert len(await said(db)) == 1
    answer = await food_bank.get(f"/offers/{offer}/resident")
    assert answer.status_code == 200


async def test_the_property_of_an_offer(feeder, made, caller, intake, admin) -> None:
    owners = made(
        consent_id=None, property_id=uuid4(), inspection_id=uuid4(), target_kind="department"
    )
    await feeder().feed(owners)
    department = caller("department", owners.organization_id)
    answer = await department.get(f"/offers/{owners.offer_id}/property")
    assert answer.json() == {"address": {"line1": "1 Example Street"}}
    [(_, body)] = intake.asked
    assert body == {"property_id": str(owners.property_id), "with_findings": False}
    await admin.execute(
        "INSERT INTO partner.organization (agency_id, id, name, sort_name, kind, agreement_active,"
        " enforcement, participants, document, source, hash, version, updated_at) VALUES"
        " ('test-city', $1, 'Fire', 'fire', 'department', true, false, '[]', '{}', 'x', '', 1,"
        " now())",
        owners.organization_id,
    )
    await department.get(f"/offers/{owners.offer_id}/property")
    assert intake.asked[-1][1]["with_findings"] is True


async def test_a_residents_address_only_once_accepted(an_offer, food_bank, intake) -> None:
    path = f"/offers/{an_offer.offer_id}/property"
    assert (await food_bank.get(path)).status_code == 404
    await food_bank.do(an_offer.offer_id, "accept")
    assert (await food_bank.get(path)).status_code == 200
    assert intake.asked[-1][1]["consent_id"] == str(an_offer.consent_id)
    undone = await food_bank.do(an_offer.offer_id, "undo-accept", version=2)
    assert undone.json()["code"] == "facts-read"
