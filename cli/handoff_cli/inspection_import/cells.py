"""From one row's cells to the values of its fields, by a map's rules. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from handoff_cli.inspection_import.errors import Refusal
from handoff_cli.inspection_import.rules import EXCEL, ISO, UNIX, FieldRule, render
from handoff_cli.inspection_import.targets import STATUSES, Kind

Value = str | float
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+")
_HOURS_ONLY = re.compile(r"[+-]\d\d$")


class Row(Protocol):
    """A record of the export."""

    @property
    def number(self) -> int: ...
    @property
    def file(self) -> str: ...
    @property
    def raw(self) -> Mapping[str, object]: ...
    def cell(self, column: str) -> str:
        """The cell's text without surrounding spaces; empty where there is none, or what the map
        says is empty.

        Raises `Refusal` where the column holds no single value.
        """

    def parts(self, column: str, separator: str | None) -> "Sequence[Row]":
        """The row once for each finding that the column tells of."""


def value_of(rule: FieldRule, kind: Kind, row: Row, zone: ZoneInfo | None) -> Value | None:
    """The field's value, None where there is none. Raises `Refusal` with column and reason."""
    text, from_cell = _text(rule, row)
    if not text:
        if rule.required:
            raise Refusal(_named(rule), _why_empty(rule, row))
        return None
    if not _storable(text):
        raise Refusal(_named(rule), "holds a NUL character or half of a surrogate pair")
    try:
        match kind:
            case Kind.TIME:
                iso = ISO in rule.formats or not (rule.formats and from_cell)
                return to_time(text, rule.formats, zone, iso=iso)
            case Kind.NUMBER:
                return to_number(text)
            case Kind.STATUS:
                return to_status(text, rule.values)
            case Kind.ID:
                return to_id(text)
            case Kind.TEXT:
                return text
    except ValueError as error:
        raise Refusal(_named(rule), str(error)) from error


def _storable(text: str) -> bool:
    """Whether it is text to a database; JSON can hold what is not."""
    if text.isascii():
        return "\x00" not in text
    return _NOT_STORABLE.search(text) is None


def _named(rule: FieldRule) -> str | None:
    return ", ".join(rule.columns) or None


def _origin(rule: FieldRule, row: Row) -> str:
    """What the rule reads, before anything is done with it."""
    if rule.value is not None:
        return rule.value
    if rule.templates:
        cells = {name: row.cell(name) for name in rule.columns}
        rendered = (render(template, cells) for template in rule.templates)
        return next(filter(None, rendered), "")
    if len(rule.columns) == 1:
        return row.cell(rule.columns[0])
    return next(filter(None, map(row.cell, rule.columns)), "")


def _text(rule: FieldRule, row: Row) -> tuple[str, bool]:
    """The text after values, pattern and default; and whether it still is the cell's own."""
    text = _origin(rule, row)
    if text in rule.values:
        return rule.values[text] or "", False
    if rule.regex is not None:
        found = rule.regex.search(text)
        groups = [group for group in found.groups() if group is not None] if found else []
        text = (groups[0] if groups else found.group(0)).strip() if found else ""
        if text in rule.values:
            return rule.values[text] or "", False
    if rule.default is not None and (not text or rule.values):
        return rule.default, False
    return text, rule.value is None


def _why_empty(rule: FieldRule, row: Row) -> str:
    text = _origin(rule, row)
    if rule.regex is not None and text and text not in rule.values:
        return f"'{_short(text)}' does not match the pattern {rule.pattern}"
    if text:
        return f"'{_short(text)}' stands for an empty cell, which is required here"
    return "is empty"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def to_time(text: str, formats: tuple[str, ...], zone: ZoneInfo | None, *, iso: bool) -> str:
    """RFC 3339 with offset, by the first format that fits or, with ``iso``, as ISO 8601.

    A time without offset is the zone's local time. Where clocks change, the offset before the
    change holds: a local time that comes twice is its first, and one that is skipped is as far
    after the change as it says. Raises ValueError that says why.
    """
    parsed = next(filter(None, (_parsed(text, one) for one in formats)), None)
    if parsed is None and iso:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            parsed = None
    if parsed is None:
        known = " or ".join(formats) or "ISO 8601 (give a format)"
        raise ValueError(f"'{_short(text)}' is no time of the form {known}")
    if parsed.tzinfo is None:
        if zone is None:
            raise ValueError(f"'{_short(text)}' has no offset, and the map names no timezone")
        parsed = parsed.replace(tzinfo=zone, fold=0)
    elif zone is not None and UNIX.keys() & formats:
        try:
            parsed = parsed.astimezone(zone)
        except OverflowError:
            raise ValueError(f"'{_short(text)}' lies outside of the calendar") from None
    offset = parsed.utcoffset() or timedelta(0)
    if offset % timedelta(minutes=1):
        raise ValueError(f"'{_short(text)}' lies before there were time zones; is the year right?")
    return parsed.isoformat()


def _parsed(text: str, form: str) -> datetime | None:
    try:
        if form in UNIX:
            return datetime.fromtimestamp(float(text) / UNIX[form], UTC)
        if form in EXCEL:
            return _of_days(text, EXCEL[form])
        if form == ISO:
            return None  # Tried after the others.
        if form.endswith("%z") and _HOURS_ONLY.search(text):
            text += "00"  # PostgreSQL and ArcGIS write +00, which %z does not take.
        return datetime.strptime(text, form)  # noqa: DTZ007 - the zone is added by the caller
    except (ValueError, OverflowError, OSError):
        return None


_DAYS = 2_958_466
"""Excel's calendar ends with the year 9999."""


def _of_days(text: str, first: datetime) -> datetime | None:
    """A count of days, whose fraction is the time of day, to the second."""
    days = to_number(text)
    if not 0 <= days < _DAYS:
        return None
    return (first + timedelta(days=days, milliseconds=500)).replace(microsecond=0)


def to_id(text: str) -> str:
    """A text that tells things apart. Raises ValueError."""
    if text in {"true", "false"}:
        raise ValueError(f"is {text}, which is no id")
    if "+" in text and _ROUNDED.fullmatch(text):
        raise ValueError(f"'{text}' is a number that a spreadsheet has rounded; export it as text")
    return text


def to_number(text: str) -> float:
    """A decimal number; one comma and no point is a decimal comma. Raises ValueError."""
    plain = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    try:
        number = float(plain)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:
        raise ValueError(f"'{_short(text)}' is no number")
    return number


def to_status(text: str, values: Mapping[str, str | None]) -> str:
    """open or closed, in any letter case. Raises ValueError."""
    status = text.casefold()
    if status not in STATUSES:
        known = f"; the map knows {', '.join(map(repr, values))}" if values else ""
        raise ValueError(f"'{_short(text)}' is neither open nor closed{known}")
    return status
