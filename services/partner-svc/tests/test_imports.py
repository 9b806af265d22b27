"""Directories through the API: all or nothing, and again is an update."""

import io
import json
import zipfile
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from event_schemas.directory import OrganizationChanged, ServiceChanged
from handoff_kit.testing import said

ORGANIZATION = "3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10001"
SERVICE = "3b5f0a52-5d5c-4f0e-8a44-5a0f6ad10002"


def a_directory(**service) -> bytes:
    """One organization with one service, in HSDS 3 JSON, with fields of ours."""
    return json.dumps(
        [
            {
                "id": SERVICE,
                "name": "Groceries",
                "status": "active",
                "interpretation_services": "by telephone",
                "languages": [{"id": str(UUID(int=9)), "name": "Spanish", "code": "es"}],
                "service_areas": [
                    {"id": str(UUID(int=8)), "extent": "02150", "extent_type": "text"}
                ],
                "x_handoff": {"needs": ["food-insecurity"]},
                "organization": {
                    "id": ORGANIZATION,
                    "name": "Example Pantry",
                    "description": "Food",
                    "x_handoff": {"agreement": "active", "kind": "partner"},
                },
            }
            | service
        ]
    ).encode()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def folder_zip(folder: Path) -> bytes:
    return zipped({path.name: path.read_bytes() for path in sorted(folder.glob("*.*"))})


async def test_an_import_is_kept_and_said(coordinator, db) -> None:
    answer = await coordinator.upload(a_directory(), source="pantry", trusted=True)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["organizations"], body["services"], body["refused"]) == (1, 1, 0)
    assert body["changed"] == {"organizations": 1, "services": 1, "locations": 0}
    organization, service = [s.data for s in await said(db)]
    assert isinstance(organization, OrganizationChanged)
    assert (organization.agreement_active, organization.kind) == (True, "partner")
    assert isinstance(service, ServiceChanged)
    assert str(service.service_id) == SERVICE
    assert (service.needs, service.areas, service.area_unknown) == (
        ["food-insecurity"],
        ["postcode:02150"],
        False,
    )
    assert (service.languages, service.interpretation) == (["es"], True)
    assert service.version == organization.version == 1


async def test_a_strangers_file_grants_itself_no_agreement(coordinator, db) -> None:
    answer = await coordinator.upload(a_directory(), source="pantry")
    assert answer.json()["agreements_claimed"] == 1
    assert (await said(db))[0].data.agreement_active is False
    listed = (await coordinator.get("/organizations")).json()["items"]
    assert [(o["name"], o["agreement_active"]) for o in listed] == [("Example Pantry", False)]


async def test_the_same_again_changes_nothing(coordinator, db) -> None:
    for _ in range(2):
        answer = await coordinator.upload(a_directory(), source="pantry", trusted=True)
    assert answer.json()["changed"] == {"organizations": 0, "services": 0, "locations": 0}
    assert len(await said(db)) == 2


async def test_a_change_is_an_update_of_that_entry_alone(coordinator, db) -> None:
    await coordinator.upload(a_directory(), source="pantry", trusted=True)
    await coordinator.upload(a_directory(name="Food boxes"), source="pantry", trusted=True)
    events = [s.data for s in await said(db)]
    assert len(events) == 3
    assert (events[2].name, events[2].version) == ("Food boxes", 2)
    service = await coordinator.get(f"/services/{SERVICE}")
    assert service.headers["etag"] == '"2"'


async def test_an_agreement_given_here_survives_a_strangers_update(coordinator) -> None:
    await coordinator.upload(a_directory(), source="pantry")
    path = f"/organizations/{ORGANIZATION}"
    put = await coordinator.put(path, {"name": "Example Pantry", "agreement_active": True}, 1)
    assert put.status_code == 200, put.text
    changed = a_directory(organization={"id": ORGANIZATION, "name": "Example Pantry, Inc."})
    await coordinator.upload(changed, source="pantry")
    body = (await coordinator.get(path)).json()
    assert (body["name"], body["agreement_active"]) == ("Example Pantry, Inc.", True)


async def test_a_trial_keeps_nothing(coordinator, db, admin) -> None:
    answer = await coordinator.upload(a_directory(), source="pantry", dry_run=True)
    assert answer.json()["dry_run"] is True
    assert answer.json()["services"] == 1
    assert await said(db) == []
    assert await admin.fetchval("SELECT count(*) FROM partner.organization") == 0
    assert await admin.fetchval("SELECT count(*) FROM partner.directory_import") == 0


@pytest.mark.parametrize(
    "content", [b"not a directory", b'[{"id": "1", "name": "half', b"PK\x03\x04broken"]
)
async def test_what_cannot_be_read_is_refused_whole(coordinator, db, admin, content) -> None:
    answer = await coordinator.upload(content, source="pantry")
    assert answer.status_code == 422
    assert answer.json()["code"] == "directory-refused"
    assert len(answer.json()["detail"]) > 10
    assert await said(db) == []
    assert await admin.fetchval("SELECT count(*) FROM partner.service") == 0


async def test_more_than_half_unusable_is_refused_whole(coordinator, admin) -> None:
    services = [
        {"id": str(uuid4()), "name": "", "organization": {"id": ORGANIZATION, "name": "Example"}}
        for _ in range(3)
    ]
    answer = await coordinator.upload(json.dumps(services).encode(), source="pantry")
    assert answer.status_code == 422
    assert await admin.fetchval("SELECT count(*) FROM partner.organization") == 0


