"""Service areas of a directory → area codes of the city, through the city's polygons."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import shapely

from partner_svc.domain.directory import Area, Entity

LEVELS = ("city", "district", "neighbourhood", "tract", "block_group")
# Shares of a city's area. Borders drawn twice never meet exactly.
WHOLE = 0.995
NOTHING = 0.005
_NO_CODE = re.compile(r"[^A-Za-z0-9._-]+")
_US_POSTCODE = re.compile(r"(\d{5})(?:-\d{4})?")
_MANY = re.compile(r"[,;\n]+")


class AreasRefused(ValueError):
    """The city's file of areas cannot be used; the message says which feature and why."""


class CityAreas:
    """The areas of a city by code, and by the words that stand for exactly one of them."""

    def __init__(self, polygons: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._codes = list(polygons)
        self._polygons = list(polygons.values())
        self._tree = shapely.STRtree(self._polygons) if self._polygons else None
        self._names = names

    @classmethod
    def load(cls, path: Path) -> "CityAreas":
        """Read ``areas.geojson`` (WGS84; properties ``level``, ``code``, ``name`` if any).

        Raises: AreasRefused. A file that is not there is a city without polygons.
        """
        if not path.exists():
            return cls({}, {})
        try:
            features = json.loads(path.read_bytes())["features"]
        except (ValueError, KeyError, TypeError, OSError):
            raise AreasRefused(f"{path}: is no GeoJSON FeatureCollection") from None
        polygons: dict[str, Any] = {}
        words: dict[str, set[str]] = {}
        for at, feature in enumerate(features):
            code, name, polygon = _feature(path, at, feature)
            polygons[code] = polygon
            for word in {code, code.partition(":")[2], name}:
                words.setdefault(_word(word), set()).add(code)
        # A word that two areas share names neither.
        return cls(polygons, {w: min(codes) for w, codes in words.items() if len(codes) == 1})

    def of(self, areas: Sequence[Entity]) -> Area:
        """The codes wholly and partly covered. Words that name no area leave it unknown."""
        inside: set[str] = set()
        shapes: list[Any] = []
        unknown = not areas
        for area in areas:
            extent, kind = str(area.get("extent") or ""), area.get("extent_type")
            if kind == "geojson":
                shape = _shape(extent) if self._tree is not None else None
                unknown = unknown or shape is None
                shapes += [] if shape is None else [shape]
            elif kind in ("topojson", "kml"):
                unknown = True
            else:
                codes = self._named(extent) or self._named(str(area.get("name") or ""))
                unknown = unknown or not codes
                inside |= codes
        covered, partly = self._covered(shapes)
        inside |= covered
        return Area(tuple(sorted(inside)), tuple(sorted(partly - inside)), unknown)

    def _named(self, text: str) -> set[str]:
        """Codes of the areas that *text* names one by one; none where any part is other words."""
        whole = self._names.get(_word(text))
        if whole:
            return {whole}
        found: set[str] = set()
        for part in _MANY.split(text):
            code = self._names.get(_word(part)) or _postcode(part)
            if not code:
                return set()
            found.add(code)
        return found

    def _covered(self, shapes: Sequence[Any]) -> tuple[set[str], set[str]]:
        if not shapes or self._tree is None:
            return set(), set()
        shape = shapely.union_all(shapes)
        inside: set[str] = set()
        partly: set[str] = set()
        for at in self._tree.query(shape, predicate="intersects").tolist():
            polygon = self._polygons[at]
            share = shape.intersection(polygon).area / polygon.area if polygon.area else 0.0
            if share >= WHOLE:
                inside.add(self._codes[at])
            elif share > NOTHING:
                partly.add(self._codes[at])
        return inside, partly


def _feature(path: Path, at: int, feature: Any) -> tuple[str, str, Any]:
    try:
        properties = feature["properties"]
        level, code = properties["level"], _NO_CODE.sub("-", str(properties["code"]))[:40]
        polygon = shapely.from_geojson(json.dumps(feature["geometry"]))
    except (KeyError, TypeError, shapely.errors.ShapelyError):
        raise AreasRefused(f"{path}: feature {at}: needs level, code and a geometry") from None
    if level not in LEVELS or not code:
        raise AreasRefused(f"{path}: feature {at}: level is none of {', '.join(LEVELS)}")
    if not polygon.is_valid:
        raise AreasRefused(f"{path}: feature {at}: {shapely.is_valid_reason(polygon)}")
    return f"{level}:{code}", str(properties.get("name") or code), polygon


def _shape(extent: str) -> Any:
    """One geometry of a GeoJSON text, whatever it is wrapped in; None where it covers nothing."""
    try:
        shapes = [
            shapely.make_valid(shapely.from_geojson(json.dumps(geometry)))
            for geometry in _geometries(json.loads(extent))
        ]
    except (ValueError, TypeError, RecursionError, shapely.errors.ShapelyError):
        return None
    shape = shapely.union_all(shapes) if shapes else None
    return shape if shape is not None and shape.area > 0 else None


def _geometries(value: Any) -> Iterator[Any]:
    if not isinstance(value, dict):
        return
    if value.get("type") == "FeatureCollection":
        for feature in value.get("features") or []:
            yield from _geometries(feature)
    elif value.get("type") == "Feature":
        yield from _geometries(value.get("geometry"))
    else:
        yield value


def _word(text: str) -> str:
    return " ".join(text.split()).casefold()


def _postcode(text: str) -> str | None:
    match = _US_POSTCODE.fullmatch(text.strip())
    return f"postcode:{match[1]}" if match else None
