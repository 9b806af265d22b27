"""Coarse areas of a point: through the city's polygons, loaded once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import shapely

LEVELS = ("city", "district", "neighbourhood", "tract", "block_group")
_NO_CODE = re.compile(r"[^A-Za-z0-9._-]+")


class AreasRefused(ValueError):
    """The file of areas cannot be used; the message says which feature and why."""


_CELL = 0.0005  # degrees, some 50 m
_MOST_CELLS = 100_000
_Cell = tuple[list[str], list[tuple[str, Any]]]


class AreaIndex:
    """Polygons with their area codes. Without polygons only the postcode is known.

    The polygons that meet a small cell are looked up once; of most cells that is already the
    answer for all points in it.
    """

    def __init__(self, areas: Sequence[tuple[str, Any]]) -> None:
        self._areas = list(areas)
        cities = [code for code, _ in areas if code.startswith("city:")]
        self._city = cities[0] if len(cities) == 1 else None
        self._tree = shapely.STRtree([polygon for _, polygon in areas]) if areas else None
        self._cells: dict[tuple[int, int], _Cell] = {}

    @classmethod
    def load(cls, path: Path) -> "AreaIndex":
        """Read a GeoJSON FeatureCollection (WGS84); ``level`` and ``code`` are properties.

        Raises: AreasRefused. A file that is not there is a city without polygons.
        """
        if not path.exists():
            return cls([])
        try:
            features = orjson.loads(path.read_bytes())["features"]
        except (ValueError, KeyError, TypeError, OSError):
            raise AreasRefused(f"{path}: is no GeoJSON FeatureCollection") from None
        return cls([_area(path, at, feature) for at, feature in enumerate(features)])

    def of(self, place: Mapping[str, Any]) -> list[str]:
        """The area codes of a place (latitude, longitude, postal_code, if known), widest first.

        Of a place without a point only the city is known, where there is but one.
        """
        longitude, latitude = place.get("longitude"), place.get("latitude")
        if longitude is not None and latitude is not None:
            codes = self._at(longitude, latitude)
        else:
            codes = [self._city] if self._city is not None else []
        postcode = _postcode(place.get("postal_code"))
        return [*codes, postcode] if postcode else codes

    def _at(self, longitude: float, latitude: float) -> list[str]:
        where = (int(longitude // _CELL), int(latitude // _CELL))
        cell = self._cells.get(where)
        if cell is None:
            if len(self._cells) >= _MOST_CELLS:
                self._cells.clear()
            cell = self._cells[where] = self._look(*where)
        whole, partly = cell
        if not partly:
            return list(whole)
        inside = [
            code for code, polygon in partly if shapely.intersects_xy(polygon, longitude, latitude)
        ]
        return sorted([*whole, *inside], key=_order)

    def _look(self, x: int, y: int) -> _Cell:
        """The areas that cover a cell, and those that meet a part of it."""
        if self._tree is None:
            return [], []
        box = shapely.box(x * _CELL, y * _CELL, (x + 1) * _CELL, (y + 1) * _CELL)
        met = [self._areas[at] for at in self._tree.query(box, predicate="intersects").tolist()]
        whole = [code for code, polygon in met if polygon.covers(box)]
        return sorted(whole, key=_order), [area for area in met if area[0] not in whole]


def _area(path: Path, at: int, feature: Any) -> tuple[str, Any]:
    try:
        properties = feature["properties"]
        level, code = properties["level"], _NO_CODE.sub("-", str(properties["code"]))[:40]
        polygon = shapely.from_geojson(orjson.dumps(feature["geometry"]))
    except (KeyError, TypeError, shapely.errors.ShapelyError):
        raise AreasRefused(f"{path}: feature {at}: needs level, code and a geometry") from None
    if level not in LEVELS or not code:
        raise AreasRefused(f"{path}: feature {at}: level is none of {', '.join(LEVELS)}")
    if not polygon.is_valid:
        raise AreasRefused(f"{path}: feature {at}: {shapely.is_valid_reason(polygon)}")
    return f"{level}:{code}", polygon


def _order(code: str) -> tuple[int, str]:
    return LEVELS.index(code.partition(":")[0]), code


def _postcode(text: str | None) -> str | None:
    code = _NO_CODE.sub("-", (text or "").strip()).strip("-")[:40]
    if code[:5].isdigit() and code[5:6] == "-":
        code = code[:5]  # ZIP+4 is a few houses: too fine to travel
    elif code.isdigit() and len(code) == 9:
        code = code[:5]
    return f"postcode:{code}" if code else None
