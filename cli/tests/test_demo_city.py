"""The demo city's files are what its generator writes, and agree with each other."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from event_schemas.codes import PROPERTY_ONLY, NeedCategory
from event_schemas.inbound import InspectionReported
from handoff_cli.demo_city import catalogue, generate, places, story
from handoff_cli.demo_city.ids import demo_id, organization_id
from handoff_kit.cities import city_folder
from handoff_kit.city import load_city
from handoff_kit.codepack import Finding, assess, load_code_pack
from handoff_kit.yamlfile import load, parse
from intake_svc.handlers.city import ConsentPolicy
from intake_svc.handlers.requests import ReferralIn
from partner_svc.directory import read

PLEDGED = shapely.Point(-71.0328, 42.3918)


@pytest.fixture(scope="module")
def folder() -> Path:
    return city_folder("demo")


@pytest.fixture(scope="module")
def reading(folder: Path) -> Any:
    return read(folder / "directory", source_name="demo-city", terms=None)


def test_the_committed_files_are_the_generated_ones(folder: Path) -> None:
    for name, content in generate.files().items():
        assert (folder / name).read_text("utf-8") == content, f"{name}: run the generator"


def test_the_same_seed_gives_the_same_city_and_another_seed_another() -> None:
    assert generate.files(1) == generate.files(1)
    assert generate.files(1)["areas.geojson"] != generate.files(2)["areas.geojson"]


@pytest.mark.parametrize("seed", range(20))
def test_the_land_is_whole(seed: int) -> None:
    """Districts, tracts and block groups each cover the city, without gap or overlap."""
    land = places.land(seed)
    shapes: dict[str, list[Any]] = {}
    for area in land.areas:
        shape = shapely.from_geojson(json.dumps(places.polygon(area)))
        assert shape.is_valid, area
        shapes.setdefault(area.level, []).append(shape)
    (city,) = shapes["city"]
    for level in ("district", "tract", "block_group"):
        union = shapely.union_all(shapes[level])
        assert sum(s.area for s in shapes[level]) == pytest.approx(union.area)
        assert union.symmetric_difference(city).area == pytest.approx(0, abs=1e-12)
    assert all(city.contains(shapely.Point(p.longitude, p.latitude)) for p in land.properties)


def test_the_city_holds_the_pledged_point(folder: Path) -> None:
    features = json.loads((folder / "areas.geojson").read_text())["features"]
    inside = [
        f["properties"]["level"]
        for f in features
        if shapely.from_geojson(json.dumps(f["geometry"])).contains(PLEDGED)
    ]
    assert sorted(inside) == ["block_group", "city", "district", "tract"]


def test_the_directory_is_read_without_a_complaint(reading: Any) -> None:
    assert reading.report == ()
    assert reading.format == "hsds-3"
    assert len(reading.directory.services) >= 40


def test_three_food_services_serve_everybody(reading: Any, folder: Path) -> None:
    """All of the city, Spanish, no rule, no limit, agreement, participant."""
    organizations = {o["id"]: o for o in reading.directory.organizations}
    hub = organizations[str(organization_id("case-management"))]
    recipients = load(folder / "consent.yaml", ConsentPolicy).recipients()
    good = [
        service
        for service in reading.directory.services
        if "food-insecurity" in service["needs"]
        and [area["name"] for area in service["service_areas"]] == ["Demo City"]
        and "es" in {language["code"] for language in service["languages"]}
        and not {"minimum_age", "maximum_age", "eligibility_description"} & service.keys()
        and not service.get("x_handoff", {}).get("eligibility")
        and "capacities" not in service
        and organizations[service["organization_id"]]["agreement"] == "active"
        and service["organization_id"] in hub["participants"]
        and service["organization_id"] in recipients
    ]
    assert len(good) >= 3


def test_every_kind_of_a_persons_need_has_a_service(reading: Any) -> None:
    served = {need for service in reading.directory.services for need in service["needs"]}
    everybody = frozenset(NeedCategory) - PROPERTY_ONLY - {NeedCategory.UNSPECIFIED}
    assert {str(need) for need in everybody} - {str(n) for n in served} == set()


def test_the_citys_files_name_the_same_organizations(reading: Any, folder: Path) -> None:
    listed = {o["id"] for o in reading.directory.organizations}
    city = load_city(folder)
    consent = load(folder / "consent.yaml", ConsentPolicy)
    hub = next(o for o in reading.directory.organizations if o["kind"] == "case-management")
    assert {str(id_) for id_ in city.organizations.values()} <= listed
    assert city.organizations[city.case_management] == organization_id("case-management")
    assert set(consent.recipients()) == {hub["id"], *hub["participants"]}
    staff: Any = parse(folder / "staff.yaml").value
    assert {seat["organization"] for seat in staff["staff"]} <= listed


def test_the_safe_house_has_no_place_in_any_file(reading: Any) -> None:
    service = next(
        s for s in reading.directory.services if s["id"] == str(demo_id("service", "safe-house"))
    )
    assert not service.get("service_at_locations")
    assert str(demo_id("location", "shelter-network")) not in {
        location["id"] for location in reading.directory.locations
    }


@pytest.mark.parametrize(
    ("scheme", "code", "need"),
    [
        ("demo-housing-code", "H-101", "blocked-egress"),
        ("demo-housing-code", "H-203", "vacant-and-open"),
        ("105-cmr-410", "410.260", "blocked-egress"),
    ],
)
def test_a_finding_opens_a_propertys_need(folder: Path, scheme: str, code: str, need: str) -> None:
    pack = load_code_pack(folder / "codes.yaml")
    word = assess(pack, Finding(scheme, code), datetime(2026, 1, 5, tzinfo=UTC))
    assert need in word.property_needs
    assert word.severity in ("severe", "life-threatening")


def test_the_staff_are_seats_and_no_persons() -> None:
    assert {seat.role for seat in catalogue.STAFF} >= {
        "inspector", "senior-inspector", "ambassador", "case-manager", "coordinator",
        "department", "partner", "city-manager", "records-officer", "it-operator",
    }  # fmt: skip


# The story


def _days(seed: int) -> list[story.Visit]:
    homes = places.land().properties
    return [
        visit
        for number in range(10)
        for visit in story.day(seed, number, datetime(2026, 1, 5, tzinfo=UTC), homes)
    ]


def test_a_seed_tells_one_story() -> None:
    assert _days(3) == _days(3)
    assert _days(3) != _days(4)
    now = datetime(2026, 1, 5, 9, tzinfo=UTC)
    for target in ("partner", "department", "case-manager"):
        assert story.choose(3, "a", target=target, now=now) == story.choose(
            3, "a", target=target, now=now
        )


def test_what_happens_is_what_the_api_takes() -> None:
    for visit in _days(5):
        InspectionReported.model_validate_json(json.dumps(visit.inspection))
        if visit.referral is not None:
            ReferralIn.model_validate(visit.referral)


def test_residents_are_numbers() -> None:
    people = [v.referral["resident"] for v in _days(6) if v.referral and "resident" in v.referral]
    assert people
    assert all(re.fullmatch(r"Resident \d{5}", one["name"]) for one in people)
    assert all(re.fullmatch(r"\+1 617 555 01\d\d", one["phone"]) for one in people)


def test_the_story_has_every_kind_of_turn() -> None:
    now = datetime(2026, 1, 5, 9, tzinfo=UTC)
    choices = [story.choose(1, str(n), target="partner", now=now) for n in range(300)]
    assert {choice.answer for choice in choices} == {"accept", "decline", "silence"}
    assert {step for choice in choices for step, _ in choice.steps} >= {
        "schedule", "no-show", "progress", "complete",
    }  # fmt: skip
    visits = [visit for seed in range(10) for visit in _days(seed)]
    assert any(visit.withdraws for visit in visits)
    assert any(visit.referral and "resident" not in visit.referral for visit in visits)
    assert any(visit.by == "ambassador" for visit in visits)
