"""What a source's next feed no longer holds, and ids that another source holds."""

import json
from uuid import UUID

import pytest
from handoff_kit.testing import said

ORGANIZATION = "3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10001"
IDS = [str(UUID(int=(0xAB << 64) + n)) for n in range(5)]
NAMES = ["Bread", "Soup", "Rides", "Coats", "Advice"]


def a_feed(*which: int, **more) -> bytes:
    """The services of these numbers, all of one organization and at one place."""
    place = {"id": str(UUID(int=77)), "location_type": "physical", "name": "Hall"}
    services = [
        {
            "id": IDS[n],
            "name": NAMES[n],
            "status": "active",
            "organization": {"id": ORGANIZATION, "name": "Example Pantry"},
            "service_at_locations": [{"id": str(UUID(int=80 + n)), "location": place}],
        }
        | more
        for n in which
    ]
    return json.dumps(services).encode()


@pytest.fixture
async def three(coordinator) -> None:
    """Source "feed" has the services 0, 1 and 2."""
    assert (await coordinator.upload(a_feed(0, 1, 2), source="feed")).status_code == 200


async def statuses(coordinator) -> dict[str, str]:
    items = (await coordinator.get("/services")).json()["items"]
    return {item["name"]: item["status"] for item in items}


async def test_a_service_that_left_is_offered_no_more_and_said(three, coordinator, db) -> None:
    before = len(await said(db))
    answer = await coordinator.upload(a_feed(0, 1), source="feed")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["left"], body["changed"]["services"], body["services"]) == (1, 1, 2)
    (row,) = body["report"]["items"]
    assert (row["n"], row["kind"], row["table"], row["row"]) == (1, "left", "services", None)
    assert (row["id"], row["field"]) == (IDS[2], "status")
    assert row["reason"] == "'Rides' is no longer in the feed; inactive, so not offered"
    (event,) = [s.data for s in (await said(db))[before:]]
    assert (str(event.service_id), event.status, event.name) == (IDS[2], "inactive", "Rides")
    shown = (await coordinator.get(f"/services/{IDS[2]}")).json()
    assert shown["status"] == "inactive"
    assert shown["left_at"] is not None
    assert shown["service_at_locations"][0]["location"]["name"] == "Hall"
    rows = (await coordinator.get(f"/directory/imports/{body['import_id']}/rows")).json()
    assert rows["items"] == [row]


async def test_the_same_without_it_again_changes_and_says_nothing(three, coordinator, db) -> None:
    await coordinator.upload(a_feed(0, 1), source="feed")
    before = len(await said(db))
    again = (await coordinator.upload(a_feed(0, 1), source="feed")).json()
    assert (again["left"], again["report"]["items"]) == (0, [])
    assert again["changed"] == {"organizations": 0, "services": 0, "locations": 0}
    assert len(await said(db)) == before


@pytest.mark.parametrize("more", [{}, {"description": "By van"}])
async def test_what_comes_back_is_active_again(three, coordinator, db, more) -> None:
    await coordinator.upload(a_feed(0, 1), source="feed")
    back = (await coordinator.upload(a_feed(0, 1, 2, **more), source="feed")).json()
    assert back["left"] == 0
    assert back["changed"]["services"] == (3 if more else 1)
    shown = (await coordinator.get(f"/services/{IDS[2]}")).json()
    assert (shown["status"], shown["left_at"], shown["version"]) == ("active", None, 3)
    assert shown.get("description") == more.get("description")
    assert [s.data.status for s in await said(db) if IDS[2] in str(s.data)][-2:] == [
        "inactive",
        "active",
    ]


async def test_what_was_said_by_hand_comes_back_too(three, coordinator) -> None:
    new = {"name": "Rides", "status": "active", "needs": ["transportation-insecurity"]}
    assert (await coordinator.put(f"/services/{IDS[2]}", new, 1)).status_code == 200
    await coordinator.upload(a_feed(0, 1), source="feed")
    await coordinator.upload(a_feed(0, 1, 2), source="feed")
    shown = (await coordinator.get(f"/services/{IDS[2]}")).json()
    assert (shown["status"], shown["needs"]) == ("active", ["transportation-insecurity"])


async def test_a_word_by_hand_after_it_left_is_the_last(three, coordinator) -> None:
    await coordinator.upload(a_feed(0, 1), source="feed")
    path = f"/services/{IDS[2]}"
    assert (await coordinator.put(path, {"name": "Rides", "status": "active"}, 2)).is_success
    again = (await coordinator.upload(a_feed(0, 1), source="feed")).json()
    assert again["left"] == 0
    assert (await statuses(coordinator))["Rides"] == "active"
    assert (await coordinator.put(path, {"name": "Rides", "status": "defunct"}, 3)).is_success
    await coordinator.upload(a_feed(0, 1, 2), source="feed")
    assert (await statuses(coordinator))["Rides"] == "defunct"


