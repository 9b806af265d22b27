"""Exports through maps: rules of the language, broken files, grouping."""

import csv
import json
import os
from pathlib import Path

import pytest
from handoff_cli.inspection_import import FileRefused, ImportRefused, load_map, read, write_rejects
from hypothesis import given
from hypothesis import strategies as st
from support.exports import MAP, read_export, reasons

CSV = "id,at,addr\n007,01/02/2024,1 Elm St\n008,07/02/2024 13:05,2 Elm St\n"


@pytest.fixture
def run(tmp_path: Path):
    def _run(data: str | bytes, map_: str = MAP, name: str = "export.csv"):
        return read_export(tmp_path, map_, data, name)

    return _run


def bodies(reading) -> list[dict]:
    return [inspection.body for inspection in reading.inspections]


def test_the_plain_case(run) -> None:
    reading = run(CSV)
    assert (reading.rows, reading.rejects) == (2, [])
    assert bodies(reading) == [
        {
            "source": "test",
            "source_id": "007",
            "inspected_at": "2024-01-02T00:00:00-05:00",
            "property": {"address": {"line1": "1 Elm St"}},
            "findings": [],
        },
        {
            "source": "test",
            "source_id": "008",
            "inspected_at": "2024-07-02T13:05:00-04:00",
            "property": {"address": {"line1": "2 Elm St"}},
            "findings": [],
        },
    ]


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("03/10/2024 02:30", "2024-03-10T02:30:00-05:00"),  # skipped
        ("11/03/2024 01:30", "2024-11-03T01:30:00-04:00"),  # comes twice
        ("11/03/2024 02:30", "2024-11-03T02:30:00-05:00"),
    ],
)
def test_local_times_where_the_clock_changes(run, local: str, expected: str) -> None:
    assert bodies(run(f"id,at,addr\n1,{local},x\n"))[0]["inspected_at"] == expected


def test_times_without_a_format_are_iso(run) -> None:
    map_ = MAP.replace(', format: ["%m/%d/%Y %H:%M", "%m/%d/%Y"]', "")
    data = "id,at,addr\n1,2024-01-02T03:04:05Z,x\n2,2024-01-02 03:04,x\n3,1/2/2024,x\n"
    reading = run(data, map_)
    assert [body["inspected_at"] for body in bodies(reading)] == [
        "2024-01-02T03:04:05+00:00",
        "2024-01-02T03:04:00-05:00",
    ]
    assert reasons(reading) == [
        (4, "at", "'1/2/2024' is no time of the form ISO 8601 (give a format)")
    ]
    no_zone = run(data, map_.replace("timezone: America/New_York\n", ""))
    assert reasons(no_zone)[0][2].endswith("has no offset, and the map names no timezone")


@pytest.mark.parametrize(
    ("rule", "cell", "expected"),
    [
        ("{column: x}", " 02110 ", "02110"),
        ("{column: x, values: {A: a}}", "A", "a"),
        ("{column: x, values: {A: a}}", "B", "B"),
        ("{column: x, values: {A: a}, default: d}", "B", "d"),
        ("{column: x, values: {A: a}, default: d}", "", "d"),
        ("{column: x, values: {'': e}, default: d}", "", "e"),
        ("{column: x, default: d}", "", "d"),
        ("{column: x, default: d}", "B", "B"),
        ("{column: x, required: false}", "", None),
        ("{column: x, values: {N/A: null}, required: false}", "N/A", None),
        (r"{column: x, pattern: '(\d{5})'}", "MA 02110-12", "02110"),
        (r"{column: x, pattern: '\d+'}", "no 12", "12"),
        (r"{column: x, pattern: '^\w', values: {A: a}}", "Abc", "a"),
        (r"{column: x, pattern: '\d', required: false}", "abc", None),
        (r"{column: x, pattern: '\d', default: d}", "abc", "d"),
        ("{value: 5}", "abc", "5"),
        ("{template: '{x} of {id}'}", "abc", "abc of 1"),
        ("{column: [none, x]}", "abc", "abc"),
    ],
)
def test_what_a_rule_makes_of_a_cell(run, rule: str, cell: str, expected: str | None) -> None:
    reading = run(f"id,at,addr,x,none\n1,01/02/2024,y,{cell},\n", MAP + f"  kind: {rule}\n")
    assert reading.rejects == []
    assert bodies(reading)[0].get("kind") == expected


