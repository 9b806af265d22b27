"""The rows of JSON files: a list, one object a line, or one object a file."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from handoff_cli.inspection_import.encodings import codec_for, position
from handoff_cli.inspection_import.errors import ImportRefused, Refusal, Reject
from handoff_cli.inspection_import.jsonstream import items
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import ABSENT, NestedRow, no_such_column
from handoff_cli.inspection_import.rules import FieldRule

EVERY = 500
"""Rows between two calls of ``tell``."""


def json_rows(
    map_: InspectionMap, path: Path, tell: Callable[[int], None]
) -> Iterator[NestedRow | Reject]:
    codec = codec_for(path, map_.encoding)
    with path.open(encoding=codec) as file:
        for number, item in enumerate(items(path, file, map_.columns, map_.records), start=1):
            if number % EVERY == 0:
                tell(position(file))
            yield _json_row(map_, item, number, path.name)


def line_rows(
    map_: InspectionMap, path: Path, tell: Callable[[int], None]
) -> Iterator[NestedRow | Reject]:
    codec = codec_for(path, map_.encoding)
    good = False
    with path.open(encoding=codec) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if number % EVERY == 0:
                tell(position(file))
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                at = error.colno if isinstance(error, json.JSONDecodeError) else 1
                if not good:
                    message = f"is no JSON at character {at}; is it one JSON object a line?"
                    raise ImportRefused(path, message, number, at) from error
                reason = f"is no JSON at character {at}: {_plain(error)}"
                yield Reject(number, None, reason, {"line": line.rstrip("\n")}, path.name)
                continue
            good = True
            yield _json_row(map_, item, number, path.name)


def file_row(
    map_: InspectionMap, path: Path, number: int, *, alone: bool
) -> Iterator[NestedRow | Reject]:
    """One record a file; in a folder a broken file is one reject."""
    try:
        codec = codec_for(path, map_.encoding)
        try:
            item = json.loads(path.read_text(encoding=codec))
        except json.JSONDecodeError as error:
            raise ImportRefused(
                path, f"is no JSON at character {error.colno}: {error.msg}", error.lineno
            ) from error
        except (ValueError, RecursionError) as error:
            raise ImportRefused(path, f"is no JSON: {_plain(error)}") from error
    except ImportRefused as refused:
        if alone:
            raise
        where = f"line {refused.line}: " if refused.line else ""
        yield Reject(number, None, f"{where}{refused.message}", {}, path.name)
        return
    yield _json_row(map_, item, number, path.name)


def _json_row(map_: InspectionMap, item: Any, number: int, file: str) -> NestedRow | Reject:
    if isinstance(item, list):
        item = {str(at): value for at, value in enumerate(item)}  # Named by place, as in a table.
    if not isinstance(item, dict):
        reason = f"is no JSON object but {type(item).__name__}"
        return Reject(number, None, reason, {"value": item}, file)
    return NestedRow(number, file, item, map_.empty)


def _plain(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


class Names:
    """Which of the map's columns any record has; a map's mistake is told from bad rows by it."""

    def __init__(self, map_: InspectionMap) -> None:
        self._map = map_
        self._seen: set[str] = set()
        self._record: NestedRow | None = None
        self._part: NestedRow | None = None

    def look(self, row: NestedRow) -> None:
        """Note what the record, and the parts that its findings are, have."""
        if len(self._seen) == len(self._map.columns):
            return
        self._record = self._record or row
        self._note(row)
        several = self._map.findings_from
        try:
            parts = row.parts(several.column, several.separator) if several else []
        except Refusal:  # Said of the row when it is read.
            return
        for part in parts:
            self._part = self._part or part
            self._note(part)

    def _note(self, row: NestedRow) -> None:
        self._seen.update(name for name in self._map.columns if row.find(name) is not ABSENT)

    def check(self, path: Path) -> None:
        """Raises `ImportRefused` for a required field that no record has."""
        map_ = self._map
        if self._record is None:
            return
        needed = [rule.columns for rule in map_.fields.values() if _needs_column(rule)]
        if map_.group_by:
            needed.append((map_.group_by,))
        if map_.findings_from:
            needed.append((map_.findings_from.column,))
        needed += [(one.column,) for one in (*map_.only, *map_.skip)]
        self._need(path, needed, self._record)
        # Where findings are items of a list and there is no item, nothing is known of their names.
        if not map_.findings_from or self._part:
            rules = [rule.columns for rule in map_.findings.values() if _needs_column(rule)]
            self._need(path, rules, self._part or self._record)

    def _need(self, path: Path, needed: list[tuple[str, ...]], sample: NestedRow) -> None:
        for columns in needed:
            if self._seen.isdisjoint(columns):
                raise ImportRefused(path, no_such_column(columns, list(_leaves(sample.raw, ""))))


def _needs_column(rule: FieldRule) -> bool:
    return bool(rule.columns) and rule.required and rule.default is None and "" not in rule.values


def _leaves(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list) and value:
        yield from _leaves(value[0], f"{at}.0")
    else:
        yield at
