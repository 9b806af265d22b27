"""Directories as they are published: every format, dirt included. Counts are of these files."""

import csv
import os
import random
import zipfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from partner_svc.directory import DirectoryRefused, TermMap, load_terms, read

ROOT = Path(__file__).resolve().parents[3]
BALTIMORE = "baltimore_charmcare_ohana_csv_real"


@pytest.fixture(scope="module")
def hsds() -> Path:
    shared = Path(os.environ.get("HANDOFF_SHARED") or ROOT.parent / "shared")
    folder = shared / "data" / "02_hsds"
    if not folder.is_dir():
        message = f"real directories are not there: {folder} (set HANDOFF_SHARED)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="module")
def terms() -> TermMap:
    return load_terms(ROOT / "deploy" / "cities" / "terms" / "open-eligibility.yaml")


@pytest.fixture(scope="module")
def baltimore(hsds, terms):
    return read(hsds / BALTIMORE, source_name="baltimore", terms=terms)


def test_baltimore_is_taken_but_for_the_service_without_a_place(baltimore):
    directory, summary = baltimore.directory, baltimore.summary
    assert baltimore.format == "ohana"
    assert (len(directory.organizations), len(directory.locations)) == (748, 1482)
    assert (summary.services_read, summary.services_refused) == (1876, 1)
    assert len(directory.services) == 1875
    refused = [r for r in baltimore.report if r.kind == "refused"]
    assert [(r.id, r.field) for r in refused if r.table == "services"] == [
        ("144332", "organization_id")
    ]
    # 393 postal addresses name locations that the file does not hold; two phones have no number
    assert Counter(r.table for r in refused) == {"addresses": 393, "phones": 2, "services": 1}
    assert summary.mended == 4052


def test_baltimore_free_text_is_unknown_never_a_pass(baltimore):
    services = baltimore.directory.services
    assert not any({"minimum_age", "maximum_age"} & service.keys() for service in services)
    assert baltimore.summary.unknown_areas == len(services)
    spoken = Counter(
        language.get("code", "unknown")
        for service in services
        for language in service.get("languages", [])
    )
    assert spoken["es"] > 200
    assert spoken["ase"] > 20
    assert spoken["unknown"] > 300  # "Accommodations possible."


def test_baltimore_terms_come_through_the_map_beside_the_data(baltimore):
    needs = Counter(need for service in baltimore.directory.services for need in service["needs"])
    assert needs["food-insecurity"] == 266
    assert needs["housing-instability"] > 150
    foreign = [
        attribute["taxonomy_term"]
        for service in baltimore.directory.services
        for attribute in service.get("attributes", [])
        if attribute["taxonomy_term"]["taxonomy"] == "211"
    ]
    assert len(foreign) == 16634
    assert all(term["name"] == term["code"] for term in foreign)
    assert baltimore.summary.unmapped_terms["PX"] == 753


def test_baltimore_confidential_addresses_are_not_public(baltimore):
    hidden = [location for location in baltimore.directory.locations if not location["public"]]
    assert len(hidden) == 8
    assert not any(address["public"] for loc in hidden for address in loc["addresses"])


def test_baltimore_again_shuffled_and_zipped_is_the_same(hsds, terms, baltimore):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((hsds / BALTIMORE).iterdir(), reverse=True):
            archive.write(path, f"export/{path.name}")
    again = read(packed.getvalue(), source_name="baltimore", terms=terms)
    assert again.directory == baltimore.directory
    assert again.report == baltimore.report
    other = read(packed.getvalue(), source_name="another city", terms=terms)
    mine = {service["id"] for service in baltimore.directory.services}
    assert not mine & {service["id"] for service in other.directory.services}


def test_illinois_output_is_refused_whole_since_most_organizations_are_missing(hsds):
    with pytest.raises(DirectoryRefused) as refused:
        read(hsds / "illinois_legal_aid_hsds1.1_real/output", source_name="il", terms=None)
    assert "341 of 430" in str(refused.value)
    assert "no such row in organizations" in str(refused.value)


