"""What is mended, what is refused, and that nothing is lost between the two."""

import hashlib
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partner_svc.directory import (
    DirectoryRefused,
    TermMap,
    clean,
    read,
    without_own_fields,
)
from partner_svc.directory.ids import NAMESPACE, canonical, stable_id
from support.feeds import CSV, NESTED, ORG, SERVICE, as_zip, only_service, reasons, tables, take

# ids


def test_a_made_id_is_a_uuid_of_version_5():
    for name in ("x", "\u98df", "a" * 500, "\ud800"):
        text = f"feed\nservices\n{name}".encode("utf-8", "surrogatepass")
        made = uuid.UUID(bytes=hashlib.sha1(NAMESPACE.bytes + text).digest()[:16], version=5)
        assert stable_id("feed", "services", name) == str(made)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_equal_values_have_one_text_whatever_their_keys_order(value):
    def turned(one):
        if isinstance(one, dict):
            return {key: turned(one[key]) for key in reversed(list(one))}
        return [turned(each) for each in one] if isinstance(one, list) else one

    assert canonical(turned(value)) == canonical(value)


@given(st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from(" &<>;\t\u200b")))
def test_what_is_taken_as_it_is_has_nothing_to_mend(value):
    if clean._is_clean(value):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clean, "_is_clean", lambda _: False)
            assert clean.text(value) == (value or None, None)


def test_uuids_stay_and_other_ids_become_stable_ones():
    given = "ac148810-d857-441c-9679-408f346de14b"
    kept = take(tables(services=[SERVICE | {"id": given}, SERVICE | {"id": "7"}]))
    ids = {service["id"] for service in kept.directory.services}
    assert given in ids
    again = take(tables(services=[SERVICE | {"id": 7}, SERVICE | {"id": given}]))
    assert again.directory == kept.directory
    assert {
        s["id"] for s in take(tables(services=[SERVICE | {"id": 7}]), name="b").directory.services
    }.isdisjoint(ids)


def test_a_uuid_in_capitals_is_the_same_id():
    given = "ac148810-d857-441c-9679-408f346de14b"
    twice = [SERVICE | {"id": given}, SERVICE | {"id": given.upper()}]
    reading = take(tables(services=twice))
    assert only_service(reading)["id"] == given
    joined = ("mended", "id", "the same record again; joined with the first")
    assert reasons(reading, "services") == [joined]
    twice[1]["name"] = "Another"
    reading = take(tables(services=twice))
    assert [r.kind for r in reading.report] == ["refused"]


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_what_refers_to_a_uuid_may_spell_it_in_capitals(spelling):
    organization = "AC148810-d857-441c-9679-408f346DE14B"
    service = "BC148810-d857-441c-9679-408f346DE14B"
    feed = {
        "organizations": [ORG | {"id": organization}],
        "services": [SERVICE | {"id": service, "organization_id": spelling(organization)}],
        "phones": [{"id": "p", "service_id": spelling(service), "number": "555-0100"}],
        "attributes": [{"link_id": spelling(service), "link_entity": "service", "value": "x"}],
    }
    reading = take(feed)
    assert reading.report == ()
    found = only_service(reading)
    assert found["organization_id"] == organization.lower()
    assert len(found["phones"]) == len(found["attributes"]) == 1


@pytest.mark.parametrize("given", [4.0, 1e22, 0.5, True, ["s1"], {"id": "s1"}])
def test_what_is_neither_text_nor_a_whole_number_is_no_id(given):
    odd = SERVICE | {"id": given, "name": "Odd"}
    reading = take(tables(services=[SERVICE, odd]))
    assert only_service(reading)["name"] == "Pantry"
    assert [(r.row, r.kind, r.field) for r in reading.report] == [
        (2, "mended", "id"),
        (2, "refused", "id"),
    ]
    assert "is no id, which is a text or a whole number" in reading.report[0].reason
    lost = take(tables(services=[SERVICE, SERVICE | {"id": "s2", "organization_id": given}]))
    assert [(r.id, r.kind, r.field) for r in lost.report] == [
        ("s2", "mended", "organization_id"),
        ("s2", "refused", "organization_id"),
    ]
    nested = take([NESTED, {**NESTED, "id": "s2", "organization": ORG | {"id": given}}])
    assert [(r.table, r.kind, r.field) for r in nested.report] == [
        ("organizations", "mended", "id"),
        ("organizations", "refused", "id"),
        ("services", "refused", "organization_id"),
    ]


