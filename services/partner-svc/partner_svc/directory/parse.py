"""Bytes → text → records. Says the file and the line of what cannot be parsed."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from partner_svc.directory.model import DirectoryRefused, ReportRow

MAX_CELL = 4 * 1024 * 1024
"""Characters in one cell of a CSV."""
MOST_LINES = 10
"""Lines of another encoding that one note names."""
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_THOSE = "those read as Windows-1252, the rest as UTF-8"
_SENTINEL = "end-of-file-7c1f0a"
_UNSTORABLE = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)
_UNPRINTABLE = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))


def decode(name: str, content: bytes, notes: list[ReportRow]) -> str:
    """Text of a file: UTF-8 with or without a mark, UTF-16 with one, else Windows-1252.

    A file of both UTF-8 and Windows-1252 is read line by line. Raises `DirectoryRefused` with the
    line where none of them fits, and for zero bytes.
    """
    if content.startswith(UTF_16_MARKS):
        text = _try(content, "utf-16")
        if text is None:
            line = content.decode("utf-16", "replace").partition("\ufffd")[0].count("\n") + 1
            raise DirectoryRefused(
                f"{name or 'the file'}, line {line}: starts as UTF-16 and is none here; "
                "save it as UTF-8"
            )
        _note(notes, name, "was UTF-16; read as such")
        return text
    text = _try(content, "utf-8")
    if text is None:
        text = _line_by_line(name, content, notes)
    if text.startswith("\ufeff"):
        _note(notes, name, "byte order mark removed")
        text = text.lstrip("\ufeff")
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        every_other = text.count("\x00") * 3 > len(text)
        why = "reads like UTF-16 without its mark" if every_other else "holds a zero byte"
        mend = "save it as UTF-8" if every_other else "take it out, or save the table anew as UTF-8"
        raise DirectoryRefused(f"{name or 'the file'}, line {line}: {why}; {mend}")
    return text


def _try(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _line_by_line(name: str, content: bytes, notes: list[ReportRow]) -> str:
    lines: list[str] = []
    odd: list[int] = []
    both = False
    for number, line in enumerate(content.split(b"\n"), start=1):
        text = _try(line, "utf-8")
        if text is None:
            odd.append(number)
            text = _try(line, "cp1252")
        elif not line.isascii():
            both = True
        if text is None:
            raise DirectoryRefused(
                f"{name or 'the file'}, line {number}: neither UTF-8 nor Windows-1252; "
                "save it as UTF-8"
            )
        lines.append(text)
    shown = ", ".join(map(str, odd[:MOST_LINES]))
    if not both:
        _note(notes, name, f"was not UTF-8 (first in line {odd[0]}); read as Windows-1252")
    elif len(odd) > MOST_LINES:
        more = len(odd) - MOST_LINES
        _note(notes, name, f"was not UTF-8 in lines {shown} and {more} more; {_THOSE}")
    else:
        _note(notes, name, f"was not UTF-8 in line{'s' * (len(odd) > 1)} {shown}; {_THOSE}")
    return "\n".join(lines)


def _note(notes: list[ReportRow], name: str, reason: str) -> None:
    notes.append(ReportRow(name or "file", None, "", "mended", "", reason))


def read_csv(
    name: str, text: str, notes: list[ReportRow]
) -> tuple[list[str], list[tuple[int, dict[str, Any]]]]:
    """(columns, [(record number, values)]); the header is record 1, empty records are skipped.

    Columns are lower case. A record with more filled cells than the header has is refused by a
    note, since its cells have slipped. Raises `DirectoryRefused` for an unclosed quote, a header
    that is absent or names a column twice, and a cell past the limit.
    """
    records = _records(name, text)
    first = next(records, [])
    if not any(cell.strip() for cell in first):
        raise DirectoryRefused(f"{name}: is empty; a header row is wanted")
    header = [column.strip().strip('"').lower() for column in first]
    while header and not header[-1]:
        header.pop()
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise DirectoryRefused(f"{name}, line 1: column {twice[0]!r} stands twice")
    rows: list[tuple[int, dict[str, Any]]] = []
    id_at = header.index("id") if "id" in header else None
    for number, cells in enumerate(records, start=2):  # not as a list: Excel saves blank rows
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            id_ = cells[id_at].strip() if id_at is not None and id_at < len(cells) else ""
            reason = f"has {len(cells)} cells under {len(header)} columns; they have slipped"
            notes.append(ReportRow(name, number, id_, "refused", "", reason))
            continue
        rows.append((number, dict(zip(header, cells, strict=False))))
    return header, rows


def _records(name: str, text: str) -> Iterator[list[str]]:
    # The csv module takes an unclosed quote for a cell that swallows the rest of the file. A
    # last line of our own, which must come back alone, shows it.
    lines = io.StringIO(text.rstrip("\r\n") + f"\r\n{_SENTINEL}\r\n", newline="")
    # The limit is the whole process's. It stays: put back, it would change under another import.
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(lines, delimiter=_delimiter(text))
    start, last = 1, 1
    try:
        for record in reader:
            start, last = last, reader.line_num + 1
            if record and _SENTINEL in record[-1]:
                if record != [_SENTINEL]:
                    raise DirectoryRefused(
                        f"{name}, line {start}: a quote opens in this record and is never closed"
                    )
                return
            yield record
    except csv.Error as error:
        why = f"is no CSV: {error}"
        if "field limit" in str(error):
            why = f"a cell is longer than {MAX_CELL >> 20} MiB; perhaps a quote is never closed"
        raise DirectoryRefused(f"{name}, line {last}: {why}") from error


def _delimiter(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    return max(",;\t", key=lambda mark: (header.count(mark), mark == ","))


def read_json(name: str, text: str) -> Any:
    """The value of a JSON file, or the list of values of one with a value a line (ndjson).

    Raises `DirectoryRefused` with the line of the first error.
    """
    shown = name or "the file"
    try:
        return _parsed(text)
    except RecursionError:
        raise DirectoryRefused(f"{shown}: is nested too deeply") from None
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        several = error.msg == "Extra data" and len(lines) > 1
        if several or name.lower().endswith((".ndjson", ".jsonl")):
            return _json_lines(shown, text)
        raise DirectoryRefused(
            f"{shown}, line {error.lineno}, column {error.colno}: is no JSON: {error.msg}"
        ) from error
    except ValueError as error:
        raise DirectoryRefused(f"{shown}: is no JSON: {error}") from error


def _parsed(text: str) -> Any:
    value = json.loads(text, parse_constant=_no_constant)
    return _storable(value) if _UNSTORABLE.search(text) else value


def _storable(value: Any) -> Any:
    """``value`` without zero characters and half surrogates, which no database stores."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _json_lines(name: str, text: str) -> list[Any]:
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append(_parsed(line))
        except (ValueError, RecursionError) as error:
            message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise DirectoryRefused(f"{name}, line {number}: is no JSON: {message}") from error
    return values


def json_kind(value: Any) -> str:
    """What a JSON value is, in words: "is text"."""
    if value is None:
        return "is null"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "is true or false"),
        (int, "is a number"),
        (float, "is a number"),
        (str, "is text"),
        (list, "is a list"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "is an object")


def printable(text: str) -> str:
    """``text`` without control characters other than tab and line ends."""
    return text.translate(_UNPRINTABLE)
