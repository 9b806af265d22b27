"""The rows of a sheet of an Excel workbook (.xlsx), streamed; only what an export needs of it."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from handoff_cli.inspection_import import tables
from handoff_cli.inspection_import.encodings import OLD_EXCEL, OLE, ZIP
from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow, number_text
from handoff_cli.inspection_import.rules import EXCEL
from handoff_cli.inspection_import.tables import Header

EVERY = 500
"""Rows between two calls of ``tell``."""
MAX_PART = 1 << 30
"""Bytes of a part of the workbook when unpacked; Excel's own largest sheets are smaller."""
MAX_TEXTS = 1 << 28
"""Bytes of the table of texts, which is held in memory."""
_COLUMNS = 16_384

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ElementTree.ParseError,
    LookupError,
    ValueError,
    OSError,
    EOFError,
)

_WORKBOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_STYLES, _TEXTS = "xl/styles.xml", "xl/sharedStrings.xml"
# ECMA-376, 18.8.30: the formats with numbers of their own that show a date or a time.
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NO_DIRECTIVE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_DIRECTIVE = re.compile(r"[ymdhs]", re.IGNORECASE)
_PLACE = re.compile(r"([A-Z]{1,3})\d*")


@dataclass
class _Book:
    """What a sheet's cells need to be read."""

    sheet: str = ""
    texts: list[str] = field(default_factory=list)
    dates: frozenset[int] = frozenset()
    epoch: str = "excel"


def xlsx_rows(
    map_: InspectionMap, path: Path, tell: Callable[[int], None]
) -> Iterator[FlatRow | Reject]:
    """The sheet that the map names, else the first; a row's number is the sheet's own.

    A cell that shows a date, a time or both is that as ISO 8601, a number is its plain digits.
    Raises `ImportRefused` for what is no workbook or has no such sheet.
    """
    header: Header | None = None
    with path.open("rb") as file, _opened(path, file) as workbook:
        number = 0
        for number, cells in _sheet_rows(path, workbook, _book(map_, path, workbook)):
            if number < (map_.header_row or 1) or tables.is_blank(cells):
                continue
            if header is None:
                header = tables.header(map_, path, cells, number)
                if map_.header:
                    continue
            if number % EVERY == 0:
                tell(file.tell())
            yield header.row(_padded(cells, len(header.names)), number, path.name)
    if header is None:
        raise ImportRefused(path, f"ends after {number} rows" if number else "is empty")


def xlsx_fits(map_: InspectionMap, path: Path) -> bool:
    """Whether the header has the map's columns; reads no further. Raises `ImportRefused`."""
    next(xlsx_rows(map_, path, lambda _: None), None)
    return True


def _padded(cells: list[str], width: int) -> list[str]:
    """A sheet leaves blank cells out at the end of a row."""
    return [*cells, *([""] * (width - len(cells)))]


