"""How other cities lay out their exports, each with a map such as a stranger would write."""

from pathlib import Path
from typing import Any

import pytest
from handoff_cli.inspection_import import FileRefused, ImportRefused, load_map
from support.exports import bodies_by_id

# Several findings in one record

NESTED = """
format: json
records: result.records
source: nested
timezone: America/Chicago
fields:
  source_id: {column: case.number}
  inspected_at: {column: visited}
  status: {column: status, values: {OPEN: open, CLOSED: closed}}
  property.address.line1: {column: address}
findings_from: {column: violations}
findings:
  code: {column: code}
  scheme: {value: nested}
  status: {column: status, values: {OPEN: open, CLOSED: closed}}
  text: {column: note, required: false}
"""


def nested(number: str, violations: Any) -> dict[str, Any]:
    return {
        "case": {"number": number},
        "visited": "2025-03-04T09:30:00.000",
        "status": "OPEN",
        "address": f"{number} Wells St",
        "violations": violations,
    }


def test_a_list_inside_each_record_is_its_findings(run) -> None:
    records = [
        nested("1", [{"code": "CN1", "status": "CLOSED", "note": "rats"}, {"code": "CN2"}]),
        nested("2", []),
        nested("3", {"code": "CN3"}),
    ]
    reading = run(NESTED, {"fields": [{"id": "x"}], "result": {"records": records}}, "x.json")
    assert reading.rejects == []
    found = {key: body["findings"] for key, body in bodies_by_id(reading).items()}
    assert found == {
        "1": [
            {"code": "CN1", "scheme": "nested", "status": "closed", "text": "rats"},
            # What an item does not say is the record's.
            {"code": "CN2", "scheme": "nested", "status": "open"},
        ],
        "2": [],
        "3": [{"code": "CN3", "scheme": "nested", "status": "open"}],
    }


def test_a_list_of_words_is_findings_too(run) -> None:
    map_ = NESTED.replace("code: {column: code}", "code: {column: violations}")
    reading = run(map_, {"result": {"records": [nested("1", ["CN1", "CN2"])]}}, "x.json")
    assert [f["code"] for f in bodies_by_id(reading)["1"]["findings"]] == ["CN1", "CN2"]


def test_a_bad_item_rejects_its_record_with_the_reason(run) -> None:
    records = [nested("1", [{"code": "CN1"}, {"note": "no code"}]), nested("2", [])]
    reading = run(NESTED, {"result": {"records": records}}, "x.json")
    assert [(one.row, one.column, one.reason) for one in reading.rejects] == [
        (1, "code", "is empty")
    ]
    assert set(bodies_by_id(reading)) == {"2"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("records: result.records", "records: result.rows", "has no 'rows' of 'records: result"),
        ("records: result.records", "records: result", "has no list at 'records: result'"),
        ("column: violations", "column: violation", "has no column 'violation' (nearest: 'viol"),
        ("{column: code}", "{column: cod}", "has no column 'cod' (nearest: 'code')"),
    ],
)
def test_a_wrong_name_of_the_layout_refuses_the_file(run, old: str, new: str, words: str) -> None:
    data = {"result": {"records": [nested("1", [{"code": "CN1"}])]}}
    with pytest.raises(ImportRefused) as refused:
        run(NESTED.replace(old, new), data, "x.json")
    assert words in str(refused.value)


def test_a_list_at_the_top_has_no_path(run) -> None:
    with pytest.raises(ImportRefused, match=r"leave 'records: result\.records' out"):
        run(NESTED, [nested("1", [])], "x.json")


COUNCIL = """
format: csv
encoding: cp1252
header_row: 3
source: council
timezone: Europe/London
fields:
  source_id: {column: Reference}
  inspected_at: {column: Visited, format: "%d/%m/%Y"}
  property.address_id: {column: UPRN}
  property.address.line1: {column: Address}
findings_from: {column: Hazards, separator: ";"}
findings:
  code: {column: Hazards, values: {Damp: damp, Falls on stairs: falls-stairs}}
  scheme: {value: hhsrs}
"""
COUNCIL_ROWS = (
    "Private sector housing – visits,,,,\n"
    '"printed\n01/02/2025",,,,\n'
    "Reference,Visited,UPRN,Address,Hazards\n"
    "H/1,31/12/2024,100021,1 St John’s Road,Damp; Falls on stairs ;\n"
    "H/2,03/01/2025,100022,2 St John’s Road,\n"
    "H/3,04/01/2025,100023\n"
)


