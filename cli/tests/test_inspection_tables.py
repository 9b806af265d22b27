"""Tables as they come: without names, with too many rows, with a broken cell among good ones."""

from pathlib import Path

import pytest
from handoff_cli.inspection_import import ImportRefused
from support.exports import MAP, read_export, reasons


@pytest.fixture
def run(tmp_path: Path):
    def _run(data: str | bytes, map_: str = MAP, name: str = "export.csv"):
        return read_export(tmp_path, map_, data, name)

    return _run


def ids(reading) -> list[str]:
    return [one.body["source_id"] for one in reading.inspections]


# Rows that are meant

ROWS = """\
id,at,addr,status,type
1,01/02/2024,a,OPEN,Housing
2,01/02/2024,a,VOID,Housing
3,01/02/2024,a,OPEN,Permit - new
4,01/02/2024,a,,Housing
5,never,a,VOID,Housing
6,never,a,OPEN,Housing
7,01/02/2024
"""


@pytest.mark.parametrize(
    ("keys", "taken", "left_out", "rejected"),
    [
        ("only: {column: status, in: [OPEN, CLOSED]}", ["1", "3"], 3, [7, 8]),
        ("only: {column: status, in: OPEN}", ["1", "3"], 3, [7, 8]),
        ("skip: {column: status, in: [VOID, '']}", ["1", "3"], 3, [7, 8]),
        ("skip: {column: type, pattern: '^Permit'}", ["1", "2", "4"], 1, [6, 7, 8]),
        (
            "only: {column: type, in: [Housing]}\nskip:\n  - {column: status, in: [VOID]}\n"
            "  - {column: id, in: [4]}",
            ["1"],
            4,
            [7, 8],
        ),
        (
            "only:\n  - {column: type, in: [Housing]}\n  - {column: status, pattern: 'V|^$'}",
            ["2", "4"],
            3,
            [6, 8],
        ),
        ("only: {column: status, in: [open]}", [], 6, [8]),
    ],
)
def test_a_map_leaves_rows_out_and_counts_them(run, keys, taken, left_out, rejected) -> None:
    reading = run(ROWS, f"{keys}\n{MAP}")
    assert (ids(reading), reading.left_out) == (taken, left_out)
    assert [row for row, _, _ in reasons(reading)] == rejected
    assert reading.rows == 7


def test_what_the_map_calls_empty_is_so_to_a_condition(run) -> None:
    reading = run(ROWS, "empty: [VOID]\nskip: {column: status, in: ['']}\n" + MAP)
    assert (ids(reading), reading.left_out) == (["1", "3"], 3)


@pytest.mark.parametrize("map_", [MAP, MAP.replace("csv", "json")])
def test_a_condition_on_a_column_that_is_not_there(run, map_: str) -> None:
    data = ROWS if "csv" in map_ else '[{"id": 1, "at": "01/02/2024", "addr": "a", "status": "x"}]'
    with pytest.raises(ImportRefused, match=r"has no column 'state' \(nearest: 'status'\)"):
        run(data, "only: {column: state, in: [OPEN]}\n" + map_)


# Columns without a name of their own

PLACES = MAP.replace("{column: id}", '{column: "#1"}').replace("{column: addr}", '{column: "#3"}')
NO_HEADER = "header: false\n" + PLACES.replace("{column: at,", '{column: "#2",')


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_file_without_a_header(run, delimiter: str) -> None:
    rows = "1,01/02/2024,a,x\n\n2,01/02/2024,b,y\n3,01/02/2024\n"
    reading = run(rows.replace(",", delimiter), NO_HEADER)
    assert ids(reading) == ["1", "2"]
    assert reasons(reading) == [(4, None, "has 2 cells, the first row has 4")]
    assert reading.rejects[0].raw == {"#1": "3", "#2": "01/02/2024"}


def test_a_comma_inside_of_numbers_is_no_delimiter(run) -> None:
    assert ids(run("1;01/02/2024;a;52,5;13,4\n", NO_HEADER)) == ["1"]


def test_a_map_may_say_the_delimiter(run) -> None:
    rows = "id^at^addr, with a comma\n1^01/02/2024^a\n"
    map_ = "delimiter: '^'\n" + MAP.replace("column: addr", 'column: "addr, with a comma"')
    assert ids(run(rows, map_)) == ["1"]


def test_a_comma_in_a_header_of_semicolons(run) -> None:
    rows = "id;at;addr;street, number\n1;01/02/2024;a;b\n"
    assert ids(run(rows)) == ["1"]


def test_columns_by_place_where_names_stand_twice_or_are_missing(run) -> None:
    rows = "id,at,date,date,\n1,01/02/2024,a,b,c\n2,01/02/2024\n"
    map_ = PLACES + '  property.address.city: {column: "#4"}\n  kind: {column: "#5"}\n'
    reading = run(rows, map_)
    (body,) = [one.body for one in reading.inspections]
    assert body["property"]["address"] == {"line1": "a", "city": "b"}
    assert (body["source_id"], body["kind"]) == ("1", "c")
    with pytest.raises(ImportRefused, match=r"'date' twice .* by its place: #3 or #4"):
        run(rows, map_.replace('"#3"', "date"))