async def test_most_of_a_source_leaves_only_when_allowed(three, coordinator, db, admin) -> None:
    before = len(await said(db))
    answer = await coordinator.upload(a_feed(0), source="feed")
    assert answer.status_code == 422
    assert answer.json()["code"] == "directory-refused"
    detail = answer.json()["detail"]
    assert "2 of the 3 active services of source 'feed'" in detail
    assert "allow_leaving=true (--allow-leaving)" in detail
    assert "partial=true (--partial)" in detail
    assert len(await said(db)) == before
    assert await admin.fetchval("SELECT count(*) FROM partner.directory_import") == 1
    assert set((await statuses(coordinator)).values()) == {"active"}
    trial = await coordinator.upload(a_feed(0), source="feed", dry_run=True)
    assert trial.status_code == 422
    allowed = await coordinator.upload(a_feed(0), source="feed", allow_leaving=True)
    assert allowed.json()["left"] == 2
    assert await statuses(coordinator) == {
        "Bread": "active",
        "Soup": "inactive",
        "Rides": "inactive",
    }


async def test_of_a_partial_feed_nothing_leaves(three, coordinator) -> None:
    answer = await coordinator.upload(a_feed(3), source="feed", partial=True)
    body = answer.json()
    assert (body["left"], body["absent"]) == (0, {"organizations": 0, "locations": 0})
    assert set((await statuses(coordinator)).values()) == {"active"}
    both = await coordinator.upload(a_feed(3), source="feed", partial=True, allow_leaving=True)
    assert both.status_code == 422
    assert both.json()["errors"][0]["field"] == "allow_leaving"


async def test_a_trial_tells_what_would_leave(three, coordinator, db) -> None:
    before = len(await said(db))
    body = (await coordinator.upload(a_feed(0, 1), source="feed", dry_run=True)).json()
    assert body["left"] == 1
    assert [(r["kind"], r["id"]) for r in body["report"]["items"]] == [("left", IDS[2])]
    assert len(await said(db)) == before
    assert set((await statuses(coordinator)).values()) == {"active"}


async def test_a_service_that_the_feed_holds_and_spoils_did_not_leave(three, coordinator) -> None:
    services = json.loads(a_feed(0, 1, 2))
    services[2]["name"] = ""
    body = (await coordinator.upload(json.dumps(services).encode(), source="feed")).json()
    assert (body["left"], body["services_refused"]) == (0, 1)
    assert (await statuses(coordinator))["Rides"] == "active"


async def test_other_sources_and_agencies_are_none_of_its_business(
    three, coordinator, caller
) -> None:
    elsewhere = caller("coordinator", agency="elsewhere")
    assert (await elsewhere.upload(a_feed(0, 1), source="feed")).json()["left"] == 0
    other = {"organization": {"id": str(UUID(int=5)), "name": "Other"}}
    body = (await coordinator.upload(a_feed(3, **other), source="second")).json()
    assert body["left"] == 0
    assert set((await statuses(coordinator)).values()) == {"active"}


async def test_organizations_and_places_that_left_stay_and_are_counted(three, coordinator) -> None:
    other = {
        "organization": {"id": str(UUID(int=5)), "name": "Other"},
        "service_at_locations": [],
    }
    await coordinator.upload(a_feed(3, **other), source="feed", partial=True)
    body = (await coordinator.upload(a_feed(0, 1, 2), source="feed")).json()
    assert (body["left"], body["absent"]) == (1, {"organizations": 1, "locations": 0})
    names = [o["name"] for o in (await coordinator.get("/organizations")).json()["items"]]
    assert names == ["Example Pantry", "Other"]


# another source's ids


async def test_another_source_takes_no_record_over(three, coordinator, db) -> None:
    before = len(await said(db))
    organization = {"id": ORGANIZATION, "name": "Taken too"}
    services = json.loads(a_feed(2, 3, 4, organization=organization))
    services[0]["name"] = "Taken"
    body = (await coordinator.upload(json.dumps(services).encode(), source="second")).json()
    held = "source 'feed' holds this id; its record stays as it is"
    found = [r for r in body["report"]["items"] if r["reason"] == held]
    assert {(r["kind"], r["table"], r["row"], r["id"], r["field"]) for r in found} == {
        ("refused", "organizations", 1, ORGANIZATION, "id"),
        ("refused", "services", 1, IDS[2], "id"),
        ("refused", "locations", 1, str(UUID(int=77)), "id"),
    }
    assert (body["organizations"], body["services"], body["services_refused"]) == (0, 2, 1)
    assert body["refused"] == 3
    shown = (await coordinator.get(f"/services/{IDS[2]}")).json()
    assert (shown["name"], shown["source"], shown["version"]) == ("Rides", "feed", 1)
    kept = (await coordinator.get(f"/organizations/{ORGANIZATION}")).json()
    assert (kept["name"], kept["source"]) == ("Example Pantry", "feed")
    # What the second source has alone is its own, at the organization that is there.
    assert [s.data.name for s in (await said(db))[before:]] == ["Coats", "Advice"]
    # And the first source's next feed finds nothing of its own gone.
    assert (await coordinator.upload(a_feed(0, 1, 2), source="feed")).json()["left"] == 0