@pytest.mark.parametrize(
    ("rules", "bad", "good", "reason"),
    [
        ("kind: {column: x}", " ", "A", "is empty"),
        ("kind: {column: x, values: {N/A: null}}", "N/A", "A", "'N/A' stands for an empty cell, "),
        (r"kind: {column: x, pattern: '\d'}", "abc", "1", r"'abc' does not match the pattern \d"),
        ("status: {column: x}", "Pending", "OPEN", "'Pending' is neither open nor closed"),
        ("status: {column: x, values: {A: open}}", "B", "A", "'B' is neither open nor closed; the"),
        ("kind: {column: x}", "y" * 65, "y", "String should have at most 64 characters (kind)"),
        (
            "property.latitude: {value: 40}\n  property.longitude: {column: x}",
            "200",
            "-71",
            "200.0 is no longitude, which lies within 180 and -180",
        ),
        (
            "property.latitude: {column: x}\n  property.longitude: {value: 20}",
            "4O.1",
            "40.1",
            "'4O.1' is no number",
        ),
        (
            "property.latitude: {value: 20}\n  property.longitude: {column: x, required: false}",
            "",
            "-71",
            "is empty, but the latitude is there",
        ),
    ],
)
def test_a_bad_cell_rejects_its_row_alone(
    run, rules: str, bad: str, good: str, reason: str
) -> None:
    data = f"id,at,addr,x\n1,01/02/2024,y,{bad}\n2,01/02/2024,y,{good}\n"
    reading = run(data, MAP + f"  {rules}\n")
    assert [(one.row, one.column, one.raw["id"]) for one in reading.rejects] == [(2, "x", "1")]
    assert reading.rejects[0].reason.startswith(reason)
    assert [body["source_id"] for body in bodies(reading)] == ["2"]


def test_a_row_without_any_place_is_rejected(run) -> None:
    map_ = MAP.replace("{column: addr}", "{column: addr, required: false}")
    map_ += "  property.address.city: {value: Springfield}\n"
    reading = run("id,at,addr\n1,01/02/2024,\n2,01/02/2024,x\n", map_)
    assert reasons(reading) == [
        (2, "addr", "names no property: parcel, address id, address and point are all empty")
    ]
    assert len(reading.inspections) == 1


FINDINGS = (
    MAP
    + """\
  status: {column: status}
findings:
  code: {column: code, required: false}
  scheme: {value: city}
  text: {column: text, required: false}
keywords:
  - {match: 'rats?|mice', scheme: words, code: pests}
  - {match: 'mouse', scheme: words, code: pests}
  - {match: 'heat', code: heat}
"""
)


def grouped(rows: list[tuple[str, ...]]) -> str:
    head = "id,at,addr,status,code,text\n"
    return head + "".join(",".join(row) + "\n" for row in rows)


def test_findings_by_code_and_by_keyword(run) -> None:
    rows = [
        ("1", "01/02/2024", "a", "open", "116", "MICE and no heat"),
        ("2", "01/02/2024", "a", "open", "", "Mice; a mouse; no HEAT"),
        ("3", "01/02/2024", "a", "open", "", "Peeling paint"),
        ("4", "01/02/2024", "a", "open", "", ""),
    ]
    found = [body["findings"] for body in bodies(run(grouped(rows), FINDINGS))]
    assert found == [
        [{"code": "116", "scheme": "city", "text": "MICE and no heat"}],
        [
            {"code": "heat", "scheme": "city", "text": "Mice; a mouse; no HEAT"},
            {"code": "pests", "scheme": "words", "text": "Mice; a mouse; no HEAT"},
        ],
        [{"scheme": "city", "text": "Peeling paint"}],
        [],
    ]


