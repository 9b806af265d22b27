"""Rows → clean items, one per id. What repeats or contradicts itself is settled here. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from partner_svc.directory.clean import status
from partner_svc.directory.fields import FIELDS
from partner_svc.directory.flatten import REFERENCE
from partner_svc.directory.ids import canonical, stable_id
from partner_svc.directory.model import Feed, Row
from partner_svc.directory.report import Report

_EMPTY: tuple[Any, ...] = (None, "", [], {})
GEOMETRIES = frozenset(
    {
        "Point",
        "MultiPoint",
        "LineString",
        "MultiLineString",
        "Polygon",
        "MultiPolygon",
        "GeometryCollection",
        "Feature",
        "FeatureCollection",
    }
)


@dataclass
class Item:
    """One record after cleaning: ``values`` holds filled HSDS fields and ``x_`` fields only."""

    row: Row
    id: str
    values: dict[str, Any]


@dataclass
class Settled:
    """The records of one table, by the feed's id; and the rows that lost to another.

    ``rows`` counts records that stood for themselves, ``refused`` those of them that are out.
    ``losers``: (origin, id) of refused records, whose nested children go with them.
    """

    items: dict[str, Item] = field(default_factory=dict)
    rows: int = 0
    refused: int = 0
    losers: set[tuple[int, str]] = field(default_factory=set)


def settle(feed: Feed, table: str, source_name: str, report: Report) -> Settled:
    """One item per id.

    Rows that say the same, or less, join; of flat rows that contradict each other the fullest
    stays and the others are refused; of nested ones (an organization inside each of its
    services) the fullest stays, which is reported as mended. Which row stays does not depend on
    the order of rows.
    """
    settled = Settled()
    groups: dict[str, list[Row]] = {}
    for row in feed.rows(table):
        if row.id:
            groups.setdefault(row.id, []).append(row)
        else:
            settled.rows += 1
            settled.refused += 1
            name = str(row.values.get("name") or "")[:60]
            reason = f"has no id, so a later import could not find it again ({name})"
            report.refuse(row, "id", reason)
    for id_, rows in groups.items():
        ordered = sorted(rows, key=_fullest_first)
        first = ordered[0]
        settled.rows += 1
        for other in ordered[1:]:
            if not _join(first, other, report):
                settled.rows += 1
                settled.refused += 1
                settled.losers.add((other.origin, id_))
        settled.items[id_] = Item(first, stable_id(source_name, table, id_), tidy(first, report))
    return settled


def _fullest_first(row: Row) -> tuple[bool, int, str]:
    filled = {key: value for key, value in row.values.items() if value not in _EMPTY}
    return row.nested, -len(filled), canonical(filled)


def _join(first: Row, other: Row, report: Report) -> bool:
    """Take what ``other`` adds into ``first``; False: they contradict and ``other`` is refused."""
    link = REFERENCE.values()
    differing = sorted(
        key
        for key, value in other.values.items()
        if value not in _EMPTY
        and first.values.get(key) not in _EMPTY
        and canonical(value) != canonical(first.values[key])
        and not (other.nested and key in link)
    )
    if differing and not other.nested:
        where = f"row {first.number}" if first.number is not None else "another row"
        report.refuse(other, ", ".join(differing), f"same id as {where}, which says more")
        return False
    for key, value in other.values.items():
        if first.values.get(key) in _EMPTY:
            first.values[key] = value
    if differing:
        report.mend(other, ", ".join(differing), "given in different words; the fullest was kept")
    elif not other.nested:
        report.mend(other, "id", "the same record again; joined with the first")
    return True


def tidy(row: Row, report: Report) -> dict[str, Any]:
    """The row's filled fields, cleaned; each thing mended is reported."""
    found: dict[str, Any] = {}
    for name, cleaner in FIELDS[row.table].items():
        given = row.values.get(name)
        if (given is None or given == "") and cleaner is not status:
            continue  # Most fields of most rows; only no status says something.
        value, reason = cleaner(given)
        if reason is not None and (name in row.values or row.table == "services"):
            report.mend(row, name, reason)
        if value is not None:
            found[name] = value
    found.update(
        (key, value)
        for key, value in row.values.items()
        if key.startswith("x_") and value not in _EMPTY
    )
    if not isinstance(found.get("x_handoff", {}), dict):
        del found["x_handoff"]
        report.mend(row, "x_handoff", "is no object; left out")
    check = _CHECKS.get(row.table)
    if check is not None:
        check(row, found, report)
    return found


