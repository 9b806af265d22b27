"""The map language: what it takes, and what it says of mistakes."""

import re
from pathlib import Path

import pytest
from event_schemas.inbound import Address, FindingReport, InspectionReported, PropertyReport
from handoff_cli.inspection_import import FileRefused, load_map, read, shipped_maps
from handoff_cli.inspection_import.rules import render, template_columns
from handoff_cli.inspection_import.targets import FINDING_TARGETS, INSPECTION_TARGETS
from hypothesis import given
from hypothesis import strategies as st

PAGE = Path(__file__).parents[2] / "docs" / "integrating" / "maps.md"
GOOD = """\
format: csv
source: test
timezone: America/New_York
fields:
  source_id: {column: id}
  inspected_at: {column: at, format: "%m/%d/%Y"}
  property.address.line1: {column: addr}
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str) -> str:
        path = tmp_path / "map.yaml"
        path.write_text(text)
        return str(path)

    return _write


def test_shipped_maps_load() -> None:
    assert {"boston", "long-beach", "new-york"} <= set(shipped_maps())
    assert len(load_map("new-york").alternatives) == 1
    for name in shipped_maps():
        assert load_map(name).name.endswith("inspections.yaml")


def test_targets_are_those_of_the_api() -> None:
    def names(model: type, prefix: str = "") -> set[str]:
        return {prefix + (f.alias or n) for n, f in model.model_fields.items()}

    body = names(InspectionReported) - {"source", "property", "findings"}
    body |= names(PropertyReport, "property.") - {"property.address"}
    body |= names(Address, "property.address.")
    assert set(INSPECTION_TARGETS) == body
    assert set(FINDING_TARGETS) == names(FindingReport)


def test_defaults(write) -> None:
    map_ = load_map(write(GOOD))
    assert (map_.encoding, map_.group_by, map_.findings) == ("utf-8", None, {})
    assert map_.fields["source_id"].required
    assert map_.columns == ("id", "at", "addr")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("format: csv", "format: xls", 1, "'csv', 'xlsx', 'json', 'json-lines' or 'json-files'"),
        ("format: csv", "", 2, "format': is missing"),
        ("source: test", "sauce: test", 2, "did you mean 'source'"),
        ("America/New_York", "America/Boston", 3, "no known time zone"),
        ("timezone: America/New_York", "encoding: utf-9", 3, "no known encoding"),
        ("timezone: America/New_York", "encoding: base64", 3, "no known encoding"),
        ("{column: id}", "{colum: id}", 5, "did you mean 'column'"),
        ("{column: id}", "{column: id, value: x}", 5, "one of column, template, value"),
        ("{column: id}", "{required: false}", 5, "one of column, template, value"),
        ("{column: id}", "id", 5, "must be a rule such as"),
        ("{column: id}", "{template: 'a {id'}", 5, "single '{'"),
        ("{column: id}", "{template: abc}", 5, "names no column"),
        ("{column: id}", "{column: id, pattern: '('}", 5, "no regular expression"),
        ("{column: id}", "{column: id, format: '%Y'}", 5, "is no time"),
        ('"%m/%d/%Y"', "MM/DD/YYYY", 6, "no directive"),
        ('"%m/%d/%Y"', '"%m/%d"', 6, "no year"),
        ('"%m/%d/%Y"', '"%Y-%Q"', 6, "no time format"),
        ("  source_id: {column: id}\n", "", 4, "'source_id' is missing"),
        ("property.address.line1", "property.latitude", 4, "names no property"),
        ("property.address.line1", "property.address", 7, "is no field of an inspection"),
        ("property.address.line1", "property.adress.line1", 7, "'property.address.line1'?"),
        ("source: test", "source: test\nonly: {column: a}", 3, "needs one of in"),
        ("source: test", "source: test\nskip:\n  - {column: a, in: b}\n  - {in: c}", 5, "missing"),
        (
            "source: test",
            "source: test\nskip: {column: a, on: b}",
            3,
            "Allowed here: column, in, pattern",
        ),
        ("source: test", "source: test\nskip: {column: a, pattern: '('}", 3, "no regular expres"),
        ("source: test", "source: test\nheader: false", 3, "write 'id' by its place, such as '#1'"),
        ("source: test", "source: test\nheader: false\nheader_row: 2", 4, "there is none"),
        ("source: test", "source: test\nsheet: A", 3, "is for format xlsx"),
        ("source: test", "source: test\ndelimiter: '||'", 3, "at most 1 character"),
        ("source: test", "source: test\ndelimiter: '\"'", 3, "cannot be a quotation mark"),
        (
            "source: test",
            "source: test\nbounds:\n  {south: 42, north: 41, west: -71, east: -70}",
            3,
            "south must be less",
        ),
        ("source: test", "source: test\nkeywords: [{match: a, code: b}]", 3, "findings.text"),
        ("source: test", "source: test\nfindings: {cod: {column: x}}", 3, "Allowed: code, scheme"),
        (
            "source: test",
            "source: test\nfindings: {text: {column: x}}\nkeywords:\n  - {match: '[', code: b}",
            5,
            "no regular expression",
        ),
    ],
)
def test_mistakes_have_their_line(write, old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(FileRefused) as refused:
        load_map(write(GOOD.replace(old, new, 1)))
    assert any(
        fault.line == line and words in f"{fault.field}': {fault.message}"
        for fault in refused.value.faults
    ), str(refused.value)


def test_an_unknown_name(write) -> None:
    with pytest.raises(FileRefused, match=r"^atlantis: is no shipped map \(there are: .*boston"):
        load_map("atlantis")
    with pytest.raises(FileRefused, match="cannot be read"):
        load_map("none/such.yaml")


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x1c\x1d\x1e\x1f"), max_size=8)


@given(st.dictionaries(st.text("abc .#", min_size=1).map(str.strip).filter(bool), CELL, max_size=4))
def test_templates_render_their_columns(cells: dict[str, str]) -> None:
    template = "{{" + " - ".join("{" + name + "}" for name in cells) + "}}"
    assert template_columns(template) == tuple(cells)
    rendered = render(template, cells)
    if not any(cells.values()):
        assert rendered == ""
    else:
        assert rendered == " ".join(("{" + " - ".join(cells.values()) + "}").split())


def test_a_template_leaves_no_gaps() -> None:
    assert render("{a} {b} {c}", {"a": "12", "b": "", "c": "Milk St"}) == "12 Milk St"
    assert render("{a} 23:59", {"a": ""}) == ""


# The page about maps


def test_every_map_on_the_page_loads(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(format: .*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block)
        assert load_map(str(path)).fields


def test_the_page_s_map_of_a_city_of_ones_own_reads_its_export(tmp_path: Path) -> None:
    part = PAGE.read_text().partition("## A city of your own")[2]
    rows, map_ = (
        re.search(rf"```{kind}\n(.*?)```", part, re.DOTALL).group(1) for kind in ("csv", "yaml")
    )
    (tmp_path / "export.csv").write_text(rows, encoding="iso-8859-1")
    (tmp_path / "mine.yaml").write_text(map_)
    reading = read(load_map(str(tmp_path / "mine.yaml")), tmp_path / "export.csv")
    assert reading.rejects == []
    first, second = (one.body for one in reading.inspections)
    assert first["inspected_at"] == "2025-12-31T09:30:00+01:00"
    assert first["property"]["address"] == {"line1": "Brückenstraße 4 a", "postal_code": "10115"}
    assert {(f["code"], f["status"]) for f in first["findings"]} == {
        ("mold", "open"),
        ("rodents", "closed"),
    }
    assert second["inspected_at"] == "2026-01-02T00:00:00+01:00"
    assert second["findings"] == []
