"""Service areas against a city of two squares, side by side, and the words that name them."""

import json
from pathlib import Path

import pytest
from partner_svc.domain.directory import Area
from partner_svc.handlers.areas import AreasRefused, CityAreas


def square(x: float, y: float, size: float = 1.0) -> dict:
    ring = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(level: str, code: str, geometry: dict, **more: str) -> dict:
    return {
        "type": "Feature",
        "properties": {"level": level, "code": code, **more},
        "geometry": geometry,
    }


CITY = [
    feature(
        "city",
        "demo",
        {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]]]},
        name="Demo City",
    ),
    feature("district", "east", square(1, 0), name="East Side"),
    feature("district", "west", square(0, 0), name="Shared Name"),
    feature("neighbourhood", "mill", square(0, 0, 0.5), name="Shared Name"),
]


@pytest.fixture
def areas(tmp_path: Path) -> CityAreas:
    path = tmp_path / "areas.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": CITY}))
    return CityAreas.load(path)


def geojson(geometry: dict) -> dict:
    return {"extent": json.dumps(geometry), "extent_type": "geojson"}


def words(text: str, **more: str) -> dict:
    return {"extent": text, "extent_type": "text", **more}


def test_a_polygon_holds_areas_wholly_or_partly(areas: CityAreas) -> None:
    found = areas.of([geojson(square(0, 0, 1.2))])
    assert found == Area(
        ("district:west", "neighbourhood:mill"), ("city:demo", "district:east"), unknown=False
    )


def test_a_border_drawn_twice_is_no_part(areas: CityAreas) -> None:
    assert areas.of([geojson(square(1.0001, 0))]).inside == ("district:east",)
    assert "district:west" not in areas.of([geojson(square(0.9999, 0))]).partly


def test_two_polygons_make_one_area(areas: CityAreas) -> None:
    collection = {
        "type": "FeatureCollection",
        "features": [feature("x", "y", square(0, 0)), feature("x", "y", square(1, 0))],
    }
    for given in ([geojson(collection)], [geojson(square(0, 0)), geojson(square(1, 0))]):
        assert areas.of(given).inside[0] == "city:demo"


def test_a_polygon_elsewhere_is_outside_and_known(areas: CityAreas) -> None:
    assert areas.of([geojson(square(50, 50))]) == Area((), (), unknown=False)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Demo City", ("city:demo",)),
        (" demo  CITY ", ("city:demo",)),
        ("district:east", ("district:east",)),
        ("East Side; 02150, 02151-1234", ("district:east", "postcode:02150", "postcode:02151")),
    ],
)
def test_a_stated_name_or_postcode_counts(areas: CityAreas, text: str, codes: tuple) -> None:
    assert areas.of([words(text)]) == Area(codes, (), unknown=False)


@pytest.mark.parametrize(
    "text", ["Shared Name", "the whole region", "East Side and nearby", "Demo City, elsewhere", ""]
)
def test_other_words_are_unknown_and_never_a_pass(areas: CityAreas, text: str) -> None:
    assert areas.of([words(text)]) == Area((), (), unknown=True)


@pytest.mark.parametrize(
    "area",
    [
        {"extent": "{}", "extent_type": "topojson"},
        {"extent": "{broken", "extent_type": "geojson"},
        {"extent": '{"type": "Point", "coordinates": [0, 0]}', "extent_type": "geojson"},
        {},
    ],
)
def test_what_cannot_be_compared_is_unknown(areas: CityAreas, area: dict) -> None:
    assert areas.of([area]).unknown
    assert areas.of([area, words("East Side")]) == Area(("district:east",), (), unknown=True)


def test_no_area_said_is_unknown(areas: CityAreas) -> None:
    assert areas.of([]) == Area((), (), unknown=True)


def test_a_city_without_polygons_compares_nothing(tmp_path: Path) -> None:
    areas = CityAreas.load(tmp_path / "absent.geojson")
    assert areas.of([geojson(square(0, 0))]) == Area((), (), unknown=True)
    assert areas.of([words("02150")]).inside == ("postcode:02150",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", "FeatureCollection"),
        ('{"features": [{"properties": {}}]}', "feature 0"),
        (json.dumps({"features": [feature("planet", "x", square(0, 0))]}), "level"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "areas.geojson"
    path.write_text(content)
    with pytest.raises(AreasRefused, match=says):
        CityAreas.load(path)