@pytest.mark.parametrize("given", [["inactive"], {"value": "closed"}, [], {}])
def test_a_status_that_is_no_text_offers_nothing(given):
    reading = take(tables(services=[SERVICE | {"status": given}]))
    assert only_service(reading)["status"] == ("inactive" if given else "active")


# shapes of JSON


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([NESTED]),
        json.dumps({"contents": [NESTED], "total_items": 1}),
        json.dumps(NESTED),
        json.dumps(NESTED) + "\n" + json.dumps(NESTED | {"id": "s2"}) + "\n",
        "\ufeff" + json.dumps([NESTED], indent=1),
    ],
)
def test_a_full_service_in_each_wrapping(content):
    reading = read(content.encode(), source_name="test", terms=None)
    assert reading.format == "hsds-3"
    service = reading.directory.services[0]
    assert service["organization_id"] == reading.directory.organizations[0]["id"]
    assert service["service_at_locations"][0]["location_id"] == reading.directory.locations[0]["id"]


def test_one_organization_inside_each_of_its_services_is_one():
    thin = {"id": "o1", "name": "Food Bank"}
    services = [NESTED, {**NESTED, "id": "s2", "organization": thin}]
    reading = take(services)
    (organization,) = reading.directory.organizations
    assert organization["description"] == "Food"
    assert not reading.report
    other = {
        **NESTED,
        "id": "s3",
        "organization": ORG | {"name": "The Food Bank", "email": "a@b.org"},
    }
    reading = take([*services, other])
    assert reading.directory.organizations[0]["name"] == "The Food Bank"  # says most
    assert ("mended", "name", "given in different words; the fullest was kept") in reasons(
        reading, "organizations"
    )


# refused rows


@pytest.mark.parametrize(
    ("service", "field"),
    [
        ({"id": "x", "organization_id": "o1", "name": "  "}, "name"),
        ({"id": "x", "name": "Orphan"}, "organization_id"),
        ({"id": "x", "organization_id": "nobody", "name": "Orphan"}, "organization_id"),
        ({"id": "", "organization_id": "o1", "name": "No id"}, "id"),
        ({"id": "s1", "organization_id": "o1", "name": "Another"}, "name"),
    ],
)
def test_an_unusable_service_is_refused_and_the_rest_taken(service, field):
    reading = take(tables(services=[SERVICE, SERVICE | {"id": "s2"}, service]))
    assert len(reading.directory.services) == 2
    refused = [r for r in reading.report if r.kind == "refused"]
    assert [(r.table, r.row, r.field) for r in refused] == [("services", 3, field)]
    assert reading.summary.services_refused == 1


def test_more_than_half_unusable_refuses_whole_and_half_does_not():
    bad = {"id": "x", "organization_id": "o1", "name": ""}
    assert len(take(tables(services=[SERVICE, bad])).directory.services) == 1
    with pytest.raises(DirectoryRefused, match=r"more than half .* \(2 of 3\).*without a name"):
        take(tables(services=[SERVICE, bad, bad | {"id": "y"}]))
    with pytest.raises(DirectoryRefused, match="holds no row"):
        take(tables(services=[]))


def test_a_record_with_slipped_cells_is_refused_and_counted():
    files = CSV | {
        "services.csv": b"id,organization_id,name\ns1,o1,Pantry\ns2,o1,Soup,kitchen\n",
    }
    reading = read(as_zip(files), source_name="test", terms=None)
    assert reading.summary.services_read == 2
    assert reading.summary.services_refused == 1
    assert [(r.row, r.id, r.kind) for r in reading.report if "slipped" in r.reason] == [
        (3, "s2", "refused")
    ]


def test_children_of_nobody_are_refused():
    reading = take(tables(phones=[{"id": "p", "service_id": "s9", "number": "555-0100"}]))
    assert reasons(reading, "phones") == [("refused", "service_id", "service_id s9: no such row")]


# mended values


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("status", "", "active"),
        ("status", "Open", "active"),
        ("status", "ask us", "inactive"),
        ("name", "  Pantry &amp; Kitchen ", "Pantry & Kitchen"),
        ("description", "It\u00e2\u20ac\u2122s <b>open</b>", "It\u2019s open"),
        ("email", "nobody", None),
        ("email", "a@example.org; b@example.org", "a@example.org"),
        ("url", "www.example.org", "http://www.example.org"),
        ("url", "javascript:alert(1)", None),
        ("minimum_age", "eighteen", None),
        ("maximum_age", 999, None),
        ("last_modified", "yesterday", None),
    ],
)
def test_a_value_is_mended_or_left_out_and_said(field, given, kept):
    reading = take(tables(services=[SERVICE | {field: given}]))
    assert only_service(reading).get(field) == kept
    assert [(r.kind, r.row, r.field) for r in reading.report] == [("mended", 1, field)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("9:00am", "09:00"), ("5 p.m.", "17:00"), ("12:00 AM", "00:00"), ("noon", "12:00"),
     ("0930", "09:30"), ("09:00-05:00", "09:00-05:00"), ("09:00:00", "09:00"), ("late", None)],
)  # fmt: skip
def test_times_of_day(given, kept):
    schedule = {"service_id": "s1", "freq": "WEEKLY", "byday": "MO", "opens_at": given}
    service = only_service(take(tables(schedules=[schedule])))
    assert service["schedules"][0].get("opens_at") == kept