def _service(row: Row, found: dict[str, Any], report: Report) -> None:
    fees = found.pop("fees", None)  # HSDS 3 keeps the old name beside the new one
    if fees is not None:
        found.setdefault("fees_description", fees)
    low, high = found.get("minimum_age"), found.get("maximum_age")
    if low is not None and high is not None and low > high:
        del found["minimum_age"], found["maximum_age"]
        report.mend(row, "minimum_age, maximum_age", f"{low} to {high} is no range; left out")


def _location(row: Row, found: dict[str, Any], report: Report) -> None:
    kind = str(found.get("location_type") or "physical").lower()
    if kind not in ("physical", "postal", "virtual"):
        report.mend(row, "location_type", f"unknown type {kind[:40]!r} taken as physical")
        kind = "physical"
    found["location_type"] = kind
    lat, lon = found.pop("latitude", None), found.pop("longitude", None)
    if lat is None and lon is None:
        return
    if lat is None or lon is None:
        report.mend(row, "latitude, longitude", "one of the two is missing; left out")
    elif abs(lat) <= 90 and abs(lon) <= 180:
        if lat == 0 and lon == 0:
            report.mend(row, "latitude, longitude", "0, 0 is a placeholder; left out")
        else:
            found |= {"latitude": lat, "longitude": lon}
    elif abs(lon) <= 90 and abs(lat) <= 180:
        found |= {"latitude": lon, "longitude": lat}
        report.mend(row, "latitude, longitude", "were swapped; put in order")
    else:
        report.mend(row, "latitude, longitude", f"{lat}, {lon} is no place on earth; left out")


def _area(row: Row, found: dict[str, Any], report: Report) -> None:
    """Free text is kept as ``extent_type`` text: a match must ask, it can not pass."""
    given = row.values.get("extent")
    extent = canonical(given) if isinstance(given, dict) else str(given or "").strip()
    kind = str(found.get("extent_type") or ("geojson" if isinstance(given, dict) else "text"))
    kind = kind.lower()
    if kind != "text" and not _readable(kind, extent):
        if extent:
            report.mend(row, "extent", f"is no {kind[:20]}; taken as text")
        kind = "text"
    extent = extent or str(found.get("name") or found.get("description") or "")
    if extent:
        found |= {"extent": extent, "extent_type": kind}


def _readable(kind: str, extent: str) -> bool:
    if kind in ("geojson", "topojson"):
        try:
            value = json.loads(extent)
        except (ValueError, RecursionError):
            return False
        types = GEOMETRIES if kind == "geojson" else {"Topology"}
        return isinstance(value, dict) and value.get("type") in types
    return kind == "kml" and "<" in extent and "coordinates" in extent


def _schedule(row: Row, found: dict[str, Any], report: Report) -> None:
    freq = found.get("freq")
    if freq is not None:
        found["freq"] = str(freq).upper()
        if found["freq"] not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
            del found["freq"]
            report.mend(row, "freq", "is no frequency of RFC 5545; left out")


_CHECKS = {
    "services": _service,
    "locations": _location,
    "service_areas": _area,
    "schedules": _schedule,
}


def swap_by_neighbours(items: Iterable[Item], report: Report) -> None:
    """Swap a location's coordinates where that, and only that, puts it among the others.

    (-76.6, 39.3) is a point in Antarctica, and Baltimore once swapped.
    """
    placed = [item for item in items if "latitude" in item.values]
    if len(placed) < 5:
        return
    mid_lat = sorted(item.values["latitude"] for item in placed)[len(placed) // 2]
    mid_lon = sorted(item.values["longitude"] for item in placed)[len(placed) // 2]
    for item in placed:
        lat, lon = item.values["latitude"], item.values["longitude"]
        near_swapped = abs(lon - mid_lat) < 5 and abs(lat - mid_lon) < 5
        if near_swapped and abs(lat - mid_lat) > 20 and abs(lon) <= 90:
            item.values |= {"latitude": lon, "longitude": lat}
            report.mend(item.row, "latitude, longitude", "were swapped; put in order")