async def test_report_rows_are_paged(coordinator) -> None:
    services = json.loads(a_directory()) + [
        {
            "id": str(uuid4()),
            "name": f"Service {n}",
            "status": "open",
            "organization": {"id": ORGANIZATION, "name": "Example Pantry"},
        }
        for n in range(5)
    ]
    body = (await coordinator.upload(json.dumps(services).encode(), source="pantry")).json()
    rows = body["report"]["items"]
    assert len(rows) >= 5
    assert {row["kind"] for row in rows} == {"mended"}
    seen, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = (
            await coordinator.get(f"/directory/imports/{body['import_id']}/rows", limit=2, **more)
        ).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == rows


async def test_a_zip_may_bring_its_terms(coordinator, db) -> None:
    terms = [
        {
            "id": str(UUID(int=7)),
            "link_entity": "service",
            "taxonomy_term": {"id": str(UUID(int=6)), "name": "Mending", "code": "mend"},
        }
    ]
    feed = json.loads(a_directory(attributes=terms))
    del feed[0]["x_handoff"]
    mapping = b"name: ours\nterms:\n  Mending: [home-repair]\n"
    content = zipped({"services.json": json.dumps(feed).encode(), "handoff-terms.yaml": mapping})
    answer = await coordinator.upload(content, "application/zip", source="pantry")
    assert answer.status_code == 200, answer.text
    assert (await said(db))[1].data.needs == ["home-repair"]
    bad = zipped({"services.json": b"[]", "handoff-terms.yaml": b"name: x\nterm: {}\n"})
    refused = await coordinator.upload(bad, "application/zip", source="pantry")
    assert refused.status_code == 422
    assert "handoff-terms.yaml" in refused.json()["detail"]


@pytest.mark.parametrize(
    "odd",
    [
        {"description": "nul \x00 in it", "x_odd": {"a\x00": ["\x00"]}},
        {"x_odd": "\ud800 alone", "description": "\ud800 alone"},
        {"x_odd": 10**30, "minimum_age": 10**30},
        {"capacities": [{"id": str(UUID(int=3)), "available": 10**15, "updated": "2026-01-01"}]},
        {"capacities": [{"id": str(UUID(int=3)), "available": 1, "updated": "0001-01-01"}]},
        {"assured_date": "9999-12-31"},
        {"name": "x" * 5000},
    ],
)
async def test_odd_values_of_a_feed_are_kept_or_left_out(coordinator, db, odd) -> None:
    answer = await coordinator.upload(a_directory(**odd), source="pantry")
    assert answer.status_code == 200, answer.text
    assert (await coordinator.get(f"/services/{SERVICE}")).status_code == 200
    again = (await coordinator.upload(a_directory(**odd), source="pantry")).json()
    assert again["changed"]["services"] == 0


async def test_who_may_import(coordinator, food_bank, caller) -> None:
    assert (await food_bank.upload(a_directory(), source="pantry")).status_code == 403
    wrong = await coordinator.upload(a_directory(), "application/json", source="pantry")
    assert wrong.status_code == 415
    assert (await coordinator.upload(b"", source="pantry")).status_code == 422
    assert (await coordinator.upload(a_directory(), source="no such name")).status_code == 422
    done = (await coordinator.upload(a_directory(), source="pantry")).json()
    stranger = caller("coordinator", agency="elsewhere")
    for path in (
        f"/directory/imports/{done['import_id']}/rows",
        f"/organizations/{ORGANIZATION}",
        f"/services/{SERVICE}",
    ):
        assert (await stranger.get(path)).status_code == 404
        assert (await coordinator.get(path)).status_code == 200
    assert (await stranger.get("/services")).json()["items"] == []


async def test_a_confidential_place_is_not_shown(coordinator) -> None:
    places = [
        {
            "id": str(UUID(int=20 + n)),
            "location": {
                "id": str(UUID(int=30 + n)),
                "name": name,
                "location_type": "physical",
                "addresses": [
                    {
                        "id": str(UUID(int=40 + n)),
                        "address_1": f"{n} Example Street",
                        "city": "Demo",
                        "state_province": "MA",
                        "postal_code": "02150",
                        "country": "US",
                        "address_type": "physical",
                    }
                ],
                **more,
            },
        }
        for n, (name, more) in enumerate(
            [
                ("Office", {}),
                ("Shelter (confidential location)", {"description": "Confidential address"}),
            ]
        )
    ]
    feed = a_directory(service_at_locations=places)
    assert (await coordinator.upload(feed, source="pantry")).status_code == 200
    text = (await coordinator.get(f"/services/{SERVICE}")).text
    assert "0 Example Street" in text
    assert "1 Example Street" not in text


@pytest.mark.slow
async def test_baltimore_twice(coordinator, db, real_data) -> None:
    """1,876 real services; the second import of the same files changes and says nothing."""
    folder = real_data / "02_hsds" / "baltimore_charmcare_ohana_csv_real"
    content = folder_zip(folder)
    first = await coordinator.upload(content, "application/zip", source="charmcare")
    assert first.status_code == 200, first.text
    body = first.json()
    assert body["format"] == "ohana"
    assert body["services"] + body["services_refused"] == 1876
    assert body["changed"]["services"] == body["services"] > 1500
    assert body["changed"]["organizations"] == body["organizations"] > 500
    events = await said(db)
    assert len(events) == body["services"] + body["organizations"]
    again = (await coordinator.upload(content, "application/zip", source="charmcare")).json()
    assert again["changed"] == {"organizations": 0, "services": 0, "locations": 0}
    assert len(await said(db)) == len(events)
