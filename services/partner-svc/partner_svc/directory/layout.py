"""Which files of a feed are which tables, and which format they are. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from partner_svc.directory.model import DirectoryRefused, Format, ReportRow
from partner_svc.directory.parse import UTF_16_MARKS, decode, json_kind, read_csv, read_json

TABLES = frozenset(
    {
        "accessibility",
        "accessibility_for_disabilities",
        "addresses",
        "attributes",
        "capacities",
        "categories",
        "contacts",
        "cost_options",
        "eligibility",
        "funding",
        "holiday_schedules",
        "languages",
        "locations",
        "mail_addresses",
        "meta_table_descriptions",
        "metadata",
        "organization_identifiers",
        "organizations",
        "other_attributes",
        "payments_accepted",
        "phones",
        "physical_addresses",
        "postal_addresses",
        "programs",
        "regular_schedules",
        "required_documents",
        "schedules",
        "service_areas",
        "service_at_locations",
        "service_attributes",
        "services",
        "services_taxonomy",
        "taxonomies",
        "taxonomy",
        "taxonomy_terms",
        "units",
        "urls",
    }
)
_ALIASES = {
    "service_at_location": "service_at_locations",
    "services_at_location": "service_at_locations",
    "services_at_locations": "service_at_locations",
    "service_capacity": "capacities",
    "service_capacities": "capacities",
    "service_taxonomy": "services_taxonomy",
    "accessibilities": "accessibility",
    "eligibilities": "eligibility",
    "payment_accepted": "payments_accepted",
    "url": "urls",
    "fundings": "funding",
}
_SINGULAR = {
    "service_areas": "service_area",
    **{t: t[:-3] + "y" for t in TABLES if t.endswith("ies")},
    **{t: t[:-2] for t in TABLES if t.endswith("sses")},
}
_BY_WORD = {
    **{_SINGULAR.get(table, table.removesuffix("s")): table for table in TABLES},
    **{table: table for table in TABLES},
    "taxonomy": "taxonomy",
    "address": "addresses",
    "funding": "funding",
    "accessibility": "accessibility",
    "eligibility": "eligibility",
    **_ALIASES,
}
IGNORED = frozenset({"metadata", "meta_table_descriptions", "urls"})


def table_name(word: str) -> str | None:
    """HSDS's table for a file's stem or a JSON key ("service_at_location.csv"), or None."""
    stem = word.lower().removesuffix(".csv").removesuffix(".json")
    stem = stem.removesuffix("_list").removesuffix("_full").replace("-", "_").replace(" ", "_")
    return _BY_WORD.get(stem)


@dataclass
class Raw:
    """Parsed files: flat tables and nested JSON objects, each with record numbers.

    ``columns`` of a table that came as JSON are all keys that occur. ``notes``: what was mended
    and refused on the way.
    """

    tables: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    columns: dict[str, set[str]] = field(default_factory=dict)
    nested: bool = False
    version: str = ""
    others: dict[str, tuple[list[str], list[dict[str, Any]]]] = field(default_factory=dict)
    other_json: dict[str, Any] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    notes: list[ReportRow] = field(default_factory=list)

    def add(
        self, table: str, columns: Iterable[str], rows: list[tuple[int, dict[str, Any]]]
    ) -> None:
        self.columns.setdefault(table, set()).update(columns)
        self.tables.setdefault(table, []).extend(rows)

    def refuse(self, table: str, number: int | None, reason: str) -> None:
        """Note a record that is none; one of services counts as a service that is unusable."""
        if table not in IGNORED:
            self.notes.append(ReportRow(table, number, "", "refused", "", reason))


def parse_files(files: dict[str, bytes]) -> Raw:
    """Tables of the files. Raises `DirectoryRefused` where nothing in them is a directory."""
    if not files:
        raise DirectoryRefused("holds no CSV and no JSON file")
    folder = _data_folder(files)
    raw = Raw()
    notes = raw.notes
    for name, content in sorted(files.items()):
        path = PurePosixPath(name)
        if path.name.lower() == "datapackage.json":
            raw.version = raw.version or _version(decode(name, content, notes))
        elif folder is not None and str(path.parent) != folder:
            raw.ignored.append(name)
        elif not content.strip():
            raise DirectoryRefused(f"{name or 'the file'}: is empty")
        elif path.suffix.lower() == ".csv" or (not name and _looks_like_csv(content)):
            _take_csv(raw, name, decode(name, content, notes))
        elif folder is not None:
            _take_neighbour(raw, name, content)
        else:
            _take_json(raw, name, read_json(name, decode(name, content, notes)))
    if not raw.tables:
        raise DirectoryRefused(
            "unknown format: neither HSDS (1.1, 2.0, 3.x) nor Ohana tables were found in "
            + (", ".join(sorted(files)[:5]) or "the file")
        )
    return raw


def _looks_like_csv(content: bytes) -> bool:
    marks = b"\xef\xbb\xbf" + b"".join(UTF_16_MARKS)
    return content.lstrip(marks + b"\x00 \t\r\n")[:1] not in (b"{", b"[", b"")


def _data_folder(files: dict[str, bytes]) -> str | None:
    """The folder that holds the services table, where the feed is a set of tables in files."""
    homes = {
        str(path.parent)
        for path in map(PurePosixPath, files)
        if table_name(path.stem) == "services" and path.suffix.lower() == ".csv"
    }
    if len(homes) > 1:
        raise DirectoryRefused(
            f"holds several directories ({', '.join(sorted(homes))}); give one of them"
        )
    return next(iter(homes), None)


def _version(text: str) -> str:
    # A datapackage.json may be a link that was saved as text; only its version is of use here.
    try:
        value = read_json("datapackage.json", text)
    except DirectoryRefused:
        return ""
    version = value.get("version") if isinstance(value, dict) else None
    return version if isinstance(version, str) else ""


def _take_csv(raw: Raw, name: str, text: str) -> None:
    table = table_name(PurePosixPath(name).stem)
    if table is None:
        try:
            columns, rows = read_csv(name, text, [])
        except DirectoryRefused:  # not one of the directory's tables; its faults are no matter
            columns, rows = [], []
        raw.others[name] = (columns, [values for _, values in rows])
        raw.ignored.append(name)
    elif table not in IGNORED:
        notes: list[ReportRow] = []
        columns, rows = read_csv(name, text, notes)
        # notes of records speak of the table, as all others do
        raw.notes += [replace(note, table=table) for note in notes]
        raw.add(table, columns, rows)


def _take_neighbour(raw: Raw, name: str, content: bytes) -> None:
    """A JSON file beside CSV tables is no table; a format may know what it is for."""
    raw.ignored.append(name)
    try:
        raw.other_json[name] = read_json(name, decode(name, content, []))
    except DirectoryRefused:  # no part of the directory; its faults are no matter
        return


def _take_json(raw: Raw, name: str, value: Any) -> None:
    path = PurePosixPath(name)
    by_name = table_name(path.stem) or table_name(path.parent.name)
    for page in ("contents", "content", "items", "results"):
        if isinstance(value, dict) and "id" not in value and isinstance(value.get(page), list):
            value = value[page]
    shown = name or "the file"
    if isinstance(value, dict) and (tables := _tables_in(value)):
        for table, rows in tables:
            if isinstance(rows, list):
                _take_objects(raw, table, enumerate(rows, start=1), shown)
            else:
                raw.refuse(table, None, f"{json_kind(rows)}, no list of objects ({shown})")
        return
    objects = value if isinstance(value, list) else [value]
    # The records of "phones.json" are phones, also those without an id.
    named = table_name(path.stem) if isinstance(value, list) else None
    kinds = [
        named if named and isinstance(obj, dict) and obj else _kind(obj, by_name) for obj in objects
    ]
    found = sorted(set(kinds) - {""})
    if not found and not (named and objects):
        raw.other_json[name] = value
        raw.ignored.append(shown)
        return
    # What is of no kind among records is one of those that the file is for.
    home = by_name or ("services" if "services" in found else found[0])
    if found == [home]:
        kinds = [
            kind or (home if _names_itself(obj) else "")
            for kind, obj in zip(kinds, objects, strict=True)
        ]
    for table in found:
        rows = [(n, obj) for n, obj in enumerate(objects, start=1) if kinds[n - 1] == table]
        _take_objects(raw, table, rows, shown)
    strays = [(n, obj) for n, obj in enumerate(objects, start=1) if not kinds[n - 1]]
    for number, obj in strays:
        why = (
            "its fields tell no table" if isinstance(obj, dict) else f"{json_kind(obj)}, no object"
        )
        raw.refuse(home, number, f"{why} ({shown})")


def _tables_in(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """(table, rows) as in HSDS's tabular.json; not an object that merely has nested lists."""
    if "name" in value or "id" in value:
        return []
    named = [(table_name(key), rows) for key, rows in value.items() if rows is not None]
    if not any(table == "services" and isinstance(rows, list) for table, rows in named):
        return []
    return [(table, rows) for table, rows in named if table]


