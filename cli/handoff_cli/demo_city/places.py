"""Land, streets and buildings of the demo city. Pure: the same seed gives the same city.

The city is a mesh of twelve tracts of uneven shape, three to each of four districts. Neighbours
share their corners, so nothing lies between or in two of them.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SEED = 20260105
COLUMNS, ROWS = 4, 3
WEST, SOUTH = -71.0560, 42.3800
CELL_LONGITUDE, CELL_LATITUDE = 0.0115, 0.0085
Corner = tuple[float, float]  # longitude, latitude

# Districts, by the columns of tracts that they hold; postcodes that no office serves.
DISTRICTS: tuple[tuple[str, str, str], ...] = (
    ("west", "West Side", "00101"),
    ("center", "Center", "00102"),
    ("harbor", "Harbor", "00103"),
    ("hill", "East Hill", "00104"),
)
_STREETS = (
    "Alder", "Anchor", "Apple", "Barley", "Bell", "Bridge", "Candle", "Cedar", "Clover", "Copper",
    "Cotton", "Crane", "Ferry", "Field", "Finch", "Foundry", "Garden", "Glass", "Granite", "Hazel",
    "Heron", "Juniper", "Kettle", "Ladder", "Lantern", "Linden", "Marble", "Meadow", "Mill", "Mint",
    "Needle", "Oar", "Orchard", "Paper", "Pearl", "Pepper", "Pilot", "Quarry", "Reed", "River",
    "Rope", "Saddle", "Sail", "Salt", "Spring", "Thimble", "Tidal", "Timber", "Walnut", "Willow",
)  # fmt: skip
_ENDINGS = ("Street", "Avenue", "Lane", "Row")
_TYPES = (
    ("single-family", 2), ("two-family", 4), ("three-family", 6), ("apartment-building", 3),
    ("rooming-house", 1),
)  # fmt: skip


@dataclass(frozen=True)
class Area:
    """An area with a code of the events, ``district:harbor``, and its ring of corners."""

    level: str
    code: str
    name: str
    ring: tuple[Corner, ...]


@dataclass(frozen=True)
class Property:
    """A building, or a unit of one. Codes are those of ``POST /intake/v1/inspections``."""

    parcel_id: str
    line1: str
    unit: str | None
    postal_code: str
    district: str
    block: str
    latitude: float
    longitude: float
    property_type: str
    occupancy: str
    owner_type: str

    def report(self) -> dict[str, Any]:
        """The property as the API takes it."""
        address = {"line1": self.line1, "city": "Demo City", "postal_code": self.postal_code}
        if self.unit is not None:
            address["unit"] = self.unit
        return {
            "parcel_id": self.parcel_id,
            "address": address,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "property_type": self.property_type,
            "occupancy": self.occupancy,
            "owner_type": self.owner_type,
        }


@dataclass(frozen=True)
class Land:
    """Areas from the city down to block groups, and every building in them."""

    areas: tuple[Area, ...]
    properties: tuple[Property, ...]

    def area(self, code: str) -> Area:
        return next(area for area in self.areas if f"{area.level}:{area.code}" == code)


def land(seed: int = SEED) -> Land:
    """The city of *seed*."""
    chance = random.Random(seed)  # noqa: S311 - a made-up city, not a secret
    mesh = _mesh(chance)
    areas = [Area("city", "demo-city", "Demo City", _rim(mesh, 0, COLUMNS))]
    areas += [
        Area("district", code, name, _rim(mesh, column, column + 1))
        for column, (code, name, _) in enumerate(DISTRICTS)
    ]
    blocks: list[Area] = []
    for column, row in _cells():
        ring = _cell(mesh, column, row)
        tract = f"{column + 1:02}{row + 1:02}"
        areas.append(Area("tract", tract, f"Tract {tract}", ring))
        blocks += _halves(tract, ring)
    names = [f"{name} {ending}" for name in _STREETS for ending in _ENDINGS]
    chance.shuffle(names)
    properties = [p for block in blocks for p in _buildings(chance, block, names)]
    return Land((*areas, *blocks), tuple(properties))


def areas_geojson(areas: Sequence[Area]) -> dict[str, Any]:
    """``areas.geojson``: WGS84; ``level``, ``code``, ``name``."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"level": area.level, "code": area.code, "name": area.name},
                "geometry": polygon(area),
            }
            for area in areas
        ],
    }