def test_ages_count_only_as_numbers_and_words_stay_words():
    said = SERVICE | {"minimum_age": "18", "eligibility_description": "Seniors 60 and over"}
    service = only_service(take(tables(services=[said])))
    assert service["minimum_age"] == 18
    assert service["eligibility_description"] == "Seniors 60 and over"
    assert "maximum_age" not in service
    reading = take(tables(services=[SERVICE | {"minimum_age": 65, "maximum_age": 5}]))
    assert "minimum_age" not in only_service(reading)


def test_areas_are_geometry_or_words():
    polygon = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    areas = [
        {"id": "a", "service_id": "s1", "extent": json.dumps(polygon), "extent_type": "geojson"},
        {"id": "b", "service_id": "s1", "name": "The whole county"},
        {"id": "c", "service_id": "s1", "extent": "north of the river", "extent_type": "geojson"},
    ]
    reading = take(tables(service_areas=areas))
    kinds = sorted(
        (a["extent_type"], a["extent"][:5]) for a in only_service(reading)["service_areas"]
    )
    assert kinds == [("geojson", '{"typ'), ("text", "The w"), ("text", "north")]
    assert reading.summary.unknown_areas == 0
    assert take(tables(service_areas=areas[1:])).summary.unknown_areas == 1


def test_coordinates_in_the_wrong_order_or_out_of_this_world():
    here = [
        {"id": f"l{n}", "location_type": "physical", "latitude": 39.3 + n / 100, "longitude": -76.6}
        for n in range(6)
    ]
    odd = [
        {"id": "swapped", "location_type": "physical", "latitude": "-76.61", "longitude": "39.29"},
        {"id": "impossible", "location_type": "physical", "latitude": 39.3, "longitude": 500},
        {"id": "far", "location_type": "physical", "latitude": 120.5, "longitude": 14.6},
        {"id": "null", "location_type": "physical", "latitude": 0, "longitude": 0},
    ]
    reading = take(tables(locations=[*here, *odd]))
    said = {r.id: r.reason for r in reading.report if r.table == "locations"}
    points = {(loc.get("latitude"), loc.get("longitude")) for loc in reading.directory.locations}
    assert (39.29, -76.61) in points
    assert (14.6, 120.5) in points
    assert said.keys() == {"swapped", "impossible", "far", "null"}
    assert reading.summary.locations_without_point == 2


def test_languages_by_code_by_word_and_unknown():
    rows = [
        {"id": "1", "service_id": "s1", "code": "spa"},
        {"id": "2", "service_id": "s1", "name": "Haitian Creole"},
        {"id": "3", "service_id": "s1", "name": "ask at the desk"},
        {"id": "4", "service_id": "s1", "name": "Portuguese", "code": "qq"},
    ]
    found = only_service(take(tables(languages=rows)))["languages"]
    assert sorted(language.get("code", "-") for language in found) == ["-", "es", "ht", "pt"]


def test_a_nameless_organization_takes_its_name_from_elsewhere_or_is_refused():
    nameless = {"id": "o1", "name": "", "alternate_name": "The Pantry People"}
    reading = take(tables(organizations=[nameless]))
    assert reading.directory.organizations[0]["name"] == "The Pantry People"
    hall = {"id": "l1", "organization_id": "o2", "name": "Hall", "location_type": "physical"}
    reading = take(tables(organizations=[ORG, {"id": "o2"}, {"id": "o3"}], locations=[hall]))
    assert sorted(o["name"] for o in reading.directory.organizations) == ["Food Bank", "Hall"]
    assert reasons(reading, "organizations") == [
        ("mended", "name", "was missing; taken from its locations"),
        ("refused", "name", "an organization without a name"),
    ]


# confidential places