def _kind(obj: Any, by_name: str | None) -> str:
    """The table an object belongs to, by its file's name where it fits, else by its fields."""
    if not isinstance(obj, dict) or not obj:
        return ""
    if by_name is not None and _names_itself(obj):
        return by_name
    has = obj.keys().__contains__
    if (has("location") and has("service")) or (has("service_id") and has("location_id")):
        return "service_at_locations"
    if not _names_itself(obj):
        return ""
    marks = (
        ("services", ("organization", "organization_id", "service_at_locations", "assured_date")),
        ("locations", ("location_type", "latitude")),
        ("organizations", ("organization_identifiers", "legal_status", "tax_status", "services")),
        ("taxonomy_terms", ("term_uri", "taxonomy_id", "taxonomy_detail")),
    )
    for table, fields in marks:
        if any(has(field) for field in fields):
            return table
    return ""


def _names_itself(obj: Any) -> bool:
    return isinstance(obj, dict) and ("id" in obj or "name" in obj)


def _take_objects(raw: Raw, table: str, rows: Iterable[tuple[int, Any]], shown: str) -> None:
    if table in IGNORED:
        return
    kept: list[tuple[int, dict[str, Any]]] = []
    for number, obj in rows:
        if isinstance(obj, dict):
            kept.append((number, dict(obj)))
        else:
            raw.refuse(table, number, f"{json_kind(obj)}, no object ({shown})")
    columns = {key for _, obj in kept for key in obj}
    raw.nested = True
    raw.add(table, columns, kept)


