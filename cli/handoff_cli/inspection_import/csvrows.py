"""The rows of a CSV file, streamed."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from handoff_cli.inspection_import import tables
from handoff_cli.inspection_import.encodings import codec_for, position
from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow
from handoff_cli.inspection_import.tables import Header

EVERY = 500
"""Rows between two calls of ``tell``."""
MAX_CELL = 16 << 20
"""Characters of a cell; the outline of an area is longer than Python's own limit of 128 KiB."""

_DELIMITERS = (",", ";", "\t", "|")


class Tap:
    """Hands lines on, and keeps those of the record that is being read."""

    def __init__(self, file: TextIO) -> None:
        self.file, self.record, self.line = file, list[str](), 0

    def __iter__(self) -> "Tap":
        return self

    def __next__(self) -> str:
        line = next(self.file)
        self.line += 1
        self.record.append(line)
        return line


def csv_rows(
    map_: InspectionMap, path: Path, tell: Callable[[int], None]
) -> Iterator[FlatRow | Reject]:
    codec = codec_for(path, map_.encoding)
    with path.open(encoding=codec, newline="") as file:
        tap = Tap(file)
        header, delimiter, number = header_of(map_, path, tap)
        if not map_.header:
            file.seek(0)
            tap, number = Tap(file), 0
        reader = csv.reader(tap, delimiter=delimiter)
        while True:
            tap.record.clear()
            first_line = tap.line + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise ImportRefused(path, _why(error), first_line) from error
            _refuse_open_quote(path, tap.record, delimiter, first_line)
            number += 1
            if tables.is_blank(cells):
                continue
            if number % EVERY == 0:
                tell(position(file))
            yield header.row(cells, number, path.name)


def _why(error: csv.Error) -> str:
    if "field limit" in str(error):
        return (
            f"a cell that begins here has more than {MAX_CELL >> 20} million characters; "
            "is a quotation mark left open?"
        )
    return f"is no CSV here: {error}"


def _refuse_open_quote(path: Path, record: list[str], delimiter: str, line: int) -> None:
    """A quotation mark left open swallows the rest of the file into one cell."""
    if len(record) == 1 and record[0].endswith("\n"):
        return
    try:
        for _ in csv.reader(record, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "unexpected end" in str(error):
            message = "a quotation mark is opened here and never closed; the file may be cut off"
            raise ImportRefused(path, message, line) from error


def header_of(map_: InspectionMap, path: Path, tap: Tap) -> tuple[Header, str, int]:
    """The header, the delimiter and the header's row: ``header_row``, else the first row that is
    not blank. The delimiter is the map's, else the first by which the header has all columns."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    first_delimiter = map_.delimiter or ","
    row = 0
    try:
        while True:
            tap.record.clear()
            cells = next(csv.reader(tap, delimiter=first_delimiter))
            row += 1
            if row >= (map_.header_row or 1) and not tables.is_blank(cells):
                break
    except StopIteration:
        raise ImportRefused(path, f"ends after {row} rows" if row else "is empty") from None
    except csv.Error as error:
        raise ImportRefused(path, f"has no readable header: {error}", row + 1) from error
    delimiter = map_.delimiter or _delimiter(map_, tap.record)
    _refuse_open_quote(path, tap.record, delimiter, tap.line - len(tap.record) + 1)
    if delimiter != first_delimiter:
        cells = next(csv.reader(tap.record, delimiter=delimiter))
    return tables.header(map_, path, cells, tap.line), delimiter, row


def _delimiter(map_: InspectionMap, record: list[str]) -> str:
    """The one that splits the first row into what the map reads.

    Without a header several may; then the one that makes the most cells, no comma if another
    does as well, since a comma also stands inside of numbers.
    """
    split = {one: next(csv.reader(record, delimiter=one)) for one in _DELIMITERS}
    fitting = [one for one in _DELIMITERS if tables.fits(map_, split[one])]
    if map_.header or not fitting:
        return fitting[0] if fitting else ","
    return max(fitting, key=lambda one: (len(split[one]), one != ","))