def _opened(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    head = file.read(4)
    file.seek(0)
    if not head:
        raise ImportRefused(path, "is empty")
    if head == OLE:
        raise ImportRefused(path, f"is {OLD_EXCEL}")
    if head != ZIP:
        raise ImportRefused(path, "is no Excel workbook (.xlsx), the map says xlsx; is it a CSV?")
    try:
        return zipfile.ZipFile(file)
    except (*_BROKEN, RuntimeError) as error:
        raise ImportRefused(path, f"is a broken workbook; is it cut off? ({error})") from error


def _book(map_: InspectionMap, path: Path, workbook: zipfile.ZipFile) -> _Book:
    if _WORKBOOK not in workbook.namelist():
        raise ImportRefused(path, "is a zip file, but no Excel workbook")
    book = _Book()
    sheets: dict[str, str] = {}
    for item in _items(path, workbook, _WORKBOOK):
        if _tag(item) == "sheet":
            link = next((v for k, v in item.attrib.items() if k.endswith("}id")), "")
            sheets[item.get("name", "")] = link
        elif _tag(item) == "workbookPr" and item.get("date1904") in {"1", "true"}:
            book.epoch = "excel-1904"
    if not sheets:
        raise ImportRefused(path, "is a workbook without a sheet")
    name = map_.sheet or next(iter(sheets))
    if name not in sheets:
        raise ImportRefused(path, f"has no sheet '{name}'; there are: {', '.join(sheets)}")
    links = {
        item.get("Id", ""): item.get("Target", "")
        for item in _items(path, workbook, _LINKS)
        if _tag(item) == "Relationship"
    }
    target = links.get(sheets[name], "")
    book.sheet = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    there = set(workbook.namelist())
    if book.sheet not in there:
        raise ImportRefused(path, f"is a broken workbook: the sheet '{name}' is not in it")
    if _STYLES in there:
        book.dates = _date_styles(path, workbook)
    if _TEXTS in there:
        texts = _items(path, workbook, _TEXTS, MAX_TEXTS)
        book.texts = [_text_of(item) for item in texts if _tag(item) == "si"]
    return book


def _date_styles(path: Path, workbook: zipfile.ZipFile) -> frozenset[int]:
    """The cell styles that show a date or a time."""
    dates = set(_DATE_FORMATS)
    found: list[int] = []
    for item in _items(path, workbook, _STYLES):
        if _tag(item) == "numFmt":
            shown = _NO_DIRECTIVE.sub("", item.get("formatCode", ""))
            if _DIRECTIVE.search(shown):
                dates.add(_number(item.get("numFmtId")))
        elif _tag(item) == "cellXfs":
            found = [_number(style.get("numFmtId")) for style in item]
    return frozenset(at for at, form in enumerate(found) if form in dates)


def _sheet_rows(
    path: Path, workbook: zipfile.ZipFile, book: _Book
) -> Iterator[tuple[int, list[str]]]:
    number = 0
    for item in _items(path, workbook, book.sheet):
        if _tag(item) != "row":
            continue
        number = _number(item.get("r")) or number + 1
        cells: list[str] = []
        for cell in item:
            at = _place(cell.get("r", ""))
            at = len(cells) if at is None else at
            text = _cell(cell, book)
            if text and at < _COLUMNS:
                cells += [""] * (at + 1 - len(cells))
                cells[at] = text
            elif at == len(cells):
                cells.append(text)
        item.clear()
        yield number, cells


def _items(
    path: Path, workbook: zipfile.ZipFile, part: str, most: int | None = None
) -> Iterator[ElementTree.Element]:
    """The elements of a part as they end. Raises `ImportRefused` where it is broken or too large.

    Expat bounds what entities make of a text; a workbook declares none, and may not.
    """
    most = most or MAX_PART
    try:
        if workbook.getinfo(part).file_size > most:
            raise ImportRefused(path, f"holds more than {most >> 20} MiB in {part}; split it")
        with workbook.open(part) as head:
            if b"<!DOCTYPE" in head.read(4096):
                raise ImportRefused(path, f"is no workbook that Excel writes: {part} has a DOCTYPE")
        with workbook.open(part) as file:
            above: list[ElementTree.Element] = []
            for event, item in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314
                if event == "start":
                    above.append(item)
                    continue
                above.pop()
                yield item
                if above and _tag(item) in {"row", "si"}:
                    above[-1].clear()  # Else the whole sheet stays in memory.
    except _BROKEN as error:
        raise ImportRefused(path, f"is a broken workbook, at {part}: {error}") from error
    except RuntimeError as error:  # A password, or a way of packing that Python does not know.
        raise ImportRefused(path, f"is a workbook that cannot be unpacked: {error}") from error


def _tag(item: ElementTree.Element) -> str:
    return item.tag.rpartition("}")[2]


def _text_of(item: ElementTree.Element) -> str:
    """The text in all its runs, without how it is pronounced."""
    runs = (run for run in item if _tag(run) in {"t", "r"})
    return "".join(
        one.text or "" for run in runs for one in run.iter() if _tag(one) == "t" and one.text
    )


def _cell(cell: ElementTree.Element, book: _Book) -> str:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        return "".join(_text_of(item) for item in cell if _tag(item) == "is")
    text = next((item.text or "" for item in cell if _tag(item) == "v"), "")
    match kind:
        case "s":
            at = int(text) if text.isascii() and text.isdigit() else -1
            return book.texts[at] if 0 <= at < len(book.texts) else ""
        case "b":
            return "true" if text == "1" else "false"
        case "n":
            if _number(cell.get("s")) in book.dates:
                return _date(text, book.epoch)
            return _digits(text)
    return text  # str, e, d: a formula's text, an error such as #N/A, a time as ISO 8601


def _digits(text: str) -> str:
    try:
        return number_text(float(text)) or text
    except ValueError:
        return text


def _date(text: str, epoch: str) -> str:
    """A count of days as what Excel shows: a date, a time, or both."""
    try:
        days = float(text)
        at = EXCEL[epoch] + timedelta(days=days, milliseconds=500)
    except (OverflowError, ValueError):
        return text
    at = at.replace(microsecond=0)
    if days < 1:
        return at.time().isoformat()
    return at.isoformat() if at.time() != time.min else at.date().isoformat()


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _place(reference: str) -> int | None:
    """The column of ``BC12``, from 0."""
    found = _PLACE.fullmatch(reference)
    if found is None:
        return None
    at = 0
    for letter in found[1]:
        at = at * 26 + ord(letter) - 64
    return at - 1
