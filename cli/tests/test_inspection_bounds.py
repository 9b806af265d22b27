"""What cannot be meant: times that stand for none, points of nowhere, numbers that are no ids."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.exports import bodies_by_id, read_export

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
MAP = """\
format: csv
source: test
timezone: America/New_York
fields:
  source_id: {column: id}
  inspected_at: {column: at, format: "%Y-%m-%d"}
  property.address.line1: {column: addr, required: false}
"""
POINT = """\
  property.latitude: {column: lat, required: false}
  property.longitude: {column: lon, required: false}
"""


@pytest.fixture
def run(tmp_path: Path):
    def _run(map_: str, data: Any):
        return read_export(tmp_path, map_, data, now=NOW)

    return _run


def reasons(reading) -> list[tuple[int, str | None, str]]:
    return [(one.row, one.column, one.reason) for one in reading.rejects]


# Times


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("1900-01-01", "before 1900-01-02"),
        ("0001-01-01", "before there were time zones"),
        ("2026-03-04", "more than a day ahead"),
        ("9999-12-31", "more than a day ahead"),
        ("2026-03-03", None),
        ("1900-01-02", None),
    ],
)
def test_an_inspection_has_happened(run, at: str, reason: str | None) -> None:
    reading = run(MAP, f"id,at,addr\n1,{at},x\n2,2026-03-01,x\n")
    assert set(bodies_by_id(reading)) == ({"2"} if reason else {"1", "2"})
    if reason:
        ((row, column, why),) = reasons(reading)
        assert (row, column) == (2, "at")
        assert reason in why
        assert at in why


def test_a_time_that_stands_for_none_does_not_win(run) -> None:
    rows = "id,at,addr\n1,2026-01-02,real\n1,9999-12-31,forever\n"
    reading = run(MAP, rows)
    assert bodies_by_id(reading)["1"]["property"]["address"]["line1"] == "real"
    assert len(reading.rejects) == 1


FINDINGS = """\
findings:
  code: {column: code}
  issued_at: {column: issued, format: "%Y-%m-%d", required: false}
  deadline: {column: due, format: "%Y-%m-%d", required: false}
