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


class AreaIndex:
    """Polygons with their area codes. Without polygons only the postcode is known."""

    def __init__(self, areas: Sequence[tuple[str, Any]]) -> None:
        self._codes = [code for code, _ in areas]
        cities = [code for code, _ in areas if code.startswith("city:")]
        self._city = cities[0] if len(cities) == 1 else None
        self._tree = shapely.STRtree([polygon for _, polygon in areas]) if areas else None

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

    def of(self, places: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """For each place (latitude, longitude, postal_code, if known) its area codes.

        Of a place without a point only the city is known, where there is but one.
        """
        found: list[list[str]] = [[] for _ in places]
        known = [at for at, place in enumerate(places) if place.get("latitude") is not None]
        if known and self._tree is not None:
            points = shapely.points(
                [places[at]["longitude"] for at in known], [places[at]["latitude"] for at in known]
            )
            for point, area in self._tree.query(points, predicate="intersects").T.tolist():
                found[known[point]].append(self._codes[area])
        for codes, place in zip(found, places, strict=True):
            if self._city is not None and place.get("latitude") is None:
                codes.append(self._city)
            codes.sort(key=_order)
            postcode = _postcode(place.get("postal_code"))
            if postcode:
                codes.append(postcode)
        return found


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
