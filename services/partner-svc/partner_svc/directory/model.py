"""Shapes that the readers share: rows as they came, the directory as it leaves, the report."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

UUID_FORM = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
Entity = dict[str, Any]
"""One HSDS 3.1 object with JSON values only; absent and empty fields are left out."""

Format = Literal["hsds-3", "hsds-2", "hsds-1", "ohana"]
Kind = Literal["refused", "mended", "left"]
FORMATS: tuple[Format, ...] = ("hsds-3", "hsds-2", "hsds-1", "ohana")


class DirectoryRefused(Exception):
    """The directory as a whole cannot be taken; the message says what to mend and where."""


@dataclass(frozen=True, order=True)
class ReportRow:
    """One thing refused or mended, or a service that left its feed.

    ``table`` is HSDS's name (or a file's, where a whole file is meant). ``row`` counts records:
    in CSV the header is 1, in JSON the first object is 1; None where the file itself is meant.
    ``id`` is the one in the feed. ``field`` lists fields by comma where one reason fits several.
    """

    table: str
    row: int | None
    id: str
    kind: Kind
    field: str
    reason: str


@dataclass(slots=True)
class Row:
    """One record of a feed, in HSDS 3.1 names, before cleaning.

    ``nested``: it stood inside another record (the same organization inside each of its
    services); ``origin`` tells which top-level record of the feed it came with.
    """

    table: str
    number: int | None
    values: dict[str, Any]
    nested: bool = False
    origin: int = 0

    @property
    def id(self) -> str:
        return raw_id(self.values.get("id"))


def raw_id(value: object) -> str:
    """An id or reference as text: a text or a whole number; all else is none, and "".

    A UUID is the same in capitals.
    """
    if isinstance(value, str):
        found = value.strip()
        return found.lower() if len(found) == 36 and UUID_FORM.fullmatch(found) else found
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


@dataclass
class Feed:
    """All rows of a feed by HSDS 3.1 table name, and what its neighbours in the folder told.

    ``notes``: what was mended or refused while the files were parsed.
    ``code_terms``: a foreign code → (id, name) of terms in another taxonomy, from a mapping that
    lay beside the data. ``service_codes``: a service's id → foreign codes.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    notes: list[ReportRow] = field(default_factory=list)
    code_terms: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    service_codes: dict[str, list[str]] = field(default_factory=dict)
    ignored_files: list[str] = field(default_factory=list)

    def rows(self, table: str) -> list[Row]:
        return self.tables.get(table, [])

    def add(self, row: Row) -> None:
        self.tables.setdefault(row.table, []).append(row)


@dataclass(frozen=True)
class Directory:
    """Organizations, services and locations, each sorted by id.

    A service holds its ``organization_id`` and its children; its places stand in
    ``service_at_locations`` as ``location_id``. A location's and an address's ``public`` is
    False where the feed marks it as confidential. A service's ``needs`` are our kinds of need.
    An organization has ``kind``, ``agreement`` and ``participants``.
    """

    organizations: tuple[Entity, ...]
    services: tuple[Entity, ...]
    locations: tuple[Entity, ...]


@dataclass(frozen=True)
class Summary:
    """Counts of a reading. ``unknown_*`` count services a match can only ask about."""

    services_read: int
    services_refused: int
    refused: int
    mended: int
    unknown_areas: int
    unknown_languages: int
    unknown_eligibility: int
    services_without_need: int
    locations_without_point: int
    confidential_locations: int
    agreements_claimed: int
    unmapped_terms: Mapping[str, int]
    ignored_files: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What `read` gives: the directory, a row for each thing refused or mended, the counts.

    ``places``: where each organization, service and location of the directory stood in the feed,
    as a report counts rows, by (table, id).
    """

    directory: Directory
    report: tuple[ReportRow, ...]
    format: Format
    summary: Summary
    places: Mapping[tuple[str, str], int | None]
