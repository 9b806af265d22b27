"""What can go wrong while a department's export is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class ImportRefused(Exception):
    """The whole file cannot be used; nothing of it was taken. The message says what to mend."""

    def __init__(
        self, path: Path, message: str, line: int | None = None, character: int | None = None
    ) -> None:
        self.path, self.message, self.line, self.character = path, message, line, character
        super().__init__(path, message, line, character)

    def __str__(self) -> str:
        where = f"{self.path}:" + (f"{self.line}:" if self.line else "")
        return f"{where} {self.message}"


@dataclass(frozen=True)
class Reject:
    """A row that was not taken.

    ``row`` counts as a spreadsheet does, header and what stands above it included; in JSON the
    first record is 1 and in JSON lines it is the line. ``file`` is the file's name.
    """

    row: int
    column: str | None
    reason: str
    raw: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""


class Refusal(Exception):
    """Inside the reader: this row's cell cannot be used, and why."""

    def __init__(self, column: str | None, reason: str) -> None:
        self.column, self.reason = column, reason
        super().__init__(column, reason)
