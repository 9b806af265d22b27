"""The shipped maps on the cities' real files, which are read where they are and never kept."""

import os
from collections import Counter
from pathlib import Path

import pytest
from handoff_cli.inspection_import import ImportRefused, load_map, read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("HANDOFF_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        reason = f"no shared data at {folder}; set HANDOFF_SHARED"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder / "01_inspections"


def test_boston(data: Path) -> None:
    path = data / "boston_ma" / "boston_isd_building_violations_2023-12-11.csv"
    reading = read(load_map("boston"), path)
    assert reading.rows == 14_670
    assert len(reading.inspections) == 14_450
    # Two rows, each a case of its own, have no time.
    assert [(one.column, one.reason) for one in reading.rejects] == [
        ("status_dttm", "is empty")
    ] * 2
    bodies = [one.body for one in reading.inspections]
    # 16 exact duplicates are the same finding.
    assert sum(len(body["findings"]) for body in bodies) == 14_670 - 2 - 16
    assert all(body["property"]["address_id"] for body in bodies)
    assert {body["property"]["address"].get("postal_code", "0")[0] for body in bodies} == {"0"}
    assert sum("text" not in finding for body in bodies for finding in body["findings"]) > 200
    first = next(body for body in bodies if body["source_id"] == "V719683")
    assert first["inspected_at"] == "2023-12-11T11:31:11-05:00"


def test_long_beach_csv(data: Path) -> None:
    path = data / "longbeach_ca" / "longbeach_open_cases_2016-11-04.csv"
    reading = read(load_map("long-beach"), path)
    assert reading.rows == 2_142
    # Ten cases name no place, nine of them geocoded to the middle of the city.
    assert len(reading.rejects) == 10
    assert {one.raw["address"] for one in reading.rejects} == {" "}
    assert len(reading.inspections) == 2_132
    bodies = [one.body for one in reading.inspections]
    assert sum("latitude" in body["property"] for body in bodies) == 1_483 - 9
    codes = Counter(f.get("code") for body in bodies for f in body["findings"])
    assert codes["pests"] > 200
    assert codes["smoke-alarm"] > 200
    assert codes[None] > 1_000
    several = [row for row in path.read_text().splitlines() if "1;3;4;7;9" in row]
    assert len(several) >= 10


def test_long_beach_json_agrees_with_the_csv(data: Path) -> None:
    folder, map_ = data / "longbeach_ca", load_map("long-beach")
    of_json, of_csv = (
        {one.body["source_id"]: one.body for one in read(map_, folder / name).inspections}
        for name in ("original_json_district6", "longbeach_open_cases_2016-11-04.csv")
    )
    assert len(of_json) == 336
    assert of_json.keys() <= of_csv.keys()
    for key, body in of_json.items():
        assert body["inspected_at"] == of_csv[key]["inspected_at"]
        assert body["property"]["address"]["line1"] == of_csv[key]["property"]["address"]["line1"]


def test_new_york(data: Path) -> None:
    map_ = load_map("new-york")
    reading = read(map_, data / "nyc_hpd" / "nyc_hpd_violations_100.csv")
    assert (reading.rows, len(reading.inspections), reading.rejects) == (100, 100, [])
    findings = [one.body["findings"][0] for one in reading.inspections]
    assert Counter(finding["class"] for finding in findings) == {"A": 22, "B": 55, "C": 20, "I": 3}
    assert sum("deadline" in finding for finding in findings) == 97
    complaints = read(map_, data / "nyc_hpd" / "nyc_hpd_complaints_problems_sample.csv")
    assert (complaints.rows, len(complaints.inspections), complaints.rejects) == (10, 6, [])
    assert all(one.body["source"] == "nyc-hpd-complaints" for one in complaints.inspections)


def test_a_wrong_city_names_the_nearest_column(data: Path) -> None:
    path = data / "sf_housing_health" / "sf_health_housing_violations_2012.csv"
    with pytest.raises(ImportRefused, match="has no columns 'case_no'"):
        read(load_map("boston"), path)