async def test_a_place_that_the_second_source_hides_is_not_shown_by_it(three, coordinator) -> None:
    place = {"id": str(UUID(int=77)), "location_type": "physical", "confidential": True}
    at = [{"id": str(UUID(int=90)), "location": place}]
    feed = a_feed(3, service_at_locations=at)
    body = (await coordinator.upload(feed, source="second")).json()
    reasons = {row["table"]: row["reason"] for row in body["report"]["items"]}
    assert "confidential here, so no service of this feed shows it" in reasons["locations"]
    assert "confidential" not in reasons["organizations"]
    assert (await coordinator.get(f"/services/{IDS[3]}")).json()["service_at_locations"] == []
    shown = (await coordinator.get(f"/services/{IDS[0]}")).json()["service_at_locations"]
    assert shown[0]["location"]["name"] == "Hall"
    again = (await coordinator.upload(feed, source="second")).json()
    assert again["changed"]["services"] == 0


async def test_of_a_feed_under_another_name_only_what_is_new_is_taken(three, coordinator) -> None:
    for dry_run in (True, False):
        answer = await coordinator.upload(a_feed(0, 1, 3), source="feed-2", dry_run=dry_run)
        body = answer.json()
        assert (body["source"], body["held"], body["services"]) == ("feed-2", {"feed": 2}, 1)
        assert (body["left"], body["services_refused"]) == (0, 2)
    shown = (await coordinator.get("/services")).json()["items"]
    assert {s["name"]: (s["source"], s["version"]) for s in shown} == {
        **dict.fromkeys(NAMES[:3], ("feed", 1)),
        "Coats": ("feed-2", 1),
    }


async def test_a_feed_whose_name_is_a_guess_is_its_holders_next(three, coordinator) -> None:
    services = json.loads(a_feed(0, 1, 3))
    services[2] |= {"id": "coats", "service_at_locations": []}
    feed = json.dumps(services).encode()
    tried = await coordinator.upload(feed, source="feed-2", find_source=True, dry_run=True)
    assert (tried.json()["source"], tried.json()["left"]) == ("feed", 1)
    body = (await coordinator.upload(feed, source="feed-2", find_source=True)).json()
    assert (body["source"], body["left"], body["services_refused"]) == ("feed", 1, 0)
    shown = (await coordinator.get("/services")).json()["items"]
    assert {s["name"]: s["source"] for s in shown} == dict.fromkeys(NAMES[:4], "feed")
    # Also an id that is made of the source's name is the holder's: the next feed finds it.
    again = (await coordinator.upload(feed, source="feed")).json()
    assert again["changed"] == {"organizations": 0, "services": 0, "locations": 0}


@pytest.mark.parametrize("which", [(3, 4), (2, 3), (0, 3, 4)])
async def test_a_guess_stands_where_no_other_holds_most(three, coordinator, which) -> None:
    feed = a_feed(*which)
    body = (await coordinator.upload(feed, source="second", find_source=True)).json()
    assert body["source"] == "second"
    again = (await coordinator.upload(feed, source="second", find_source=True)).json()
    assert (again["source"], again["changed"]["services"]) == ("second", 0)


async def test_a_part_of_anothers_feed_is_its_next_only_when_that_is_said(
    three, coordinator
) -> None:
    """Else one example that two directories share would end the services of the larger one."""
    body = (await coordinator.upload(a_feed(0), source="second", find_source=True)).json()
    assert (body["source"], body["held"], body["left"]) == ("second", {"feed": 1}, 0)
    assert set((await statuses(coordinator)).values()) == {"active"}
    for more, left in (({"partial": True}, 0), ({"allow_leaving": True}, 2)):
        body = (
            await coordinator.upload(a_feed(0), source="second", find_source=True, **more)
        ).json()
        assert (body["source"], body["held"], body["left"]) == ("feed", {}, left)


# names


@pytest.mark.parametrize("name", ["Ri\u202esed", "Rides\u200b", "Ri\x07des", "Ri\ndes"])
async def test_a_public_name_that_cannot_be_seen_is_refused(three, coordinator, name) -> None:
    service = {"name": "Rides", "status": "active"}
    for path, body, field in (
        (f"/services/{IDS[0]}", service | {"name": name}, "name"),
        (f"/services/{IDS[0]}", service | {"alternate_name": name}, "alternate_name"),
        (f"/organizations/{ORGANIZATION}", {"name": name}, "name"),
        (f"/services/{IDS[0]}/capacity", {"available": 1, "unit": name}, "unit"),
    ):
        answer = await coordinator.put(path, body, 1)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]
