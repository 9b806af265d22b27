"""The rows of an export, whatever their format, and the message for a column that is not there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any

from handoff_cli.inspection_import.errors import Refusal


class _Absent(Enum):
    ABSENT = "absent"


ABSENT = _Absent.ABSENT
NONE: frozenset[str] = frozenset()
_EXACT = 2**53
"""From here on a floating-point number no longer tells every integer from the next."""


def number_text(found: float) -> str:
    """A number's plain digits, an integral one's without the point; empty where it has none.

    ``4.0`` is 4, as JSON and spreadsheets write an id. Infinity, NaN and integers that have lost
    their last digits have no text.
    """
    if found.is_integer():
        return str(int(found)) if abs(found) < _EXACT else ""
    if not math.isfinite(found):
        return ""
    text = repr(found)
    return format(Decimal(text), "f") if "e" in text else text


@dataclass(frozen=True, slots=True)
class FlatRow:
    """A row of a table. ``empty``: texts that stand for an empty cell."""

    number: int
    file: str
    raw: Mapping[str, str]
    empty: frozenset[str] = NONE

    def cell(self, column: str) -> str:
        text = self.raw[column].strip()
        return "" if self.empty and text in self.empty else text

    def parts(self, column: str, separator: str | None) -> list["FlatRow"]:
        """The row once for each part of the cell, which then is that part."""
        pieces = _split(self.cell(column), separator)
        return [replace(self, raw={**self.raw, column: piece}) for piece in pieces]


@dataclass(frozen=True, slots=True)
class NestedRow:
    """A JSON object; ``a.b.0.c`` names a value inside it."""

    number: int
    file: str
    raw: Mapping[str, Any]
    empty: frozenset[str] = NONE

    def cell(self, column: str) -> str:
        text = self._text(column)
        return "" if self.empty and text in self.empty else text

    def _text(self, column: str) -> str:
        found = self.find(column)
        match found:
            case str():
                return found.strip()
            case None | _Absent.ABSENT:
                return ""
            case bool():
                return "true" if found else "false"
            case float():
                return self._number(column, found)
            case dict() | list():
                kind = "an object" if isinstance(found, dict) else "a list"
                part = f"{column}.{next(iter(found))}" if isinstance(found, dict) and found else ""
                hint = f", such as '{part}'" if part else ""
                raise Refusal(column, f"holds {kind}, not a value; name a part of it{hint}")
        return str(found)

    def _number(self, column: str, found: float) -> str:
        text = number_text(found)
        if text:
            return text
        if math.isfinite(found):
            raise Refusal(
                column, f"is the number {found}, whose last digits are lost; write it as a text"
            )
        named = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(found)]
        if named in self.empty:
            return ""
        raise Refusal(
            column, f"is {named}, which is no value; if it stands for none, name it under 'empty'"
        )

    def find(self, column: str) -> Any:
        """What stands at the path, `ABSENT` where there is no such path."""
        if column in self.raw:
            return self.raw[column]
        at: Any = self.raw
        for part in column.split("."):
            if isinstance(at, dict):
                at = at.get(part, ABSENT)
            elif isinstance(at, list) and part.isascii() and part.isdigit():
                at = at[int(part)] if int(part) < len(at) else ABSENT
            else:
                return ABSENT
        return at

    def parts(self, column: str, separator: str | None) -> list["NestedRow"]:
        """The record once for each item of the list at *column*.

        An object's values stand before the record's own; a plain item stands at *column*.
        """
        found = self.find(column)
        match found:
            case None | _Absent.ABSENT:
                items: Sequence[Any] = []
            case list():
                items = found
            case dict():
                items = [found]
            case _:
                items = _split(self.cell(column), separator)
        return [
            replace(self, raw={**self.raw, **(item if isinstance(item, dict) else {column: item})})
            for item in items
        ]


def _split(text: str, separator: str | None) -> list[str]:
    pieces = [text] if separator is None else text.split(separator)
    return [piece.strip() for piece in pieces if piece.strip()]


def no_such_column(missing: Sequence[str], there: Sequence[str]) -> str:
    """Which columns are missing, the nearest that is there for each, and all that are there."""
    folded = {name.casefold(): name for name in there}
    told = []
    for name in missing[:5]:
        near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
        told.append(
            f"'{name}'" + (f" (nearest: '{' '.join(folded[near[0]].split())}')" if near else "")
        )
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    plural = "columns" if len(missing) > 1 else "column"
    shown = ", ".join(" ".join(name.split())[:60] for name in there[:40]) + (
        " ..." if len(there) > 40 else ""
    )
    return f"has no {plural} {', '.join(told)}{more}; there are: {shown}"