def test_rows_with_one_value_are_one_inspection_and_the_latest_wins(run) -> None:
    rows = [
        ("1", "01/02/2024", "old", "open", "a", ""),
        ("1", "03/02/2024", "new", "closed", "b", ""),
        ("1", "02/02/2024", "mid", "open", "a", ""),
        ("2", "02/02/2024", "x", "open", "a", ""),
    ]
    reading = run(grouped(rows), FINDINGS)
    first, second = bodies(reading)
    assert reading.rows == 4
    assert first["property"]["address"]["line1"] == "new"
    assert (first["status"], first["inspected_at"]) == ("closed", "2024-03-02T00:00:00-05:00")
    assert [finding["code"] for finding in first["findings"]] == ["a", "b"]
    assert second["source_id"] == "2"


ROW = st.tuples(
    st.sampled_from("12"),
    st.sampled_from(["01/02/2024", "01/02/2024 00:00", "03/05/2024 10:00", "bad"]),
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(["open", "closed"]),
    st.sampled_from(["x", "y", ""]),
    st.sampled_from(["rats", "heat", ""]),
)


@given(st.lists(ROW, max_size=7).flatmap(lambda r: st.tuples(st.just(r), st.permutations(r))))
def test_grouping_does_not_depend_on_the_order_of_rows(tmp_path_factory, both) -> None:
    folder = tmp_path_factory.mktemp("order")
    (folder / "map.yaml").write_text(FINDINGS)
    map_ = load_map(str(folder / "map.yaml"))
    found = []
    for name, rows in zip(("one.csv", "other.csv"), both, strict=True):
        (folder / name).write_text(grouped(rows))
        reading, again = read(map_, folder / name), read(map_, folder / name)
        assert bodies(reading) == bodies(again)
        assert reading.rejects == again.rejects
        found.append(sorted(bodies(reading), key=lambda body: body["source_id"]))
        assert len(reading.rejects) == sum(row[1] == "bad" or not row[2] for row in rows)
    assert found[0] == found[1]


def test_grouping_by_another_column(run) -> None:
    map_ = MAP.replace("fields:", "group_by: visit\nfields:")
    data = (
        "id,at,addr,visit\n1,01/02/2024,a,v\n2,02/02/2024,a,v\n3,02/02/2024,a,\n2,02/02/2024,a,w\n"
    )
    reading = run(data, map_)
    assert [body["source_id"] for body in bodies(reading)] == ["2"]
    assert [(row, column) for row, column, _ in reasons(reading)] == [(4, "visit"), (5, None)]
    assert "group by what tells inspections apart" in reading.rejects[1].reason