def test_a_name_that_stands_twice_and_is_not_read_does_no_harm(run) -> None:
    assert ids(run("id,at,addr,note,note\n1,01/02/2024,a,x,y\n")) == ["1"]


def test_a_place_beyond_the_row(run) -> None:
    with pytest.raises(ImportRefused, match="has no column #3; the first row has 2"):
        run("1,01/02/2024\n", NO_HEADER)
    with pytest.raises(ImportRefused, match="has no column '#3'"):
        run("id,at\n1,01/02/2024\n", PLACES)


# Cells and rows that are broken


def test_rows_that_spreadsheets_leave_at_the_end_are_passed_over(run) -> None:
    reading = run("id,at,addr\n1,01/02/2024,a\n,,\n2,01/02/2024,b\n ,\t, \n,,,,,\n")
    assert (ids(reading), reading.rejects, reading.rows) == (["1", "2"], [], 2)


def test_a_long_cell_that_is_not_read_is_no_fault(run) -> None:
    outline = '"POLYGON((' + "1 2, " * 60_000 + '))"'
    reading = run(f"id,at,addr,geom\n1,01/02/2024,a,{outline}\n2,01/02/2024,b,\n")
    assert ids(reading) == ["1", "2"]


def test_a_long_cell_that_is_read_rejects_its_row(run) -> None:
    reading = run(f"id,at,addr\n1,01/02/2024,{'y' * 200_000}\n2,01/02/2024,b\n")
    assert ids(reading) == ["2"]
    assert [(row, column) for row, column, _ in reasons(reading)] == [(2, "addr")]


def test_a_cell_that_is_too_long_for_any_use_has_its_line(run) -> None:
    rows = "id,at,addr\n1,01/02/2024,a\n2,01/02/2024," + "y" * 17_000_000 + "\n3,01/02/2024,b\n"
    with pytest.raises(ImportRefused, match=r"csv:3: a cell that begins here has more than 16 mil"):
        run(rows)


def test_a_nul_spoils_its_row_alone(run) -> None:
    rows = "id,at,addr,note\n1,01/02/2024,a\0b,\n2,01/02/2024,b,\0\n3,01/02/2024,c,x\n"
    reading = run(rows)
    assert ids(reading) == ["2", "3"]
    assert [(row, column) for row, column, _ in reasons(reading)] == [(2, "addr")]
    assert "NUL" in reading.rejects[0].reason


@pytest.mark.parametrize(
    "data", [b"id,at,addr\n1,\0\0\0\0\0\0\0\0\0,x\n", b"id,at,addr\n1,\0\xff,x\n" + b"x" * 99]
)
def test_what_is_mostly_nul_is_binary(run, data: bytes) -> None:
    with pytest.raises(ImportRefused, match="csv:2: is no text but a binary file"):
        run(data)


# Encodings


@pytest.mark.parametrize("declared", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["le", "be"])
def test_the_mark_of_utf16_says_which_end_comes_first(run, declared: str, end: str) -> None:
    data = "\ufeffid,at,addr\n1,01/02/2024,Caf\u00e9\n".encode(f"utf-16-{end}")
    reading = run(data, f"encoding: {declared}\n" + MAP)
    assert reading.inspections[0].body["property"]["address"]["line1"] == "Caf\u00e9"


def test_a_file_of_two_encodings_is_told_as_one(run) -> None:
    head = "id,at,addr\n1,01/02/2024,Caf\u00e9\n2,01/02/2024,\u00c9cole\n".encode()
    with pytest.raises(ImportRefused) as refused:
        run(head + "3,01/02/2024,Caf\u00e9\n".encode("cp1252"))
    said = str(refused.value)
    assert "csv:4: is not utf-8 text here (byte 17 of the line is 0xE9)" in said
    assert "mixes encodings" in said
    assert "cp1252" not in said


def test_a_mark_of_utf8_before_what_is_not(run) -> None:
    data = b"\xef\xbb\xbfid,at,addr\n1,01/02/2024,Caf\xe9\n"
    with pytest.raises(ImportRefused, match="csv:2: is not utf-8 text"):
        run(data)


def test_what_is_in_no_known_encoding_gets_no_advice_that_is_wrong(run) -> None:
    with pytest.raises(ImportRefused) as refused:
        run("id,at,addr\n1,01/02/2024,東京、\n".encode("shift_jis"))
    said = str(refused.value)
    assert "csv:2: is not utf-8 text here" in said
    assert "find out in which encoding" in said


def test_where_a_declared_encoding_breaks(run) -> None:
    data = "id,at,addr\n1,01/02/2024,東京都\n".encode("shift_jis") + b"2,01/02/2024,\xff\xfe\n"
    with pytest.raises(ImportRefused, match=r"csv:3: is not shift_jis text here \(byte 45 of the"):
        run(data, "encoding: shift_jis\n" + MAP)