"""
FINDING_ROWS = """\
id,at,addr,code,issued,due
1,2026-01-02,x,A,1900-01-01,
2,2026-01-02,x,A,2026-01-03,9999-12-31
3,2026-01-02,x,A,2027-01-03,
4,2026-01-02,x,A,2026-01-03,2026-12-31
"""


def test_the_times_of_a_finding(run) -> None:
    reading = run(MAP + FINDINGS, FINDING_ROWS)
    assert [(row, column) for row, column, _ in reasons(reading)] == [
        (2, "issued"),
        (3, "due"),
        (4, "issued"),
    ]
    assert reading.rejects[1].reason.startswith("9999-12-31 00:00:00-05:00 cannot be meant")
    assert reading.rejects[1].reason.endswith("Name what stands for none under 'empty' in the map.")


def test_what_the_map_calls_empty_is_empty_everywhere(run) -> None:
    map_ = "empty: [1900-01-01, 9999-12-31, N/A]\n" + MAP + FINDINGS
    rows = FINDING_ROWS + "5,9999-12-31,x,A,,\nN/A,2026-01-02,x,A,,\n"
    reading = run(map_, rows)
    assert reasons(reading) == [
        (4, "issued", reading.rejects[0].reason),
        (6, "at", "is empty"),
        (7, "id", "is empty"),
    ]
    assert bodies_by_id(reading)["1"]["findings"] == [{"code": "A"}]
    assert "deadline" not in bodies_by_id(reading)["2"]["findings"][0]
    # The row is told as it was.
    assert reading.rejects[1].raw["at"] == "9999-12-31"


@pytest.mark.parametrize(
    ("form", "given", "meant"),
    [
        ("excel", "45292", "2024-01-01T00:00:00-05:00"),
        ("excel", "45292.395833333336", "2024-01-01T09:30:00-05:00"),
        ("excel", "45292,5", "2024-01-01T12:00:00-05:00"),
        ("excel-1904", "43830.5", "2024-01-01T12:00:00-05:00"),
        ('["%m/%d/%Y", excel]', "45292", "2024-01-01T00:00:00-05:00"),
        ('["%m/%d/%Y", excel]', "01/02/2024", "2024-01-02T00:00:00-05:00"),
        ('["%m/%d/%Y", iso]', "2024-01-02T09:30", "2024-01-02T09:30:00-05:00"),
        ("excel", "-1", None),
        ("excel", "1", None),
        ("excel", "2958465", None),
        ("excel", "20240101000000", None),
        ("excel", "nan", None),
        ("iso", "45292", None),
    ],
)
def test_days_as_excel_counts_them(run, form: str, given: str, meant: str | None) -> None:
    reading = run(MAP.replace('"%Y-%m-%d"', form), f'id,at,addr\n1,"{given}",x\n')
    found = [body["inspected_at"] for body in bodies_by_id(reading).values()]
    assert found == ([meant] if meant else [])
    assert [column for _, column, _ in reasons(reading)] == ([] if meant else ["at"])


# Points


@pytest.mark.parametrize(
    ("lat", "lon", "column", "reason"),
    [
        ("-97.74", "30.27", "lat", "-97.74 is no latitude, which lies within 90 and -90; are lat"),
        ("-71.06", "42.36", "lat", "-71.06 is a latitude at which nobody lives; are latitude and"),
        ("42.36", "-710.6", "lon", "-710.6 is no longitude, which lies within 180 and -180; east"),
        ("91", "95", "lat", "91.0 is no latitude, which lies within 90 and -90"),
        ("583960", "4507523", "lat", "583960.0 is no latitude, which lies within 90 and -90; east"),
    ],
)
def test_a_point_that_cannot_be(run, lat: str, lon: str, column: str, reason: str) -> None:
    reading = run(MAP + POINT, f"id,at,addr,lat,lon\n1,2026-01-02,x,{lat},{lon}\n")
    ((_, found, why),) = reasons(reading)
    assert found == column
    assert why.startswith(reason)
    assert ("swapped?" in why) == ("are" in reason)


def test_the_point_of_nothing_is_no_point(run) -> None:
    rows = "id,at,addr,lat,lon\n1,2026-01-02,1 Elm,0,0.0\n2,2026-01-02,,0.000,0\n"
    reading = run(MAP + POINT, rows)
    assert bodies_by_id(reading)["1"]["property"] == {"address": {"line1": "1 Elm"}}
    assert [(row, why.split(":")[0]) for row, _, why in reasons(reading)] == [
        (3, "names no property")
    ]


def test_a_box_tells_what_the_globe_does_not(run) -> None:
    """In much of Europe and Africa two swapped coordinates are another good point."""
    box = "bounds: {south: 52.3, north: 52.7, west: 13, east: 13.8}\n"
    rows = "id,at,addr,lat,lon\n1,2026-01-02,x,52.5,13.4\n2,2026-01-02,x,13.4,52.5\n"
    rows += "3,2026-01-02,x,48.1,11.6\n4,2026-01-02,x,0,0\n"
    reading = run(box + MAP + POINT, rows)
    assert set(bodies_by_id(reading)) == {"1", "4"}
    outside = "lies outside of the map's bounds"
    assert reasons(reading) == [
        (3, "lat, lon", f"13.4, 52.5 {outside}; are latitude and longitude swapped?"),
        (4, "lat, lon", f"48.1, 11.6 {outside}"),
    ]


def test_a_box_may_cross_the_date_line(run) -> None:
    box = "bounds: {south: -20, north: -12, west: 177, east: -178}\n"
    rows = "id,at,addr,lat,lon\n1,2026-01-02,x,-17,178.5\n2,2026-01-02,x,-17,-179\n"
    reading = run(box + MAP + POINT, rows + "3,2026-01-02,x,-17,0\n")
    assert set(bodies_by_id(reading)) == {"1", "2"}


# Numbers of JSON


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("4", "4"),
        ("4.0", "4"),
        ("-3.0", "-3"),
        ("9007199254740993", "9007199254740993"),
        ("12.5", "12.5"),
        ("0.00001", "0.00001"),
        ('"4.0"', "4.0"),
        ("1e3", "1000"),
        ("1e+22", "whose last digits are lost"),
        ("9007199254740994.0", "whose last digits are lost"),
        ("NaN", "is NaN, which is no value"),
        ("-Infinity", "is -Infinity, which is no value"),
        ("true", "is true, which is no id"),
        ('"1.23457E+11"', "a spreadsheet has rounded"),
        ("[4]", "holds a list"),
    ],
)
def test_a_number_as_an_id(run, given: str, meant: str) -> None:
    map_ = MAP.replace("csv", "json")
    text = f'[{{"id": {given}, "at": "2026-01-02", "addr": "x"}}]'
    reading = run(map_, text)
    if bodies_by_id(reading):
        assert list(bodies_by_id(reading)) == [meant]
    else:
        assert [(row, column) for row, column, _ in reasons(reading)] == [(1, "id")]
        assert meant in reading.rejects[0].reason


def test_nan_may_be_named_empty(run) -> None:
    """As a table of Python's writes a missing number."""
    map_ = "empty: [NaN]\n" + MAP.replace("csv", "json") + POINT
    row = '{"id": 7.0, "at": "2026-01-02", "addr": "x", "lat": NaN, "lon": NaN}'
    reading = run(map_, f"[{row}]")
    assert bodies_by_id(reading)["7"]["property"] == {"address": {"line1": "x"}}


def test_a_small_longitude_is_a_number_still(run) -> None:
    map_ = MAP.replace("csv", "json") + POINT
    row = {"id": 1, "at": "2026-01-02", "lat": 51.5, "lon": -1.5e-05}
    assert bodies_by_id(run(map_, [row]))["1"]["property"] == {
        "latitude": 51.5,
        "longitude": -1.5e-05,
    }
