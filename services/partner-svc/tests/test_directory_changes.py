"""What a partner and a coordinator say of an organization, a service and its capacity."""

import json
from uuid import UUID

import pytest
from handoff_kit.testing import said

OWN = UUID("3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10001")
OTHER = UUID("3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10009")
SERVICE = UUID("3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10002")
FEED = json.dumps(
    [
        {
            "id": str(SERVICE),
            "name": "Groceries",
            "status": "active",
            "description": "Bags of food",
            "organization": {"id": str(OWN), "name": "Example Pantry"},
        },
        {
            "id": "3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10003",
            "name": "Advice",
            "status": "active",
            "organization": {"id": str(OTHER), "name": "Other Agency"},
        },
    ]
).encode()


@pytest.fixture
async def imported(coordinator) -> None:
    assert (await coordinator.upload(FEED, source="feed")).status_code == 200


@pytest.fixture
def pantry(imported, caller):
    return caller("partner", OWN)


async def test_lists_by_name_with_filters(pantry) -> None:
    organizations = (await pantry.get("/organizations", limit=1)).json()
    assert [o["name"] for o in organizations["items"]] == ["Example Pantry"]
    rest = (await pantry.get("/organizations", cursor=organizations["next_cursor"])).json()
    assert [o["name"] for o in rest["items"]] == ["Other Agency"]
    assert rest["next_cursor"] is None
    services = (await pantry.get("/services", organization_id=str(OWN))).json()["items"]
    assert [s["id"] for s in services] == [str(SERVICE)]
    assert (await pantry.get("/services", need="food-insecurity")).json()["items"] == []


async def test_capacity_is_said_by_the_partner(pantry, coordinator, db) -> None:
    path = f"/services/{SERVICE}/capacity"
    assert (await pantry.put(path, {"available": 3}, None)).status_code == 428
    assert (await pantry.put(path, {}, 1)).status_code == 422
    answer = await pantry.put(path, {"available": 3, "unit": "households"}, 1)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    body = answer.json()
    assert (body["capacity"], body["capacity_available"]) == ("capacity", 3)
    assert body["capacities"][0]["unit"] == {"name": "households"}
    assert (await pantry.put(path, {"available": 0}, 1)).status_code == 412
    assert (await pantry.put(path, {"status": "waitlist"}, 2)).json()["capacity"] == "waitlist"
    events = [s.data for s in await said(db) if "capacity" in s.type]
    assert [e.capacity for e in events] == ["capacity", "waitlist"]
    assert events[0].version < events[1].version
    # An import that says nothing of capacity leaves what the partner said.
    changed = FEED.replace(b"Groceries", b"Groceries and more")
    assert (await coordinator.upload(changed, source="feed")).status_code == 200
    body = (await pantry.get(f"/services/{SERVICE}")).json()
    assert (body["name"], body["capacity"]) == ("Groceries and more", "waitlist")


async def test_a_service_is_replaced_and_kept_over_the_same_feed(pantry, coordinator, db) -> None:
    new = {
        "name": "Groceries",
        "status": "active",
        "needs": ["food-insecurity"],
        "languages": [{"code": "es"}],
        "service_areas": [{"extent": "02150"}],
        "minimum_age": 18,
    }
    answer = await pantry.put(f"/services/{SERVICE}", new, 1)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["needs"], body["areas"]) == (["food-insecurity"], ["postcode:02150"])
    assert "description" not in body
    event = (await said(db))[-1].data
    assert (event.needs, event.languages, event.minimum_age) == (["food-insecurity"], ["es"], 18)
    again = (await coordinator.upload(FEED, source="feed")).json()
    assert again["changed"]["services"] == 0
    assert (await pantry.get(f"/services/{SERVICE}")).json()["needs"] == ["food-insecurity"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "status": "open"}, "status"),
        ({"name": "x", "status": "active", "needs": ["magic"]}, "needs.0"),
        ({"name": "x", "status": "active", "colour": "red"}, "colour"),
        ({"name": "x", "status": "active", "minimum_age": 9, "maximum_age": 3}, "maximum_age"),
    ],
)
async def test_bad_services_are_refused_by_field(pantry, body, field) -> None:
    answer = await pantry.put(f"/services/{SERVICE}", body, 1)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_partner_changes_its_own_alone(pantry, imported, caller, db) -> None:
    before = len(await said(db))
    assert (await pantry.put(f"/organizations/{OTHER}", {"name": "Mine"}, 1)).status_code == 404
    other = caller("partner", OTHER)
    service = {"name": "x", "status": "active"}
    assert (await other.put(f"/services/{SERVICE}", service, 1)).status_code == 404
    capacity = await other.put(f"/services/{SERVICE}/capacity", {"available": 0}, 1)
    assert capacity.status_code == 404
    assert len(await said(db)) == before
    renamed = await pantry.put(f"/organizations/{OWN}", {"name": "Example Pantry, Inc."}, 1)
    assert renamed.json()["name"] == "Example Pantry, Inc."
    assert (await said(db))[-1].data.name == "Example Pantry, Inc."


async def test_standing_is_a_coordinators_to_change(pantry, coordinator, db) -> None:
    path = f"/organizations/{OWN}"
    refused = await pantry.put(path, {"name": "Example Pantry", "agreement_active": True}, 1)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "agreement_active"
    given = {
        "name": "Example Pantry",
        "kind": "case-management",
        "agreement_active": True,
        "participants": [str(OTHER)],
    }
    answer = await coordinator.put(path, given, 1)
    assert (answer.json()["kind"], answer.json()["participants"]) == (
        "case-management",
        [str(OTHER)],
    )
    event = (await said(db))[-1].data
    assert (event.agreement_active, event.participants) == (True, [OTHER])
    kept = await coordinator.put(path, {"name": "Example Pantry"}, 2)
    assert kept.json()["agreement_active"] is True


async def test_case_managers_read_and_do_not_write(imported, caller) -> None:
    manager = caller("case-manager", OWN)
    assert (await manager.get(f"/services/{SERVICE}")).status_code == 200
    assert (
        await manager.put(f"/services/{SERVICE}/capacity", {"available": 1}, 1)
    ).status_code == 403