@pytest.mark.parametrize(
    "location",
    [
        {"addresses": [{"address_1": "Confidential Address", "city": "Town"}]},
        {"addresses": [{"address_1": "1 Street", "city": "Town", "is_confidential": True}]},
        {"description": "A safe home. The location is kept confidential."},
        {"confidential": "yes"},
        {"x_handoff": {"public": False}},
        {
            "attributes": [
                {"value": "true", "taxonomy_term": {"id": "t", "name": "Confidential address"}}
            ]
        },
    ],
)
def test_a_confidential_place_is_not_public(location):
    place = {"id": "l1", "location_type": "physical"} | location
    reading = take([{**NESTED, "service_at_locations": [{"location": place}]}])
    (found,) = reading.directory.locations
    assert found["public"] is False
    assert all(address["public"] is False for address in found.get("addresses", []))
    assert reading.summary.confidential_locations == 1


def test_a_plain_place_is_public():
    reading = take([NESTED])
    assert reading.directory.locations[0]["public"] is True


# needs and our own fields


def test_terms_become_needs_by_name_path_code_and_parent():
    terms = TermMap.model_validate(
        {
            "name": "t",
            "terms": {
                "Food": ["food-insecurity"],
                "Goods > Vouchers": ["material-hardship"],
                "Youth": [],
            },
            "codes": {"X9": ["legal-help"]},
        }
    )
    rows = [
        {"id": "t1", "name": "Food", "taxonomy": "own"},
        {"id": "t2", "name": "Soup", "parent_id": "t1"},
        {"id": "t3", "name": "Goods"},
        {"id": "t4", "name": "vouchers", "parent_id": "t3"},
        {"id": "t5", "name": "Law", "code": "X9"},
        {"id": "t6", "name": "Youth"},
        {"id": "t7", "name": "Kites"},
    ]
    links = [
        {"link_id": "s1", "link_entity": "service", "taxonomy_term_id": row["id"]}
        for row in rows[1:]
    ]
    reading = take(tables(taxonomy_terms=rows, attributes=links), terms=terms)
    assert only_service(reading)["needs"] == ["food-insecurity", "legal-help", "material-hardship"]
    assert reading.summary.unmapped_terms == {"Goods": 1, "Kites": 1}


def test_names_of_the_licensed_taxonomy_are_not_kept():
    term = {"id": "t", "code": "BD-1800.2000", "name": "A licensed name", "taxonomy": "AIRS"}
    link = {"link_id": "s1", "link_entity": "service", "taxonomy_term_id": "t"}
    service = only_service(take(tables(taxonomy_terms=[term], attributes=[link])))
    assert service["attributes"][0]["taxonomy_term"]["name"] == "BD-1800.2000"
    assert "licensed" not in json.dumps(service)


def test_own_fields_are_read_and_can_be_taken_away():
    own = {
        "kind": "case-management",
        "agreement": "active",
        "participants": ["o2"],
        "channels": {"x": 1},
    }
    organization = ORG | {"x_handoff": own}
    service = {
        **NESTED,
        "organization": organization,
        "x_handoff": {"needs": ["food-insecurity", "fun"], "restricted_ok": True},
    }
    second = {**NESTED, "id": "s2", "organization": {"id": "o2", "name": "Kitchen"}}
    reading = take([service, second])
    by_name = {o["name"]: o for o in reading.directory.organizations}
    bank, kitchen = by_name["Food Bank"], by_name["Kitchen"]
    assert (bank["kind"], bank["agreement"]) == ("case-management", "active")
    assert bank["participants"] == [kitchen["id"]]
    assert bank["x_handoff"] == {"channels": {"x": 1}}
    assert (kitchen["kind"], kitchen["agreement"], kitchen["participants"]) == (
        "partner",
        "none",
        [],
    )
    found = next(s for s in reading.directory.services if s["needs"])
    assert found["needs"] == ["food-insecurity"]
    assert found["x_handoff"]["restricted_ok"] is True
    assert reading.summary.agreements_claimed == 1
    stranger = without_own_fields(reading.directory)
    assert {o["agreement"] for o in stranger.organizations} == {"none"}
    assert not any(
        "x_handoff" in entity for entity in (*stranger.organizations, *stranger.services)
    )


def test_own_fields_come_as_attributes_too():
    term = {"id": "t", "code": "agreement", "name": "agreement", "taxonomy": "handoff"}
    link = {
        "link_id": "o1",
        "link_entity": "organization",
        "taxonomy_term_id": "t",
        "value": "active",
    }
    reading = take(tables(taxonomy_terms=[term], attributes=[link]))
    assert reading.directory.organizations[0]["agreement"] == "active"
    assert reading.summary.unmapped_terms == {}