def polygon(area: Area) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(corner) for corner in area.ring]]}


Mesh = Mapping[tuple[int, int], Corner]


def _mesh(chance: random.Random) -> Mesh:
    """Corners of the tracts, each moved by at most a fifth of a tract."""
    corners = {}
    for column in range(COLUMNS + 1):
        for row in range(ROWS + 1):
            aside, up = chance.uniform(-0.2, 0.2), chance.uniform(-0.2, 0.2)
            corners[column, row] = (
                round(WEST + (column + aside) * CELL_LONGITUDE, 6),
                round(SOUTH + (row + up) * CELL_LATITUDE, 6),
            )
    return corners


def _cells() -> Iterator[tuple[int, int]]:
    return ((column, row) for column in range(COLUMNS) for row in range(ROWS))


def _cell(mesh: Mesh, column: int, row: int) -> tuple[Corner, ...]:
    around = ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))
    return tuple(mesh[column + aside, row + up] for aside, up in around)


def _rim(mesh: Mesh, first: int, last: int) -> tuple[Corner, ...]:
    """The rim of the columns from *first* up to *last*."""
    south = [(column, 0) for column in range(first, last + 1)]
    east = [(last, row) for row in range(1, ROWS + 1)]
    north = [(column, ROWS) for column in range(last - 1, first - 1, -1)]
    west = [(first, row) for row in range(ROWS - 1, -1, -1)]
    return tuple(mesh[at] for at in (*south, *east, *north, *west))


def _halves(tract: str, ring: Sequence[Corner]) -> list[Area]:
    """Two block groups, cut along a diagonal."""
    southwest, southeast, northeast, northwest, _ = ring
    parts = ((southwest, southeast, northeast), (southwest, northeast, northwest))
    return [
        Area("block_group", f"{tract}{n}", f"Block group {n} of tract {tract}", (*part, part[0]))
        for n, part in enumerate(parts, 1)
    ]


def _buildings(chance: random.Random, block: Area, names: list[str]) -> Iterator[Property]:
    column = int(block.code[:2]) - 1
    district, _, postcode = DISTRICTS[column]
    for number in range(2):
        street = names.pop()
        for house in range(1, 9):
            latitude, longitude = _inside(chance, block.ring)
            kind = chance.choices([k for k, _ in _TYPES], [w for _, w in _TYPES])[0]
            units = 1 if kind == "single-family" else chance.randint(2, 3)
            owner = chance.choice(
                ("owner-occupant", "local-landlord", "remote-landlord", "company")
            )
            empty = chance.random() < 0.06
            for unit in range(1, units + 1):
                yield Property(
                    parcel_id=f"DEMO-{block.code}-{number}{house:02}-{unit}",
                    line1=f"{house * 7 + number} {street}",
                    unit=None if units == 1 else str(unit),
                    postal_code=postcode,
                    district=district,
                    block=block.code,
                    latitude=latitude,
                    longitude=longitude,
                    property_type=kind,
                    occupancy="vacant" if empty else "occupied",
                    owner_type=owner,
                )


def _inside(chance: random.Random, ring: Sequence[Corner]) -> tuple[float, float]:
    """A point of the triangle, off its edges."""
    weights = [chance.uniform(0.15, 1) for _ in range(3)]
    share = [w / sum(weights) for w in weights]
    longitude = sum(w * corner[0] for w, corner in zip(share, ring[:3], strict=True))
    latitude = sum(w * corner[1] for w, corner in zip(share, ring[:3], strict=True))
    return round(latitude, 6), round(longitude, 6)