def test_illinois_services_of_known_organizations_are_taken(hsds, tmp_path):
    """The rows whose organization is there, of the same files."""
    output = hsds / "illinois_legal_aid_hsds1.1_real/output"
    with (output / "organizations.csv").open(encoding="utf-8-sig", newline="") as file:
        known = {row["id"] for row in csv.DictReader(file)}
    for path in output.glob("*.csv"):
        if path.name != "services.csv":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with (output / "services.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "services.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(row for row in rows if row["organization_id"] in known)
    reading = read(tmp_path, source_name="il", terms=None)
    assert reading.format == "hsds-1"
    assert len(reading.directory.organizations) == 33
    assert len(reading.directory.locations) == 520
    assert len(reading.directory.services) == 89
    assert {service["status"] for service in reading.directory.services} == {"active"}
    hours = Counter(
        (schedule["byday"], schedule["opens_at"])
        for location in reading.directory.locations
        for schedule in location.get("schedules", [])
    )
    assert hours[("MO", "09:00")] > 100
    assert sum(hours.values()) == 1827  # 665 more rows say that a place is closed on that day
    assert any("put as 09:00" in row.reason for row in reading.report)


@pytest.mark.parametrize(
    ("path", "format_", "counts"),
    [
        ("ohana_sample_csv", "ohana", (8, 23, 22)),
        ("hsds_sample_datapackage_2.0/all_resources", "hsds-2", (10, 13, 10)),
        ("hsds_sample_datapackage_2.0/simple", "hsds-2", (10, 13, 10)),
        ("hsds_transformer_base_fixture/output/data", "hsds-1", (5, 19, 19)),
        ("mock_hsds_api_data", "hsds-3", (1, 1, 1)),
        ("oruk_validator_mocks/V3.0-UK-Default", "hsds-3", (10, 1, 1)),
        ("oruk_validator_mocks/V3.0-UK-Default/service_list.json", "hsds-3", (1, 1, 0)),
        ("servicenet_adapter_fixtures/healthleads/complete", "hsds-1", (1, 1, 1)),
        ("servicenet_adapter_fixtures/smcconnect/complete", "ohana", (1, 1, 1)),
        *(
            (f"spec/hsds_{version}/examples/{name}", "hsds-3", counts)
            for version in ("3.0", "3.1-dev")
            for name, counts in (
                ("csv", (1, 1, 1)),
                ("tabular.json", (1, 1, 1)),
                ("service_full.json", (1, 1, 1)),
                ("service_list.json", (1, 1, 0)),
                ("organization_full.json", (1, 1, 1)),
                ("service_at_location_full.json", (1, 1, 1)),
            )
        ),
    ],
)
def test_samples_are_read_whole(hsds, path, format_, counts):
    reading = read(hsds / path, source_name="sample", terms=None)
    directory = reading.directory
    assert reading.format == format_
    assert (
        len(directory.organizations),
        len(directory.services),
        len(directory.locations),
    ) == counts
    assert reading.summary.services_refused == 0


@pytest.mark.parametrize("name", ["csv", "tabular.json", "service_full.json"])
def test_the_same_service_by_csv_and_json(hsds, name):
    reading = read(hsds / "spec/hsds_3.1-dev/examples" / name, source_name="sample", terms=None)
    (service,) = reading.directory.services
    assert service["id"] == "ac148810-d857-441c-9679-408f346de14b"
    assert (service["minimum_age"], service["maximum_age"]) == (12, 100)
    assert service["schedules"][0]["opens_at"] == "10:00"
    assert service["schedules"][0]["byday"] == "TH,FR"
    assert service["languages"][0]["code"] == "ur"
    assert service["service_areas"][0]["extent_type"] == "text"  # "extent" is no GeoJSON
    assert service["phones"][0]["number"] == "+44 1234 234567"
    assert service["cost_options"][0]["amount"] == 35
    assert "latitude" not in reading.directory.locations[0]  # 100, 101


def test_capacity_keeps_its_unit_and_time(hsds):
    path = hsds / "spec/hsds_3.1-dev/examples/service_full.json"
    (service,) = read(path, source_name="sample", terms=None).directory.services
    (capacity,) = service["capacities"]
    assert (capacity["available"], capacity["maximum"]) == (12, 10)
    assert capacity["updated"] == "2024-09-25T14:23:06.5+01:00"
    assert capacity["unit"]["name"] == "Kilogram"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("servicenet_adapter_fixtures/icarol", "unknown format"),
        ("servicenet_adapter_fixtures/laac/complete.json", "unknown format"),
        ("servicenet_adapter_fixtures/sheltertech", "unknown format"),
        ("servicenet_adapter_fixtures/linkforcare/complete.xlsx", "office document"),
        ("hsds_transformer_base_fixture", "several directories (input, output/data)"),
        ("oruk_validator_mocks/V3.0-UK-Test", "more than half"),
        ("spec/hsds_3.1-dev/examples/organization_list.json", "'services' is missing"),
    ],
)
def test_what_is_none_of_the_formats_is_refused_with_its_reason(hsds, path, said):
    with pytest.raises(DirectoryRefused) as refused:
        read(hsds / path, source_name="sample", terms=None)
    assert said in str(refused.value)


def test_order_of_rows_does_not_matter(hsds, terms, tmp_path, baltimore):
    """Lines of the tables without quoted line breaks are shuffled."""
    for path in (hsds / BALTIMORE).iterdir():
        content = path.read_bytes()
        if path.name in ("phones.csv", "addresses.csv", "contacts.csv", "categories.csv"):
            header, *lines = content.splitlines(keepends=True)
            random.Random(7).shuffle(lines)
            content = header + b"".join(line.rstrip(b"\r\n") + b"\n" for line in lines)
        (tmp_path / path.name).write_bytes(content)
    assert read(tmp_path, source_name="baltimore", terms=terms).directory == baltimore.directory