def test_a_council_with_a_title_above_and_hazards_in_one_cell(run) -> None:
    reading = run(COUNCIL, COUNCIL_ROWS.encode("cp1252"))
    found = bodies_by_id(reading)
    assert [f["code"] for f in found["H/1"]["findings"]] == ["damp", "falls-stairs"]
    assert found["H/1"]["inspected_at"] == "2024-12-31T00:00:00+00:00"
    assert found["H/1"]["property"]["address"]["line1"] == "1 St John’s Road"
    assert found["H/2"]["findings"] == []
    # Rows are counted as a spreadsheet does, those above the header included.
    assert [(one.row, one.reason) for one in reading.rejects] == [
        (6, "has 3 cells, the header has 5")
    ]


def test_a_header_that_is_not_there(run) -> None:
    with pytest.raises(ImportRefused, match="ends after 2 rows"):
        run(COUNCIL, "a,b\nc,d\n")


def test_blank_rows_above_the_header_count(run) -> None:
    map_ = COUNCIL.replace("header_row: 3\n", "")
    rows = "\n,,,,\nReference,Visited,UPRN,Address,Hazards\nH/1,never,1,1 High Street,\n"
    reading = run(map_, rows)
    assert [(one.row, one.column) for one in reading.rejects] == [(4, "Visited")]


# Tables of the great publishers of open data


def test_socrata_rows_are_lists(run) -> None:
    """rows.json: columns are described beside the data, and a record is a list."""
    map_ = """
format: json
records: data
source: socrata
timezone: America/Chicago
group_by: "9"
fields:
  source_id: {column: "9"}
  inspected_at: {column: "8"}
  property.address.line1: {column: "10"}
  property.latitude: {column: "12", pattern: 'POINT \\([-\\d.]+ ([-\\d.]+)\\)'}
  property.longitude: {column: "12", pattern: 'POINT \\(([-\\d.]+)'}
findings:
  code: {column: "11"}
"""
    head = ["row-1", "id", 0, None, None, None, None, "{ }"]
    point = "POINT (-87.6244 41.8756)"
    data = [
        [*head, "2024-01-02T00:00:00", "13890001", "10 S STATE ST", "CN190019", point],
        [*head, "2024-01-02T00:00:00", "13890001", "10 S STATE ST", "CN104015", point],
    ]
    columns = [{"id": n} for n in range(13)]
    reading = run(map_, {"meta": {"view": {"columns": columns}}, "data": data}, "rows.json")
    (body,) = bodies_by_id(reading).values()
    assert body["inspected_at"] == "2024-01-02T00:00:00-06:00"
    assert (body["property"]["latitude"], body["property"]["longitude"]) == (41.8756, -87.6244)
    assert [f["code"] for f in body["findings"]] == ["CN104015", "CN190019"]


@pytest.mark.parametrize(
    ("form", "given", "meant"),
    [
        ("unix-ms", 1735689600000, "2024-12-31T18:00:00-06:00"),
        ("unix", "1735689600", "2024-12-31T18:00:00-06:00"),
        ("unix", 1735689600.0, "2024-12-31T18:00:00-06:00"),
        ("%Y/%m/%d %H:%M:%S%z", "2025/01/01 00:00:00+00", "2025-01-01T00:00:00+00:00"),
        ("%Y/%m/%d %H:%M:%S%z", "2025/01/01 00:00:00-0600", "2025-01-01T00:00:00-06:00"),
        ("unix-ms", 1e30, None),
        ("unix-ms", -62135596800000, None),  # The first second of the year 1 in UTC.
        ("unix", "yesterday", None),
    ],
)
def test_arcgis_features_and_their_times(run, form: str, given: Any, meant: str | None) -> None:
    """A feature server's answer has the list of fields beside the list of features."""
    map_ = f"""
format: json
records: features
source: arcgis
timezone: America/Chicago
fields:
  source_id: {{column: attributes.CASE_ID}}
  inspected_at: {{column: attributes.VISITED, format: "{form}"}}
  property.latitude: {{column: geometry.y}}
  property.longitude: {{column: geometry.x}}
"""
    feature = {
        "attributes": {"CASE_ID": 77, "VISITED": given},
        "geometry": {"x": -97.74, "y": 30.27},
    }
    reading = run(map_, {"fields": [{"name": "CASE_ID"}], "features": [feature]}, "x.json")
    if meant is None:
        assert [one.column for one in reading.rejects] == ["attributes.VISITED"]
    else:
        assert bodies_by_id(reading)["77"]["inspected_at"] == meant


