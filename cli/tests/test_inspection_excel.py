"""Workbooks of Excel, made here cell by cell."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from handoff_cli.inspection_import import ImportRefused, load_map, read

MAP = """\
format: xlsx
source: test
timezone: America/Chicago
fields:
  source_id: {column: Case}
  inspected_at: {column: Visited}
  property.address.line1: {column: Address}
  property.latitude: {column: Lat, required: false}
  property.longitude: {column: Lon, required: false}
findings:
  code: {column: Code}
  text: {column: Note, required: false}
"""
HEADER = ["Case", "Visited", "Address", "Lat", "Lon", "Code", "Note"]
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
# Styles of cells by their place: plain, a built-in date, a city's own format, money, elapsed hours.
_STYLES = f"""<styleSheet {_MAIN}>
<numFmts><numFmt numFmtId="164" formatCode="[$-409]d/m/yy\\ h:mm"/>
<numFmt numFmtId="165" formatCode="&quot;days&quot; #,##0.00"/></numFmts>
<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/>
<xf numFmtId="46"/></cellXfs></styleSheet>"""


def _link(name: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{name}" Type="{_REL}/{kind}" Target="{target}"/>'


_STYLES_AND_TEXTS = _link("styles", "styles", "styles.xml") + _link(
    "texts", "sharedStrings", "sharedStrings.xml"
)


class Raw(str):
    """A cell's own XML; its reference is put in where it has none."""

    __slots__ = ()


def date(days: float, style: int = 1) -> Raw:
    return Raw(f'<c s="{style}"><v>{days}</v></c>')


def _cell(value: Any, texts: list[str], reference: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Raw):
        if " r=" in value:
            return value
        return value.replace("<c", f'<c r="{reference}"', 1)
    if isinstance(value, str):
        texts.append(value)
        return f'<c r="{reference}" t="s"><v>{len(texts) - 1}</v></c>'
    return f'<c r="{reference}"><v>{value!r}</v></c>'


def workbook(
    path: Path,
    sheets: dict[str, Sequence[Sequence[Any]]],
    extra: str = "",
    instead: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """A workbook with these rows; an empty row is left out, as Excel does.

    ``instead``: parts that are written in place of the usual ones, by their names.
    """
    texts: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        links, names = "", ""
        for at, (name, rows) in enumerate(sheets.items(), start=1):
            told = "".join(
                f'<row r="{n}">'
                + "".join(_cell(v, texts, f"{chr(65 + c)}{n}") for c, v in enumerate(row))
                + "</row>"
                for n, row in enumerate(rows, start=1)
                if row
            )
            part = f"<worksheet {_MAIN}><sheetData>{told}</sheetData></worksheet>"
            book.writestr(f"xl/worksheets/sheet{at}.xml", part)
            links += _link(f"rId{at}", "worksheet", f"worksheets/sheet{at}.xml")
            names += f'<sheet name="{name}" sheetId="{at}" r:id="rId{at}"/>'
        book.writestr(
            "xl/workbook.xml",
            f'<workbook {_MAIN} xmlns:r="{_REL}">{extra}<sheets>{names}</sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}">{links}{_STYLES_AND_TEXTS}</Relationships>',
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}">'
            f"{_link('rId1', 'officeDocument', 'xl/workbook.xml')}</Relationships>",
        )
        book.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        book.writestr("xl/styles.xml", instead.get("xl/styles.xml", _STYLES))
        shared = "".join(f"<si><r><t>{t[:1]}</t></r><r><t>{t[1:]}</t></r></si>" for t in texts)
        table = instead.get("xl/sharedStrings.xml", f"<sst {_MAIN}>{shared}</sst>")
        book.writestr("xl/sharedStrings.xml", table)
    return path


@pytest.fixture
def run(tmp_path: Path):
    def _run(
        rows: Sequence[Sequence[Any]],
        map_: str = MAP,
        extra: str = "",
        parts: dict[str, str] | None = None,
    ):
        (tmp_path / "map.yaml").write_text(map_)
        sheets = {"Visits": rows, "Other": [["x"]]}
        path = workbook(tmp_path / "export.xlsx", sheets, extra, parts or {})
        return read(load_map(str(tmp_path / "map.yaml")), path)

    return _run


def bodies(reading) -> dict[str, dict[str, Any]]:
    return {one.body["source_id"]: one.body for one in reading.inspections}


