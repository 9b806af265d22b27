"""Who may no longer come in is told nothing more, and sets nothing up any more."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from event_schemas.access import ClientRevoked, PersonDisabled
from handoff_kit.testing import said

WEBHOOKS = "/notify/v1/webhooks"
PREFERENCES = "/notify/v1/preferences"
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def caller(signer) -> Callable[..., dict[str, str]]:
    """Headers of a partner's client, which may speak for a person."""

    def make(client_id: str, organization: UUID, subject: str | None = None) -> dict[str, str]:
        token = signer.issue(
            subject=subject or client_id,
            agency="test-city",
            roles=["partner"],
            client_id=client_id,
            organization=str(organization),
        )
        return {"authorization": f"Bearer {token}"}

    return make


async def tell_offer(group: Any, case: Any) -> None:
    await group.feed(case.granted(), case.requested())
    await group.feed(case.made(), source="/handoff/referral")


async def a_webhook(client: Any, headers: dict[str, str]) -> dict[str, Any]:
    made = await client.post(WEBHOOKS, json={"url": URL}, headers=headers)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def deliveries(admin: Any) -> dict[UUID | None, tuple[str, str | None]]:
    rows = await admin.fetch("SELECT endpoint_id, status, reason FROM notify.delivery")
    return {row["endpoint_id"]: (row["status"], row["reason"]) for row in rows}


async def test_a_revoked_clients_webhooks_are_off_and_what_waits_is_cancelled(
    client, feeder, a_case, caller, admin, db
) -> None:
    case, gone, stays = a_case(), str(uuid4()), str(uuid4())
    off = await a_webhook(client, caller(gone, case.partner))
    on = await a_webhook(client, caller(stays, case.partner))
    group = feeder()
    await tell_offer(group, case)
    await group.feed(ClientRevoked(client_id=gone, at=NOW), source="/handoff/portal")
    assert await deliveries(admin) == {
        UUID(off["id"]): ("cancelled", "endpoint-disabled"),
        UUID(on["id"]): ("pending", None),
    }
    theirs = caller(stays, case.partner)
    listed = (await client.get(WEBHOOKS, headers=theirs)).json()["items"]
    assert {(w["id"], w["enabled"], w["disabled_reason"]) for w in listed} == {
        (off["id"], False, "client-revoked"),
        (on["id"], True, None),
    }
    assert [e.type for e in await said(db)] == [
        "handoff.endpoint.disabled.v1",
        "handoff.delivery.failed.v1",
    ]
    await tell_offer(group, a_case(partner=case.partner))
    every = await admin.fetch("SELECT status FROM notify.delivery ORDER BY status")
    assert [row["status"] for row in every] == ["cancelled", "pending", "pending"]
    feed = (await client.get("/notify/v1/feed", headers=theirs)).json()["items"]
    assert "endpoint.disabled" in {item["type"] for item in feed}


async def test_a_token_that_outlives_its_client_sets_nothing_up(
    client, feeder, a_case, caller
) -> None:
    case, gone = a_case(), str(uuid4())
    mine = caller(gone, case.partner)
    hook = await a_webhook(client, mine)
    await feeder().feed(ClientRevoked(client_id=gone, at=NOW), source="/handoff/portal")
    refused = await client.post(WEBHOOKS, json={"url": URL}, headers=mine)
    assert refused.status_code == 401
    on = {"url": URL, "types": [], "enabled": True}
    place = f"{WEBHOOKS}/{hook['id']}"
    refused = await client.put(place, json=on, headers=mine | {"if-match": "*"})
    assert refused.status_code == 401
    mail = {"email": "other@partner.example", "language": "en", "channels": ["email"]}
    refused = await client.put(
        f"{PREFERENCES}?of=organization", json=mail, headers=mine | {"if-match": "*"}
    )
    assert refused.status_code == 401
    colleague = caller(str(uuid4()), case.partner)
    again = await client.put(place, json=on, headers=colleague | {"if-match": "*"})
    assert again.json()["enabled"]


