"""The records of a JSON file, one at a time; a list at the top is never wholly in memory."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from handoff_cli.inspection_import.errors import ImportRefused

CHUNK = 1 << 18

_SPACE = " \t\r\n"


def items(
    path: Path, file: TextIO, columns: Sequence[str], records: str | None = None
) -> Iterator[Any]:
    """The items of a top-level list; or of the list at the path *records* of an object, else of
    its one list of objects, such as GeoJSON's ``features`` (read whole); or the object itself.

    Raises `ImportRefused` with line and character where the JSON is broken or cut off.
    """
    window = _Window(path, file)
    window.skip_space()
    if window.peek() == "[":
        if records is not None:
            raise ImportRefused(path, f"is a list at the top; leave 'records: {records}' out")
        yield from _list_items(window)
        return
    whole = window.value()
    window.skip_space()
    if window.peek():
        raise window.refused("something follows after the end of the JSON")
    if records is not None:
        yield from _at(path, whole, records)
    else:
        yield from _records(path, whole, columns)


def _at(path: Path, whole: Any, records: str) -> list[Any]:
    """The list at the path *records*. Raises: ImportRefused."""
    found = whole
    for part in records.split("."):
        there = list(found) if isinstance(found, dict) else []
        if part not in there:
            known = f"; there are: {', '.join(there[:20])}" if there else ""
            raise ImportRefused(path, f"has no '{part}' of 'records: {records}'{known}")
        found = found[part]
    if not isinstance(found, list):
        raise ImportRefused(path, f"has no list at 'records: {records}'")
    return found


def _records(path: Path, whole: Any, columns: Sequence[str]) -> list[Any]:
    if not isinstance(whole, dict):
        raise ImportRefused(path, "holds neither a list nor an object of JSON")
    starts = {name.split(".")[0] for name in columns}
    lists = [
        value
        for value in whole.values()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    ]
    if len(lists) == 1 and not (columns and starts <= set(whole)):
        return lists[0]
    return [whole]


def _list_items(window: "_Window") -> Iterator[Any]:
    window.take("[")
    window.skip_space()
    if window.peek() == "]":
        window.take("]")
    else:
        while True:
            window.skip_space()
            yield window.value()
            window.skip_space()
            if window.peek() == "]":
                window.take("]")
                break
            window.take(",")
    window.skip_space()
    if window.peek():
        raise window.refused("something follows after the end of the JSON list")


class _Window:
    """A part of the file's text, with the place in the file where it starts."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self.text, self.at, self.ended = "", 0, False
        self.line, self.character = 1, 1  # of the text's first character
        self.decoder = json.JSONDecoder()

    def _more(self, size: int = CHUNK) -> bool:
        chunk = self.file.read(size)
        self.ended = not chunk
        self.text += chunk
        return not self.ended

    def _drop(self) -> None:
        """Forget what was read."""
        done = self.text[: self.at]
        breaks = done.count("\n")
        self.line += breaks
        self.character = len(done) - done.rfind("\n") if breaks else self.character + len(done)
        self.text, self.at = self.text[self.at :], 0

    def peek(self) -> str:
        """The next character, empty at the end."""
        if self.at >= len(self.text):
            self._drop()
            self._more()
        return self.text[self.at : self.at + 1]

    def skip_space(self) -> None:
        while (found := self.peek()) and found in _SPACE:
            self.at += 1

    def take(self, expected: str) -> None:
        if (found := self.peek()) != expected:
            what = f"'{found}'" if found else "the end of the file; it is cut off"
            raise self.refused(f"expected '{expected}', found {what}")
        self.at += 1

    def value(self) -> Any:
        """The JSON value that starts here; reads on until it is complete."""
        self._drop()
        size = CHUNK
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, 0)
            except json.JSONDecodeError as error:
                if not self._may_be_cut(error) or not self._more(size):
                    raise self._broken(error) from error
            except (ValueError, RecursionError) as error:
                deep = isinstance(error, RecursionError)
                raise self.refused("nested too deeply" if deep else str(error)) from error
            else:
                # A number may go on in the next piece; nothing else may.
                if end < len(self.text) or not self._more(size):
                    self.at = end
                    return value
            size *= 2

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - 16

    def _broken(self, error: json.JSONDecodeError) -> ImportRefused:
        self.at = error.pos
        at_end = self.ended and (
            error.pos >= len(self.text.rstrip()) or error.msg.startswith("Unterminated string")
        )
        return self.refused(f"{error.msg}; the file is cut off" if at_end else error.msg)

    def refused(self, message: str) -> ImportRefused:
        done = self.text[: self.at]
        breaks = done.count("\n")
        line = self.line + breaks
        character = len(done) - done.rfind("\n") if breaks else self.character + len(done)
        text = f"is no JSON at line {line}, character {character}: {message}"
        return ImportRefused(self.path, text, line, character)
