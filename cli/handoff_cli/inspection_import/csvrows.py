"""The rows of a CSV file, streamed."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from handoff_cli.inspection_import.encodings import codec_for
from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow, no_such_column

EVERY = 500
"""Rows between two calls of ``tell``."""

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
    map_: InspectionMap, path: Path, tell: Callable[[TextIO], None]
) -> Iterator[FlatRow | Reject]:
    codec = codec_for(path, map_.encoding)
    with path.open(encoding=codec, newline="") as file:
        tap = Tap(file)
        header, delimiter, number = header_of(map_, path, tap)
        reader = csv.reader(tap, delimiter=delimiter)
        while True:
            tap.record.clear()
            first_line = tap.line + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                message = f"a cell never ends; is a quotation mark left open here? ({error})"
                raise ImportRefused(path, message, first_line) from error
            _refuse_open_quote(path, tap.record, delimiter, first_line)
            number += 1
            if not cells:
                continue
            if number % EVERY == 0:
                tell(file)
            yield _csv_row(header, cells, number, path.name)


def _csv_row(header: list[str], cells: list[str], number: int, file: str) -> FlatRow | Reject:
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    if len(cells) != len(header):
        raw = dict(zip(header, cells, strict=False))
        reason = f"has {len(cells)} cells, the header has {len(header)}"
        if any("\n" in cell for cell in cells):
            reason += "; it spans several lines, so a quotation mark may be left open in it"
        return Reject(number, None, reason, raw, file)
    return FlatRow(number, file, dict(zip(header, cells, strict=True)))


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


def header_of(map_: InspectionMap, path: Path, tap: Tap) -> tuple[list[str], str, int]:
    """Column names, delimiter and row of the header: ``header_row``, else the first that is not
    blank. A delimiter other than a comma is told by the header."""
    row = 0
    try:
        while True:
            tap.record.clear()
            first = next(csv.reader(tap))
            row += 1
            if row >= (map_.header_row or 1) and any(cell.strip() for cell in first):
                break
    except StopIteration:
        raise ImportRefused(path, f"ends after {row} rows" if row else "is empty") from None
    except csv.Error as error:
        raise ImportRefused(path, f"has no readable header: {error}", 1) from error
    text = tap.record
    if len(first) == 1 and len(map_.columns) > 1:
        for delimiter in _DELIMITERS[1:]:
            split = _names(next(csv.reader(text[-1:], delimiter=delimiter)))
            if set(map_.columns) <= set(split):
                return _checked(map_, path, split, tap.line), delimiter, row
    return _checked(map_, path, _names(first), tap.line), ",", row


def _names(cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _checked(map_: InspectionMap, path: Path, names: list[str], line: int) -> list[str]:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ImportRefused(path, f"has the column '{twice[0]}' twice in its header", line)
    missing = [name for name in map_.columns if name not in names]
    if missing:
        hint = "; it looks like JSON, the map says csv" if names[0][:1] in {"{", "["} else ""
        raise ImportRefused(path, f"{no_such_column(missing, names)}{hint}", line)
    return names