def test_commas_in_coordinates(run) -> None:
    map_ = """
format: csv
encoding: iso-8859-1
source: stadt
timezone: Europe/Berlin
fields:
  source_id: {column: Nr}
  inspected_at: {column: Datum, format: "%d.%m.%Y"}
  property.address.line1: {column: Straße}
  property.latitude: {column: Breite}
  property.longitude: {column: Länge}
"""
    rows = (
        "Nr;Datum;Straße;Breite;Länge\n"
        "1;31.12.2025;Brückenstraße 4;52,5163;13,3777\n"
        "2;31.12.2025;Brückenstraße 5;52.516,3;13,3777\n"
    )
    reading = run(map_, rows.encode("iso-8859-1"))
    place = bodies_by_id(reading)["1"]["property"]
    assert (place["latitude"], place["longitude"]) == (52.5163, 13.3777)
    assert place["address"]["line1"] == "Brückenstraße 4"
    assert [(one.row, one.column) for one in reading.rejects] == [(3, "Breite")]


# What is lost, and what is too large


def test_a_good_row_keeps_its_inspection_however_it_is_named(run) -> None:
    map_ = """
format: csv
source: x
timezone: America/Chicago
fields:
  source_id: {template: "{year}-{no}"}
  inspected_at: {column: at, format: "%Y-%m-%d"}
  property.address.line1: {column: where}
findings:
  code: {column: code}
"""
    rows = (
        "year,no,at,where,code\n"
        "2024,1,2024-01-02,1 Elm St,A\n"
        "2024,1,2024-01-02,1 Elm St,\n"  # The inspection has another row.
        "2024,2,,2 Elm St,A\n"
        "2024,2,2024-01-02\n"  # Too short, and of the same inspection.
        "2024,3,never,3 Elm St,A\n"
        "\n2024\n"  # Nobody knows of which.
    )
    reading = run(map_, rows)
    assert (len(reading.inspections), len(reading.rejects), reading.lost) == (1, 5, 3)


def test_an_inspection_that_no_request_can_hold_is_rejected(run) -> None:
    map_ = NESTED.replace("records: result.records\n", "")
    many = [{"code": f"C{n}", "note": "x" * 20_000} for n in range(13)]
    reading = run(map_, [nested("1", many), nested("2", many[:12])], "x.json")
    assert [(one.row, one.reason) for one in reading.rejects] == [
        (1, "has 254 KiB; at most 240 are taken")
    ]
    assert set(bodies_by_id(reading)) == {"2"}
    assert reading.lost == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("format: json", "format: csv"), "records is for format json"),
        (("records: result.records", "header_row: 2"), "header_row is for format csv"),
        (("records: result.records", "header_row: 0"), "greater than or equal to 1"),
        (
            ("format: json\nrecords: result.records", "format: csv"),
            "findings_from needs a separator",
        ),
        (("findings_from: {column: violations}", "findings_from: {}"), "column"),
    ],
)
def test_a_layout_that_does_not_fit_the_format(tmp_path: Path, change, words: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(NESTED.replace(*change))
    with pytest.raises(FileRefused) as refused:
        load_map(str(path))
    assert words in str(refused.value).replace("'", "").replace(":", "")
