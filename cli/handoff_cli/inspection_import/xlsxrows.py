"""The rows of a sheet of an Excel workbook (.xlsx), read by calamine within our bounds."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum

from handoff_cli.inspection_import import tables
from handoff_cli.inspection_import.encodings import OLD_EXCEL, OLE, ZIP
from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow, number_text
from handoff_cli.inspection_import.tables import Header

EVERY = 500
"""Rows between two calls of ``tell``."""
MAX_PART = 1 << 30
"""Bytes of a part of the workbook when unpacked; Excel's own largest sheets are smaller."""
MAX_CELLS = 1 << 25
"""Cells from a sheet's first to its last, blank ones too: calamine holds them all, in 32 bytes."""

_CHUNK, _TAG = 1 << 20, 4096
_WORKBOOK, _SHEETS = "xl/workbook.xml", "xl/worksheets/"
_CELL = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"[^>/]*>')
_Shown = float | bool | time | date | datetime | timedelta
_CANNOT_UNPACK = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


def xlsx_rows(
    map_: InspectionMap, path: Path, tell: Callable[[int], None]
) -> Iterator[FlatRow | Reject]:
    """The sheet that the map names, else the first; a row's number is the sheet's own.

    A cell that shows a date, a time or both is that as ISO 8601, a number is its plain digits, an
    error such as #N/A is blank. ``tell`` has half of the bytes when all is unpacked. Raises
    `ImportRefused` for what is no workbook or has no such sheet.
    """
    half = path.stat().st_size // 2
    with path.open("rb") as file:
        _look_through(path, file, lambda at: tell(at // 2))
    sheet = _sheet(map_, path)
    header: Header | None = None
    left = [""] * sheet.start[1] if sheet.start else []
    number = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = left + [one if isinstance(one, str) else _text(one) for one in row]
        if number < (map_.header_row or 1) or tables.is_blank(cells):
            continue
        if header is None:
            header = tables.header(map_, path, cells, number)
            if map_.header:
                continue
        if number % EVERY == 0:
            tell(half + half * number // sheet.total_height)
        yield header.row(cells, number, path.name)
    if header is None:
        raise ImportRefused(path, f"ends after {number} rows" if number else "is empty")


def xlsx_fits(map_: InspectionMap, path: Path) -> bool:
    """Whether the header has the map's columns. Raises `ImportRefused`."""
    next(xlsx_rows(map_, path, lambda _: None), None)
    return True


def _look_through(path: Path, file: IO[bytes], tell: Callable[[int], None]) -> None:
    """Unpack each part once, within bounds, so that calamine meets nothing damaged or endless."""
    head = file.read(4)
    file.seek(0)
    if not head:
        raise ImportRefused(path, "is empty")
    if head == OLE:
        raise ImportRefused(path, f"is {OLD_EXCEL}")
    if head != ZIP:
        raise ImportRefused(path, "is no Excel workbook (.xlsx), the map says xlsx; is it a CSV?")
    try:
        with zipfile.ZipFile(file) as workbook:
            parts = workbook.infolist()
            if _WORKBOOK not in workbook.namelist():
                raise ImportRefused(path, "is a zip file, but no Excel workbook")
            for part in parts:
                if part.file_size > MAX_PART:
                    raise ImportRefused(
                        path, f"holds more than {MAX_PART >> 20} MiB in {part.filename}; split it"
                    )
                extent = _Extent()
                with workbook.open(part) as unpacked:
                    while chunk := unpacked.read(_CHUNK):
                        tell(file.tell())
                        if part.filename.startswith(_SHEETS):
                            extent.see(chunk)
                            extent.check(path, part.filename)
    except _CANNOT_UNPACK as error:
        raise ImportRefused(path, f"is a broken workbook; is it cut off? ({error})") from error
    except RuntimeError as error:  # A password, or a way of packing that Python does not know.
        raise ImportRefused(path, f"is a workbook that cannot be unpacked: {error}") from error


@dataclass
class _Extent:
    """How far to the right and down the cells of a sheet reach that hold anything."""

    column: bytes = b""
    row: int = 0
    rest: bytes = b""

    def see(self, chunk: bytes) -> None:
        text = self.rest + chunk
        cells = _CELL.findall(text)
        self.column = max(
            (self.column, *(name for name, _ in cells)), key=lambda name: (len(name), name)
        )
        self.row = max((self.row, *(int(row) for _, row in cells)))
        self.rest = text[max(text.rfind(b"<"), len(text) - _TAG, 0) :]

    def check(self, path: Path, part: str) -> None:
        width = sum((letter - 64) * 26**at for at, letter in enumerate(reversed(self.column)))
        if width * self.row > MAX_CELLS:
            raise ImportRefused(
                path,
                f"reaches to the cell {self.column.decode()}{self.row} in {part}; delete what"
                " stands far from the table, or split it",
            )


def _sheet(map_: InspectionMap, path: Path) -> CalamineSheet:
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            names = [
                one.name for one in workbook.sheets_metadata if one.typ is SheetTypeEnum.WorkSheet
            ]
            if not names:
                raise ImportRefused(path, "is a workbook without a sheet")
            name = map_.sheet or names[0]
            if name not in names:
                raise ImportRefused(path, f"has no sheet '{name}'; there are: {', '.join(names)}")
            return workbook.get_sheet_by_name(name)
    except CalamineError as error:
        raise ImportRefused(path, f"is a broken workbook: {error}") from error


def _text(cell: _Shown) -> str:
    """A cell as a city's clerk sees it, dates and times as ISO 8601."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case int() | float():
            return number_text(cell) or repr(cell)
        case datetime():
            cell = (cell + timedelta(milliseconds=500)).replace(microsecond=0)
            return cell.isoformat() if cell.time() != time.min else cell.date().isoformat()
        case timedelta():
            minutes, seconds = divmod(round(cell.total_seconds()), 60)
            return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        case _:
            return cell.isoformat()
