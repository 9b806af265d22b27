"""Ohana CSV tables (HSDS's ancestor) → HSDS 3.1 names. Pure; nothing is judged here.

Ohana's services belong to a location, and through it to an organization. Lists stand in cells.
"""

from typing import Any

from partner_svc.directory import languages
from partner_svc.directory.layout import Raw
from partner_svc.directory.model import Feed, Row, raw_id
from partner_svc.directory.older import add_phone_languages, add_term, renamed, split_list, weekly

_RENAMED = {
    "organizations": {"date_incorporated": "year_incorporated"},
    "services": {
        "website": "url",
        "fees": "fees_description",
        "eligibility": "eligibility_description",
    },
    "locations": {"website": "url"},
    "phones": {"number_type": "type"},
}
_MOVED = {
    "mail_addresses": "addresses",
    "regular_schedules": "schedules",
    "taxonomy": "taxonomy_terms",
    "categories": "taxonomy_terms",
}
_TRUE = ("true", "t", "1", "yes")


def feed_of(raw: Raw) -> Feed:
    """The rows under HSDS 3.1 names, in tables of HSDS 3.1."""
    feed = Feed(notes=raw.notes, ignored_files=list(raw.ignored))
    origin = 0
    for table in sorted(raw.tables):
        for number, given in raw.tables[table]:
            origin += 1
            values = renamed(given, _RENAMED.get(table, {}))
            _convert(feed, Row(_MOVED.get(table, table), number, values, origin=origin), table)
    organization_of = {
        row.id: raw_id(row.values.get("organization_id")) for row in feed.rows("locations")
    }
    for row in feed.rows("services"):
        row.values["organization_id"] = organization_of.get(
            raw_id(row.values.pop("location_id", None)), ""
        )
    _take_neighbours(feed, raw)
    return feed


def _convert(feed: Feed, row: Row, old_table: str) -> None:
    values = row.values
    match old_table:
        case "services":
            _service(feed, row)
        case "locations":
            _location(feed, row)
        case "addresses" | "mail_addresses":
            values["address_type"] = "physical" if old_table == "addresses" else "postal"
        case "phones":
            _phone(feed, row)
        case "taxonomy" | "categories":
            values["id"] = raw_id(values.pop("taxonomy_id", None)) or row.id
            values["taxonomy"] = values.get("taxonomy") or "open-eligibility"
        case "regular_schedules":
            if not weekly(values):
                return
    feed.add(row)


def _child(feed: Feed, parent: Row, table: str, values: dict[str, Any]) -> None:
    feed.add(Row(table, parent.number, values, origin=parent.origin))


def _service(feed: Feed, row: Row) -> None:
    values = row.values
    link = {"service_id": row.id}
    if location := raw_id(values.get("location_id")):
        _child(feed, row, "service_at_locations", link | {"location_id": location})
    for name, code in languages.split(str(values.pop("languages", None) or "")):
        _child(feed, row, "languages", link | {"name": name, "code": code})
    for area in split_list(values.pop("service_areas", None)):
        _child(feed, row, "service_areas", link | {"name": area})
    if document := str(values.pop("required_documents", None) or "").strip():
        _child(feed, row, "required_documents", link | {"document": document})
    for source in split_list(values.pop("funding_sources", None)):
        _child(feed, row, "funding", link | {"source": source})
    for term in split_list(values.pop("taxonomy_ids", None)):
        add_term(feed, row, row.id, term)
    audience = str(values.pop("audience", None) or "").strip()
    if audience:
        said = str(values.get("eligibility_description") or "").strip()
        values["eligibility_description"] = f"{said}\n{audience}".strip()


def _location(feed: Feed, row: Row) -> None:
    values = row.values
    virtual = str(values.pop("virtual", None) or "").strip().lower() in _TRUE
    values["location_type"] = "virtual" if virtual else "physical"
    link = {"location_id": row.id}
    for name, code in languages.split(str(values.pop("languages", None) or "")):
        _child(feed, row, "languages", link | {"name": name, "code": code})
    for mark in split_list(values.pop("accessibility", None)):
        _child(feed, row, "accessibility", link | {"description": mark.replace("_", " ")})


def _phone(feed: Feed, row: Row) -> None:
    values = row.values
    prefix = str(values.pop("country_prefix", None) or "").strip()
    number = str(values.get("number") or "").strip()
    if prefix and number and not number.startswith("+"):
        values["number"] = f"{prefix} {number}"
    add_phone_languages(feed, row)


def _take_neighbours(feed: Feed, raw: Raw) -> None:
    """Files that some cities keep beside the tables.

    A table from foreign codes to Open Eligibility names, known by its columns ("211 code", "open
    eligibility name"), and a JSON object {service id: [codes]}. Of foreign terms the code alone
    is kept.
    """
    for columns, rows in raw.others.values():
        if {"211 code", "open eligibility name"} <= set(columns):
            for values in rows:
                code = str(values.get("211 code") or "").strip(" *")
                name = str(values.get("open eligibility name") or "").strip()
                if code and name:
                    term = (raw_id(values.get("taxonomy_id")), name)
                    known = feed.code_terms.setdefault(code, [])
                    if term not in known:
                        known.append(term)
    ids = {row.id for row in feed.rows("services")}
    for name, value in raw.other_json.items():
        if not isinstance(value, dict) or not value:
            continue
        codes_of = {raw_id(service): codes for service, codes in value.items()}
        if len(ids & codes_of.keys()) * 2 < len(codes_of):
            continue
        feed.ignored_files = [file for file in feed.ignored_files if file != name]
        for service, codes in codes_of.items():
            if isinstance(codes, list):
                feed.service_codes[service] = sorted({str(c).strip() for c in codes} - {""})
    if feed.code_terms:
        feed.ignored_files = [
            file
            for file in feed.ignored_files
            if "211 code" not in raw.others.get(file, ([], []))[0]
        ]
