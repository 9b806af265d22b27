"""The header of a table and its rows, whether a CSV's or a spreadsheet's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow, no_such_column
from handoff_cli.inspection_import.rules import PLACE


@dataclass(frozen=True, slots=True)
class Header:
    """What the cells of a row are called.

    ``names``: each place's name, or ``#3`` where it has none of its own. ``also``: places that the
    map names although they have a name. ``width``: what tells how many cells there are.
    """

    names: list[str]
    also: tuple[tuple[str, int], ...]
    empty: frozenset[str]
    width: str

    def row(self, cells: list[str], number: int, file: str) -> FlatRow | Reject:
        """The cells as a row; cells beyond the header are taken where they are blank."""
        while len(cells) > len(self.names) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(self.names):
            raw = dict(zip(self.names, cells, strict=False))
            reason = f"has {len(cells)} cells, the {self.width} has {len(self.names)}"
            if any("\n" in cell for cell in cells):
                reason += "; it spans several lines, so a quotation mark may be left open in it"
            return Reject(number, None, reason, raw, file)
        raw = dict(zip(self.names, cells, strict=True))
        for name, at in self.also:
            raw[name] = cells[at]
        return FlatRow(number, file, raw, self.empty)


def is_blank(cells: Sequence[str]) -> bool:
    """Whether nothing stands in the row, as spreadsheets leave rows at their end."""
    return not cells or (not cells[0].strip() and not "".join(cells).strip())


def names_of(map_: InspectionMap, cells: Sequence[str]) -> list[str]:
    """The names in a header's cells, as far as there are any or the map asks for places."""
    names = [cell.strip() for cell in cells]
    places = (PLACE.fullmatch(column) for column in map_.columns)
    last = max((int(place[1]) for place in places if place), default=0)
    while len(names) > last and not names[-1]:
        names.pop()
    return names


def fits(map_: InspectionMap, cells: Sequence[str]) -> bool:
    """Whether a header, or without one a first row, has all of the map's columns."""
    names = names_of(map_, cells)
    return not _missing(map_, names if map_.header else [], len(names))


def header(map_: InspectionMap, path: Path, cells: Sequence[str], line: int) -> Header:
    """The header of these cells; of the first row's cells where the map says that there is none.

    Raises `ImportRefused` for a column of the map that is missing or stands twice.
    """
    if not map_.header:
        if missing := _missing(map_, [], len(cells)):
            raise ImportRefused(
                path, f"has no column {missing[0]}; the first row has {len(cells)}", line
            )
        names = [f"#{place}" for place in range(1, len(cells) + 1)]
        return Header(names, (), map_.empty, "first row")
    given = names_of(map_, cells)
    count = Counter(given)
    for name in map_.columns:
        if count[name] > 1:
            places = [f"#{at}" for at, one in enumerate(given, start=1) if one == name]
            message = f"has the column '{name}' twice in its header"
            told = f"{message}; write the one that is meant by its place: {' or '.join(places)}"
            raise ImportRefused(path, told, line)
    if missing := _missing(map_, given, len(given)):
        hint = "; it looks like JSON, the map says csv" if given[0][:1] in {"{", "["} else ""
        raise ImportRefused(path, f"{no_such_column(missing, given)}{hint}", line)
    names = [
        name if name and count[name] == 1 else f"#{at}" for at, name in enumerate(given, start=1)
    ]
    known = set(names)
    also = tuple((name, _place(name)) for name in map_.columns if name not in known)
    return Header(names, also, map_.empty, "header")


def _missing(map_: InspectionMap, names: Sequence[str], width: int) -> list[str]:
    known = set(names)
    return [
        column for column in map_.columns if column not in known and not 0 <= _place(column) < width
    ]


def _place(column: str) -> int:
    """From 0; -1 for a column that is no place."""
    found = PLACE.fullmatch(column)
    return int(found[1]) - 1 if found else -1