# Broken files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (b"PK\x03\x04rest", "a zip or Excel file"),
        (b"id,at\x00\x01\x02\xff,addr\n", "a binary file"),
        ("id,at,addr\n1,01/02/2024,Caf\u00e9\n".encode("cp1252"), "put 'encoding: cp1252'"),
        ("id,at,addr\n1,01/02/2024,Caf\u00e9\n".encode("utf-16"), "put 'encoding: utf-16'"),
        ("id,at,addr\n1,01/02/2024,Caf\u00e9\n".encode("utf-16-le"), "'encoding: utf-16-le'"),
        ("id,adr,at\n", "has no column 'addr' (nearest: 'adr'); there are: id, adr, at"),
        ("id,at,addr,at\n", "the column 'at' twice in its header; write the one that is meant by"),
        ('id,at,addr\n1,01/02/2024,"x\n2,01/02/2024,y\n', "never closed"),
        (
            'id,at,"addr\n1,01/02/2024,x\n',
            "csv:1: a quotation mark is opened here and never closed",
        ),
        ('id,at,"adr\n1",x\n', "(nearest: 'adr 1')"),
        ('[{"id": 1}]', "it looks like JSON, the map says csv"),
    ],
)
def test_a_broken_csv_has_one_clear_message(run, data, words: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        run(data)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_the_line_of_the_first_wrong_byte_is_named(run) -> None:
    with pytest.raises(ImportRefused, match=r"export.csv:3: is not utf-8 text; 'cp1252' fits"):
        run(b"id,at,addr\n1,01/02/2024,a\n2,01/02/2024,\xe9\n")


@pytest.mark.parametrize(
    ("declared", "actual", "fits"),
    [
        ("cp1252", "utf-8", "utf-8"),
        ("latin-1", "utf-8", "utf-8"),
        ("latin-1", "cp1252", "cp1252"),
        ("utf-16", "utf-8", "utf-8"),
        ("ascii", "cp1252", "cp1252"),
    ],
)
def test_a_wrong_encoding_in_the_map(run, declared: str, actual: str, fits: str) -> None:
    data = "id,at,addr\n1,01/02/2024,Caf\u00e9 \u2019\n".encode(actual)
    with pytest.raises(ImportRefused, match=f"'{fits}' fits"):
        run(data, f"encoding: {declared}\n" + MAP)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_the_right_encoding(run, encoding: str) -> None:
    data = "id,at,addr\n1,01/02/2024,Caf\u00e9\n".encode(encoding)
    reading = run(data, f"encoding: {encoding}\n" + MAP)
    assert bodies(reading)[0]["property"]["address"]["line1"] == "Caf\u00e9"


def test_dirty_rows_among_good_ones(run) -> None:
    data = (
        "id,at,addr\r\n1,01/02/2024,a,\r\n\r\n2,01/02/2024\r\n3,01/02/2024,x,y\r\n"
        '4,01/02/2024,"two\r\nlines"\r\n5,13/45/2024,z\r\n'
    )
    reading = run(data)
    assert [body["source_id"] for body in bodies(reading)] == ["1", "4"]
    assert reading.rows == 5
    assert [(row, reason[:40]) for row, _, reason in reasons(reading)] == [
        (4, "has 2 cells, the header has 3"),
        (5, "has 4 cells, the header has 3"),
        (7, "'13/45/2024' is no time of the form %m/%"),
    ]


def test_other_delimiters_are_told_by_the_header(run) -> None:
    assert len(run(CSV.replace(",", ";")).inspections) == 2
    assert len(run(CSV.replace(",", "\t")).inspections) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="does not exist"):
        read(load_map("boston"), tmp_path / "none.csv")
    with pytest.raises(ImportRefused, match=r"a folder without any \.csv"):
        read(load_map("boston"), tmp_path)


# JSON -------------------------------------------------------------------------------------

JSON_MAP = """\
format: json
source: test
timezone: America/New_York
fields:
  source_id: {column: id}
  inspected_at: {column: visit.at}
  property.address.line1: {column: places.0.street}
  property.latitude: {column: point.lat, required: false}
  property.longitude: {column: point.lon, required: false}
"""
RECORDS = [
    {"id": 7, "visit": {"at": "2024-01-02"}, "places": [{"street": "1 Elm St"}]},
    {
        "id": "008",
        "visit": {"at": "2024-01-02"},
        "places": [{"street": "2 Elm St"}],
        "point": {"lat": 40.5, "lon": -71},
    },
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"meta": [1], "features": r}])
def test_json_lists_and_the_list_in_an_object(run, indent, wrap) -> None:
    reading = run(json.dumps(wrap(RECORDS), indent=indent), JSON_MAP, "e.json")
    assert reading.rejects == []
    assert [body["source_id"] for body in bodies(reading)] == ["7", "008"]
    assert bodies(reading)[1]["property"] == {
        "address": {"line1": "2 Elm St"},
        "latitude": 40.5,
        "longitude": -71.0,
    }


def test_a_long_list_is_read_in_pieces(run, monkeypatch) -> None:
    monkeypatch.setattr("handoff_cli.inspection_import.jsonstream.CHUNK", 7)
    many = [{**RECORDS[0], "id": n, "pad": '\u00e9 \\"' * 3} for n in range(30)]
    reading = run(json.dumps(many, ensure_ascii=False), JSON_MAP, "e.json")
    assert [body["source_id"] for body in bodies(reading)] == [str(n) for n in range(30)]


