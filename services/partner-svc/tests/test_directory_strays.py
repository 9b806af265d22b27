"""Records of a feed that are none, and names that nobody can read as they stand."""

import json

import pytest
from partner_svc.directory import DirectoryRefused, read
from support.feeds import NESTED, ORG, SERVICE, as_zip, only_service, reasons, tables, take

# records that are no objects


@pytest.mark.parametrize(
    ("stray", "said"),
    [
        (5, "is a number, no object"),
        ("Soup kitchen", "is text, no object"),
        (None, "is null, no object"),
        (False, "is true or false, no object"),
        ([NESTED], "is a list, no object"),
        ({}, "its fields tell no table"),
        ({"phone": "555-0100"}, "its fields tell no table"),
    ],
)
def test_a_record_that_is_none_is_a_row_of_the_report(stray, said):
    reading = take([NESTED, stray])
    assert only_service(reading)["name"] == "Pantry"
    assert [(r.table, r.row, r.kind, r.reason) for r in reading.report] == [
        ("services", 2, "refused", f"{said} (the file)")
    ]
    assert (reading.summary.services_read, reading.summary.services_refused) == (2, 1)


def test_a_record_that_says_little_is_of_the_kind_of_those_around_it():
    little = {"id": "s2", "name": "Soup kitchen"}
    reading = take([NESTED, {**NESTED, "id": "s3"}, little])
    assert [(r.table, r.row, r.id, r.field) for r in reading.report if r.kind == "refused"] == [
        ("services", 3, "s2", "organization_id")
    ]
    mixed = {"id": "o2", "name": "Kitchen", "tax_status": "charity"}
    reading = take([NESTED, mixed, little])
    assert reasons(reading, "services") == [("refused", "", "its fields tell no table (the file)")]
    assert len(reading.directory.organizations) == 2


def test_records_that_are_none_count_as_unusable():
    with pytest.raises(DirectoryRefused, match=r"unusable \(2 of 3\).* row 2: is a number"):
        take([NESTED, 5, 6])
    with pytest.raises(DirectoryRefused, match=r"unusable \(2 of 3\)"):
        take(tables(services=[SERVICE, "s2", "s3"]))
    inside = {**ORG, "services": [{"id": "s1", "name": "Pantry"}, 1, 2]}
    with pytest.raises(DirectoryRefused, match=r"services\[3\]|services\[2\]"):
        take({"contents": [inside]})


def test_each_file_and_table_says_which_records_are_none():
    files = {
        "organizations.json": json.dumps([ORG, 7]).encode(),
        "services.json": json.dumps([SERVICE, SERVICE | {"id": "s2"}, "s3"]).encode(),
    }
    reading = read(as_zip(files), source_name="test", terms=None)
    assert [(r.table, r.row, r.reason) for r in reading.report if r.kind == "refused"] == [
        ("organizations", 2, "is a number, no object (organizations.json)"),
        ("services", 3, "is text, no object (services.json)"),
    ]
    files |= {
        "phones.json": json.dumps([{"service_id": "s1", "number": "555-0100"}]).encode(),
        "contacts.json": b'["Jo"]',
    }
    reading = read(as_zip(files), source_name="test", terms=None)
    assert reasons(reading, "contacts") == [("refused", "", "is text, no object (contacts.json)")]
    assert reasons(reading, "phones") == []
    assert sum(len(s.get("phones", [])) for s in reading.directory.services) == 1
    reading = take(tables(phones=["555-0100"], languages="Spanish"))
    assert [(r.table, r.row, r.reason) for r in reading.report] == [
        ("languages", None, "is text, no list of objects (the file)"),
        ("phones", 1, "is text, no object (the file)"),
    ]


def test_children_that_are_none_are_rows_of_the_report():
    odd = {
        **NESTED,
        "phones": ["555-0100", {"id": "p", "number": "555-0101"}, {}],
        "languages": "Spanish",
        "service_at_locations": [{"location": "l1", "schedules": 9}],
    }
    reading = take([NESTED | {"id": "s0"}, odd])
    found = {(r.table, r.row, r.field, r.reason) for r in reading.report if r.kind == "refused"}
    assert found >= {
        ("phones", 2, "phones[1]", "is text, no object (in services s1)"),
        ("phones", 2, "phones[3]", "is empty (in services s1)"),
        ("languages", 2, "languages", "is text, no object (in services s1)"),
    }
    assert {(table, field) for table, _, field, _ in found} >= {
        ("locations", "location"),
        ("schedules", "schedules"),
    }
    (service,) = [s for s in reading.directory.services if "phones" in s]
    assert [phone["number"] for phone in service["phones"]] == ["555-0101"]
    assert reading.summary.services_refused == 0


def test_an_organization_in_words_is_said_with_the_service_that_lacks_it():
    reading = take([NESTED, {**NESTED, "id": "s2", "organization": "Food Bank"}])
    assert reasons(reading, "organizations") == [
        ("refused", "organization", "is text, no object (in services s2)")
    ]
    assert reasons(reading, "services") == [
        ("refused", "organization_id", "a service without an organization")
    ]


def test_a_column_of_words_in_a_csv_is_no_record():
    files = {
        "organizations.csv": b"id,name\no1,Food Bank\n",
        "services.csv": b"id,organization_id,organization,name,status\n"
        b"s1,o1,Food Bank,Pantry,active\n",
    }
    assert read(as_zip(files), source_name="test", terms=None).report == ()


# names


@pytest.mark.parametrize("field", ["name", "alternate_name"])
def test_names_of_a_feed_are_mended_and_said(field):
    odd = {field: "Good\u202e\u200b Pantry"}
    place = {"id": "l1", "location_type": "physical"} | odd
    reading = take(
        {
            "organizations": [ORG | odd],
            "services": [SERVICE | odd],
            "locations": [place],
        }
    )
    for found in (
        reading.directory.organizations[0],
        reading.directory.services[0],
        reading.directory.locations[0],
    ):
        assert found[field] == "Good Pantry"
    said = "line ends, unseen or direction characters removed"
    assert [(r.table, r.kind, r.field, r.reason) for r in reading.report] == [
        (table, "mended", field, said) for table in ("locations", "organizations", "services")
    ]


def test_a_name_of_nothing_that_can_be_seen_is_none():
    reading = take(tables(services=[SERVICE, SERVICE | {"id": "s2", "name": "\u202e\u200b"}]))
    assert ("refused", "name", "a service without a name") in reasons(reading, "services")