def detect(raw: Raw) -> Format:
    """The format, by what is in it. Raises `DirectoryRefused` where it is none."""
    services = raw.columns.get("services", set())
    if "services" in raw.tables and not raw.tables["services"] and not services:
        raise DirectoryRefused("table 'services' holds no row; nothing would be left")
    nested_services = {"services", "service"} & (
        raw.columns.get("organizations", set()) | raw.columns.get("service_at_locations", set())
    )
    if not services and not nested_services:
        raise DirectoryRefused(
            "unknown format: required table 'services' is missing "
            f"(found: {', '.join(sorted(raw.tables)) or 'none'})"
        )
    if "location_id" in services and not {"organization_id", "organization"} & services:
        return "ohana"
    if raw.version.startswith("3") or _has_hsds3_marks(raw, services) or nested_services:
        return "hsds-3"
    if raw.version.startswith("2") or {"service_attributes", "taxonomy_terms"} & raw.tables.keys():
        return "hsds-2"
    # 1.1 and 2.0 share their tables and are read the same; this column is of the later drafts
    return "hsds-2" if "taxonomy_ids" in services else "hsds-1"


_HSDS3_COLUMNS = {
    "languages": {"name", "code"},
    "service_areas": {"extent", "name"},
    "schedules": {"opens_at"},
    "locations": {"location_type"},
    "taxonomy_terms": {"code", "taxonomy_id"},
}


def _has_hsds3_marks(raw: Raw, services: set[str]) -> bool:
    old = {"physical_addresses", "postal_addresses", "regular_schedules", "eligibility", "taxonomy"}
    if old & raw.tables.keys():
        return False
    for table, columns in _HSDS3_COLUMNS.items():
        if columns & raw.columns.get(table, set()):
            return True
    marks = {"assured_date", "last_modified", "fees_description", "minimum_age", "organization"}
    tables = {"addresses", "attributes", "cost_options", "taxonomies", "capacities"}
    website = "website" in raw.columns.get("organizations", set())
    nested = bool({"organization", "service_at_locations"} & services)
    return website or nested or bool(marks & services) or bool(tables & raw.tables.keys())


REQUIRED: dict[Format, dict[str, tuple[str, ...]]] = {
    "hsds-3": {"services": ("id", "name")},
    "hsds-2": {
        "organizations": ("id", "name"),
        "services": ("id", "organization_id", "name"),
    },
    "hsds-1": {
        "organizations": ("id", "name"),
        "services": ("id", "organization_id", "name"),
    },
    "ohana": {
        "organizations": ("id", "name"),
        "locations": ("id", "organization_id"),
        "services": ("id", "location_id", "name"),
    },
}


def require(raw: Raw, format_: Format) -> None:
    """Raises `DirectoryRefused` naming the first required table or column that is missing."""
    required = dict(REQUIRED[format_])
    services = raw.columns.get("services", set())
    if format_ == "hsds-3" and services and "organization" not in services:
        required["organizations"] = ("id", "name")
        required["services"] = ("id", "organization_id", "name")
    if format_ == "hsds-3" and not services:
        required = {}  # they stand inside organizations or service_at_locations
    for table, columns in required.items():
        if table not in raw.tables:
            found = ", ".join(sorted(raw.tables))
            raise DirectoryRefused(f"required table {table!r} is missing (found: {found})")
        for column in columns:
            if column not in raw.columns[table]:
                found = ", ".join(sorted(raw.columns[table]))
                raise DirectoryRefused(
                    f"required column {column!r} is missing in {table!r} (found: {found})"
                )
