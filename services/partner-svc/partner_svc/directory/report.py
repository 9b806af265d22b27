"""Collects what was refused and mended, and writes it as CSV."""

import csv
from collections.abc import Iterable
from pathlib import Path

from partner_svc.directory.model import Kind, ReportRow, Row

COLUMNS = ("kind", "table", "row", "id", "field", "reason")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Report:
    """A reading's findings; several fields of one row with one reason become one report row."""

    def __init__(self, notes: Iterable[ReportRow] = ()) -> None:
        self._found: dict[tuple[str, int | None, str, Kind, str], list[str]] = {}
        for note in notes:
            key = (note.table, note.row, note.id, note.kind, note.reason)
            self._found.setdefault(key, []).append(note.field)

    def refuse(self, row: Row, field: str, reason: str) -> None:
        self._add("refused", row, field, reason)

    def mend(self, row: Row, field: str, reason: str) -> None:
        self._add("mended", row, field, reason)

    def _add(self, kind: Kind, row: Row, field: str, reason: str) -> None:
        fields = self._found.setdefault((row.table, row.number, row.id, kind, reason), [])
        if field not in fields:
            fields.append(field)

    def rows(self) -> tuple[ReportRow, ...]:
        """All findings, sorted; the same feed gives the same list."""
        found = [
            ReportRow(table, number, id_, kind, ", ".join(sorted(fields)), reason)
            for (table, number, id_, kind, reason), fields in self._found.items()
        ]
        return tuple(
            sorted(found, key=lambda r: (r.table, r.row or 0, r.id, r.kind, r.field, r.reason))
        )


def write_report(path: Path, rows: Iterable[ReportRow]) -> None:
    """Write ``rows`` to ``path`` as CSV (UTF-8, a header row).

    A cell that a spreadsheet would run as a formula gets an apostrophe in front, since ids and
    values come from a stranger's file. Raises OSError where the file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([_plain(getattr(row, column)) for column in COLUMNS])


def _plain(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