ROWS = [
    ["Housing visits, printed monthly"],
    [],
    HEADER,
    [1001.0, date(45292.395833333336, 2), "12 Oak Ave", 41.88, -87.63, "C-1", "no heat"],
    [1002, date(45293), "14 Oak Ave", None, None, 7, None],
    [],
    [None, Raw('<c s="1"/>'), None],
    [1003, "yesterday", "16 Oak Ave", None, None, "C-2"],
    [1004, date(45294), "18 Oak Ave", None, None, "C-2", None, "a note beside the table"],
]


def test_a_sheet_with_a_title_above_its_header(run) -> None:
    reading = run(ROWS, "header_row: 3\n" + MAP)
    found = bodies(reading)
    assert found["1001"] == {
        "source": "test",
        "source_id": "1001",
        "inspected_at": "2024-01-01T09:30:00-06:00",
        "property": {"address": {"line1": "12 Oak Ave"}, "latitude": 41.88, "longitude": -87.63},
        "findings": [{"code": "C-1", "text": "no heat"}],
    }
    assert found["1002"]["inspected_at"] == "2024-01-02T00:00:00-06:00"
    assert found["1002"]["findings"] == [{"code": "7"}]
    # Rows are counted as Excel shows them; blank ones are no rows.
    assert [(one.row, one.column) for one in reading.rejects] == [(8, "Visited"), (9, None)]
    assert reading.rejects[1].reason == "has 8 cells, the header has 7"
    assert reading.rows == 4


def test_a_title_that_the_map_does_not_know_of_names_what_is_there(run) -> None:
    with pytest.raises(ImportRefused, match=r"xlsx:1: has no columns 'Case'.* there are: Housing"):
        run(ROWS)


def test_kinds_of_cells(run) -> None:
    rows = [
        HEADER,
        [
            Raw('<c t="inlineStr"><is><t>A</t><rPh><t>ah</t></rPh><r><t>1</t></r></is></c>'),
            Raw('<c t="d"><v>2024-01-02T09:30:00</v></c>'),
            Raw('<c t="str"><f>B1</f><v>2 Elm &amp; Oak</v></c>'),
            None,
            None,
            Raw('<c s="3"><v>12.5</v></c>'),
            Raw('<c t="e"><v>#N/A</v></c>'),
        ],
        [Raw('<c t="b"><v>true</v></c>'), date(45292), "x", None, None, "C"],
        [Raw("<c><v>1.23456789012346E+17</v></c>"), date(45292), "x", None, None, "C"],
    ]
    reading = run(rows)
    (body,) = bodies(reading).values()
    assert body["source_id"] == "A1"
    assert body["inspected_at"] == "2024-01-02T09:30:00-06:00"
    assert body["property"]["address"]["line1"] == "2 Elm & Oak"
    assert body["findings"] == [{"code": "12.5"}]
    assert [(one.row, one.column) for one in reading.rejects] == [(3, "Case"), (4, "Case")]


def test_a_date_and_a_time_in_two_columns(run) -> None:
    map_ = MAP.replace("{column: Visited}", '{template: "{Visited} {Lat}"}')
    map_ = map_.replace("  property.latitude: {column: Lat, required: false}\n", "")
    map_ = map_.replace("  property.longitude: {column: Lon, required: false}\n", "")
    rows = [HEADER, ["1", date(45292), "x", date(0.395833333336, 2), None, "C"]]
    rows.append(["2", date(45292), "x", None, None, "C"])
    found = bodies(run(rows, map_))
    assert found["1"]["inspected_at"] == "2024-01-01T09:30:00-06:00"
    assert found["2"]["inspected_at"] == "2024-01-01T00:00:00-06:00"


def test_the_calendar_of_1904(run) -> None:
    rows = [HEADER, ["1", date(43830), "x", None, None, "C"]]
    found = bodies(run(rows, extra='<workbookPr date1904="1"/>'))
    assert found["1"]["inspected_at"] == "2024-01-01T00:00:00-06:00"


def test_a_sheet_by_its_name(run) -> None:
    with pytest.raises(ImportRefused, match="has no sheet 'Cases'; there are: Visits, Other"):
        run([HEADER], "sheet: Cases\n" + MAP)
    with pytest.raises(ImportRefused, match="there are: x"):
        run([HEADER], "sheet: Other\n" + MAP)


def test_a_sheet_without_a_header(run) -> None:
    map_ = "header: false\n" + MAP.split("fields:", maxsplit=1)[0]
    map_ += (
        'fields:\n  source_id: {column: "#1"}\n  inspected_at: {column: "#2"}\n'
        '  property.address.line1: {column: "#3"}\n'
    )
    assert set(bodies(run(ROWS[3:5], map_))) == {"1001", "1002"}


