"""Which files of a feed are which tables, and which format they are. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from partner_svc.directory.model import DirectoryRefused, Format, ReportRow
from partner_svc.directory.parse import decode, read_csv, read_json

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

    ``columns`` of a table that came as JSON are all keys that occur.
    """

    tables: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    columns: dict[str, set[str]] = field(default_factory=dict)
    nested: bool = False
    version: str = ""
    others: dict[str, tuple[list[str], list[dict[str, Any]]]] = field(default_factory=dict)
    other_json: dict[str, Any] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def add(
        self, table: str, columns: Iterable[str], rows: list[tuple[int, dict[str, Any]]]
    ) -> None:
        self.columns.setdefault(table, set()).update(columns)
        self.tables.setdefault(table, []).extend(rows)


def parse_files(files: dict[str, bytes], notes: list[ReportRow]) -> Raw:
    """Tables of the files. Raises `DirectoryRefused` where nothing in them is a directory."""
    if not files:
        raise DirectoryRefused("holds no CSV and no JSON file")
    folder = _data_folder(files)
    raw = Raw()
    for name, content in sorted(files.items()):
        path = PurePosixPath(name)
        if path.name.lower() == "datapackage.json":
            raw.version = raw.version or _version(decode(name, content, notes))
        elif folder is not None and str(path.parent) != folder:
            raw.ignored.append(name)
        elif not content.strip():
            raise DirectoryRefused(f"{name or 'the file'}: is empty")
        elif path.suffix.lower() == ".csv" or (not name and _looks_like_csv(content)):
            _take_csv(raw, name, decode(name, content, notes), notes)
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
    return content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"[", b"")


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


def _take_csv(raw: Raw, name: str, text: str, notes: list[ReportRow]) -> None:
    table = table_name(PurePosixPath(name).stem)
    if table is None:
        try:
            columns, rows = read_csv(name, text, [])
        except DirectoryRefused:  # not one of the directory's tables; its faults are no matter
            columns, rows = [], []
        raw.others[name] = (columns, [values for _, values in rows])
        raw.ignored.append(name)
    elif table not in IGNORED:
        before = len(notes)
        columns, rows = read_csv(name, text, notes)
        # notes of records speak of the table, as all others do
        notes[before:] = [
            ReportRow(table, n.row, n.id, n.kind, n.field, n.reason) for n in notes[before:]
        ]
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
    if isinstance(value, dict) and (tables := _tables_in(value)):
        for table, rows in tables.items():
            _take_objects(raw, table, rows)
        return
    objects = value if isinstance(value, list) else [value]
    taken = False
    for table in sorted({_kind(obj, by_name) for obj in objects} - {""}):
        _take_objects(raw, table, [obj for obj in objects if _kind(obj, by_name) == table], objects)
        taken = True
    if not taken:
        raw.other_json[name] = value
        raw.ignored.append(name or "the file")


def _tables_in(value: dict[str, Any]) -> dict[str, list[Any]]:
    """{table: rows} as in HSDS's tabular.json; not an object that merely has nested lists."""
    if "name" in value or "id" in value:
        return {}
    named = {table_name(key): rows for key, rows in value.items() if isinstance(rows, list)}
    return {table: rows for table, rows in named.items() if table} if "services" in named else {}


def _kind(obj: Any, by_name: str | None) -> str:
    """The table an object belongs to, by its file's name where it fits, else by its fields."""
    if not isinstance(obj, dict) or not obj:
        return ""
    if by_name is not None and ("id" in obj or "name" in obj):
        return by_name
    has = obj.keys().__contains__
    if (has("location") and has("service")) or (has("service_id") and has("location_id")):
        return "service_at_locations"
    if not has("id") and not has("name"):
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


def _take_objects(
    raw: Raw, table: str, rows: list[Any], numbered_in: list[Any] | None = None
) -> None:
    if table in IGNORED:
        return
    number = {id(obj): n for n, obj in enumerate(numbered_in or rows, start=1)}
    kept = [(number[id(obj)], dict(obj)) for obj in rows if isinstance(obj, dict)]
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