async def test_whose_address_it_is_says_who_set_it_last(client, feeder, a_case, caller) -> None:
    case, first, second = a_case(), str(uuid4()), str(uuid4())
    hook = await a_webhook(client, caller(first, case.partner))
    place, theirs = f"{WEBHOOKS}/{hook['id']}", caller(second, case.partner)
    other = {"url": f"{URL}/2", "types": [], "enabled": True}
    await client.put(place, json=other, headers=theirs | {"if-match": "*"})
    group = feeder()
    await group.feed(ClientRevoked(client_id=first, at=NOW), source="/handoff/portal")
    assert (await client.get(place, headers=theirs)).json()["enabled"]
    await group.feed(ClientRevoked(client_id=second, at=NOW), source="/handoff/portal")
    assert not (await client.get(place, headers=theirs)).json()["enabled"]


async def test_a_disabled_persons_webhooks_and_mail_stop(
    client, feeder, a_case, caller, admin
) -> None:
    case, person, tablet = a_case(), uuid4(), str(uuid4())
    mine = caller(tablet, case.partner, subject=str(person))
    hook = await a_webhook(client, mine)
    mail = {"email": "p1@partner.example", "language": "en", "channels": ["feed", "email"]}
    put = await client.put(PREFERENCES, json=mail, headers=mine | {"if-match": "*"})
    assert put.status_code == 200
    group = feeder()
    await tell_offer(group, case)
    assert {d[0] for d in (await deliveries(admin)).values()} == {"pending"}
    await group.feed(PersonDisabled(person_id=person, at=NOW), source="/handoff/portal")
    assert await deliveries(admin) == {
        UUID(hook["id"]): ("cancelled", "endpoint-disabled"),
        None: ("cancelled", "person-disabled"),
    }
    await tell_offer(group, a_case(partner=case.partner))
    assert await admin.fetchval("SELECT count(*) FROM notify.delivery") == 2


async def test_a_tablet_is_shut_out_without_its_person(
    client, feeder, a_case, caller, admin
) -> None:
    case, person, lost, kept = a_case(), uuid4(), str(uuid4()), str(uuid4())
    await a_webhook(client, caller(lost, case.partner, subject=str(person)))
    mail = {"email": "p1@partner.example", "language": "en", "channels": ["feed", "email"]}
    mine = caller(kept, case.partner, subject=str(person))
    await client.put(PREFERENCES, json=mail, headers=mine | {"if-match": "*"})
    group = feeder()
    await group.feed(ClientRevoked(client_id=lost, at=NOW), source="/handoff/portal")
    await tell_offer(group, case)
    assert await deliveries(admin) == {None: ("pending", None)}


async def test_an_organizations_mail_to_an_address_of_a_revoked_client_stops(
    client, feeder, a_case, caller, admin
) -> None:
    case, gone = a_case(), str(uuid4())
    mine = caller(gone, case.partner)
    mail = {"email": "p1@partner.example", "language": "en", "channels": ["feed", "email"]}
    place = f"{PREFERENCES}?of=organization"
    await client.put(place, json=mail, headers=mine | {"if-match": "*"})
    group = feeder()
    await tell_offer(group, case)
    await group.feed(ClientRevoked(client_id=gone, at=NOW), source="/handoff/portal")
    assert await deliveries(admin) == {None: ("cancelled", "client-revoked")}
    colleague = caller(str(uuid4()), case.partner)
    shown = (await client.get(place, headers=colleague)).json()
    assert (shown["email"], shown["channels"]) == (None, ["feed"])


async def test_of_another_agency_nothing_ends(client, feeder, a_case, caller, admin) -> None:
    case, same = a_case(), str(uuid4())
    await a_webhook(client, caller(same, case.partner))
    revoked = ClientRevoked(client_id=same, at=NOW)
    await feeder(agency="elsewhere").feed(revoked, source="/handoff/portal")
    assert await admin.fetchval("SELECT enabled FROM notify.endpoint")