def test_what_is_no_workbook(run, tmp_path: Path) -> None:
    run([HEADER])
    map_, path = load_map(str(tmp_path / "map.yaml")), tmp_path / "export.xlsx"
    whole = path.read_bytes()
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as book:
        book.writestr("readme.txt", "nothing")
    for data, words in (
        (b"", "is empty"),
        (whole[: len(whole) // 2], "is it cut off?"),
        (b"Case,Visited\n", "is no Excel workbook"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "an old Excel file"),
        ((tmp_path / "other.xlsx").read_bytes(), "is a zip file, but no Excel workbook"),
        (whole.replace(b"xl/styles.xml", b"xl/stylez.xml", 1), "broken workbook"),
    ):
        path.write_bytes(data)
        with pytest.raises(ImportRefused) as refused:
            read(map_, path)
        assert words in str(refused.value)


def test_entities_are_not_unfolded(run) -> None:
    grown = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    part = f'<!DOCTYPE sst [<!ENTITY a0 "much">{grown}]><sst {_MAIN}><si><t>&a11;</t></si></sst>'
    with pytest.raises(ImportRefused, match=r"is a broken workbook.*unrecognized entity"):
        run([HEADER], parts={"xl/sharedStrings.xml": part})


def test_a_table_that_begins_in_the_middle_of_the_sheet(run) -> None:
    rows = [[], [], *([None, None, *row] for row in ROWS[2:5])]
    assert set(bodies(run(rows))) == {"1001", "1002"}
    rows.append([None, None, None, "today", "9 Oak Ave", None, None, "C-1"])
    assert [(one.row, one.column) for one in run(rows).rejects] == [(6, "Case")]


def test_a_cell_far_from_the_table_is_named(run) -> None:
    far = Raw('<c r="XFD1048576"><v>1</v></c>')
    with pytest.raises(ImportRefused, match=r"reaches to the cell XFD1048576 in xl/worksheets"):
        run([*ROWS[2:5], [far]])
    # Styled to the edge of the sheet, as whole columns and rows are, but holding nothing.
    run([*ROWS[2:5], [Raw('<c r="XFD1048576" s="1"/>')]])


def test_how_a_sheet_looks_does_not_matter(run) -> None:
    """Exporters write looks that Excel forgives; a reader that models them refuses the file."""
    looks = _STYLES.replace("<cellXfs>", '<fills><fill/></fills><fonts count="x"/><cellXfs>')
    reading = run(ROWS[2:5], parts={"xl/styles.xml": looks})
    assert bodies(reading)["1001"]["inspected_at"] == "2024-01-01T09:30:00-06:00"


def test_a_damaged_workbook_is_refused_wherever_the_damage_is(run, tmp_path: Path) -> None:
    run(ROWS, "header_row: 3\n" + MAP)
    map_, path = load_map(str(tmp_path / "map.yaml")), tmp_path / "export.xlsx"
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read(map_, path)
        except ImportRefused as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 50


def test_a_part_that_unpacks_to_too_much_is_refused(run, monkeypatch) -> None:
    monkeypatch.setattr("handoff_cli.inspection_import.xlsxrows.MAX_PART", 200)
    with pytest.raises(ImportRefused, match="holds more than 0 MiB in xl/"):
        run(ROWS, "header_row: 3\n" + MAP)


def test_progress_moves(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(MAP)
    rows = [HEADER, *([str(n), date(45292), f"{n} Elm", None, None, "C"] for n in range(3000))]
    path = workbook(tmp_path / "export.xlsx", {"Visits": rows})
    calls: list[tuple[int, int]] = []
    reading = read(load_map(str(tmp_path / "map.yaml")), path, lambda *call: calls.append(call))
    assert len(reading.inspections) == 3000
    size = path.stat().st_size
    assert calls[-1] == (size, size)
    assert len(calls) > 2
    assert calls == sorted(calls)


def test_a_csv_map_on_a_workbook_says_what_to_write(run, tmp_path: Path) -> None:
    run([HEADER])
    (tmp_path / "csv.yaml").write_text(MAP.replace("xlsx", "csv"))
    with pytest.raises(ImportRefused, match="the map says 'format: xlsx'"):
        read(load_map(str(tmp_path / "csv.yaml")), tmp_path / "export.xlsx")