def test_json_lines_and_files(run, tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(record) for record in RECORDS)
    reading = run(
        lines + '\n\n{"id": 3, \n[1]\n', JSON_MAP.replace("json\n", "json-lines\n"), "e.jsonl"
    )
    assert len(reading.inspections) == 2
    assert [row for row, _, _ in reasons(reading)] == [4, 5]
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, record in enumerate(RECORDS):
        (folder / f"{number}.json").write_text(json.dumps(record))
    (folder / "broken.json").write_text('{"id": 1,\n "visit')
    (tmp_path / "files.yaml").write_text(JSON_MAP.replace("json\n", "json-files\n"))
    map_ = load_map(str(tmp_path / "files.yaml"))
    reading = read(map_, folder)
    assert (len(reading.inspections), reading.rows) == (2, 3)
    assert reading.rejects[0].file == "broken.json"
    assert reading.rejects[0].reason.startswith("line 2: is no JSON at character 2")
    assert len(read(map_, folder / "1.json").inspections) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(RECORDS)[:-20], "line 1, character"),
        ('[\n{"id": 1},\n{"id": \n', "line 4, character 1: Expecting value; the file is cut off"),
        ('[\n{"id": 1}\n', "line 3, character 1: expected ',', found the end of the file"),
        ('[\n{"id": 1},\n{"id" 2}]', "line 3, character 7: Expecting ':' delimiter"),
        ('[{"id": 1}] x', "line 1, character 13: something follows"),
        ("id,at\n1,2\n", "line 1, character 1: Expecting value"),
        ("5", "neither a list nor an object"),
        ("[" * 100_000, "nested too deeply"),
        (
            json.dumps([{"idd": 1, "visit": {"on": "2024-01-01"}}]),
            "has no column 'id' (nearest: 'idd'); there are: idd, visit.on",
        ),
    ],
)
def test_a_broken_json_has_one_clear_message(run, text: str, words: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        run(text, JSON_MAP, "e.json")
    assert words in str(refused.value)


def test_an_empty_list_is_no_mistake(run) -> None:
    assert run("[]", JSON_MAP, "e.json").rows == 0


def test_an_object_where_a_value_should_be(run) -> None:
    records = [*RECORDS, {"id": 9, "visit": {"at": {"day": 1}}, "places": []}]
    reading = run(json.dumps(records), JSON_MAP, "e.json")
    assert reasons(reading) == [
        (3, "visit.at", "holds an object, not a value; name a part of it, such as 'visit.at.day'")
    ]


# Rejects ----------------------------------------------------------------------------------


def test_the_rejects_file(run, tmp_path: Path) -> None:
    data = 'id,at,addr,row\n1,,"a, b",z\n2,01/02/2024,x,y\n'
    path = tmp_path / "rejects.csv"
    write_rejects(path, run(data).rejects)
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["row", "column", "reason", "id", "at", "addr", "row (source)"],
            ["2", "at", "is empty", "1", "", "a, b", "z"],
        ]


@pytest.mark.parametrize("bad", ["250 E\x00lm", "250 \ud83d Elm"])
def test_text_that_no_database_holds_rejects_its_row(run, tmp_path: Path, bad: str) -> None:
    """Else the doorway would refuse the whole batch, and name no row."""
    map_ = MAP.replace("format: csv", "format: json", 1)
    records = [{"id": str(n), "at": "01/02/2024", "addr": "1 Elm"} for n in range(3)]
    records[1]["addr"] = bad
    reading = run(json.dumps(records), map_, "x.json")
    assert [(r.row, r.column) for r in reading.rejects] == [(2, "addr")]
    assert "half of a surrogate pair" in reading.rejects[0].reason
    assert len(reading.inspections) == 2
    write_rejects(tmp_path / "r.csv", reading.rejects)
    assert (tmp_path / "r.csv").read_bytes().count(b"\n") == 2


def test_a_zones_name_is_no_part_of_a_time(run) -> None:
    """strptime reads %Z and forgets it: a time in UTC would become the city's."""
    with pytest.raises(FileRefused, match="%Z, a zone's name"):
        run(CSV, MAP.replace("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M %Z"))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAP)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ImportRefused, match="neither a file nor a folder"):
        read(load_map(str(tmp_path / "map.yaml")), tmp_path / "pipe.csv")


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAP)
    path = tmp_path / "e.csv"
    path.write_text("id,at,addr\n" + "1,01/02/2024,x\n" * 2000)
    calls: list[tuple[int, int]] = []
    read(load_map(str(tmp_path / "map.yaml")), path, lambda *call: calls.append(call))
    size = path.stat().st_size
    assert calls[-1] == (size, size)
    assert len(calls) > 2
    assert calls == sorted(calls)
