"""A property's point: two degrees, or none. Pure."""

from collections.abc import Iterable
from typing import Any

from event_schemas.inbound import SOUTHERNMOST

from handoff_cli.inspection_import.errors import Refusal
from handoff_cli.inspection_import.maps import InspectionMap

_NOT_DEGREES = 360


def settle_point(map_: InspectionMap, found: dict[str, Any]) -> None:
    """Take 0,0 out of *found*, the property. Raises `Refusal` for what can be no point of it."""
    latitude, longitude = found.get("latitude"), found.get("longitude")
    if latitude is None and longitude is None:
        return
    if latitude is None or longitude is None:
        have, lack = ("latitude", "longitude") if longitude is None else ("longitude", "latitude")
        raise Refusal(_columns(map_, [lack]), f"is empty, but the {have} is there")
    if not latitude and not longitude:
        del found["latitude"], found["longitude"]  # A geocoder's word for "not found".
        return
    wrong = _wrong(map_, latitude, longitude)
    if wrong is None:
        return
    names, reason = wrong
    if _wrong(map_, longitude, latitude) is None:
        reason += "; are latitude and longitude swapped?"
    elif max(abs(latitude), abs(longitude)) > _NOT_DEGREES:
        reason += "; eastings and northings are no degrees"
    raise Refusal(_columns(map_, names), reason)


def _wrong(map_: InspectionMap, latitude: float, longitude: float) -> tuple[list[str], str] | None:
    """The fields that are wrong, and why; None where the point can be."""
    if not abs(latitude) <= 90:
        return ["latitude"], f"{latitude} is no latitude, which lies within 90 and -90"
    if not abs(longitude) <= 180:
        return ["longitude"], f"{longitude} is no longitude, which lies within 180 and -180"
    if latitude < SOUTHERNMOST:
        return ["latitude"], f"{latitude} is a latitude at which nobody lives"
    if map_.bounds is not None and not map_.bounds.hold(latitude, longitude):
        both = ["latitude", "longitude"]
        return both, f"{latitude}, {longitude} lies outside of the map's bounds"
    return None


def _columns(map_: InspectionMap, names: Iterable[str]) -> str | None:
    rules = [map_.fields.get(f"property.{name}") for name in names]
    columns = dict.fromkeys(column for rule in rules if rule for column in rule.columns)
    return ", ".join(columns) or None
