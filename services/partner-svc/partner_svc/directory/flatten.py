"""Nested HSDS 3 objects → flat rows with references, as in HSDS's own tables. Pure."""

from typing import Any

from partner_svc.directory.ids import canonical, content_id
from partner_svc.directory.layout import Raw
from partner_svc.directory.model import Feed, ReportRow, Row, raw_id
from partner_svc.directory.parse import json_kind
from partner_svc.directory.references import plain_ids

_PHONED = {"phones": "phones", "contacts": "contacts", "schedules": "schedules"}
_MANY: dict[str, dict[str, str]] = {
    "services": {
        **_PHONED,
        "service_areas": "service_areas",
        "service_at_locations": "service_at_locations",
        "languages": "languages",
        "funding": "funding",
        "cost_options": "cost_options",
        "required_documents": "required_documents",
        "capacities": "capacities",
        "attributes": "attributes",
    },
    "organizations": {
        **_PHONED,
        "locations": "locations",
        "services": "services",
        "funding": "funding",
        "programs": "programs",
        "organization_identifiers": "organization_identifiers",
        "attributes": "attributes",
    },
    "service_at_locations": {
        **_PHONED,
        "service_areas": "service_areas",
        "attributes": "attributes",
    },
    "locations": {
        **_PHONED,
        "addresses": "addresses",
        "languages": "languages",
        "accessibility": "accessibility",
        "attributes": "attributes",
    },
    "addresses": {"attributes": "attributes"},
    "phones": {"languages": "languages"},
    "contacts": {"phones": "phones"},
}
_ONE: dict[str, dict[str, tuple[str, str]]] = {
    "services": {
        "organization": ("organizations", "organization_id"),
        "program": ("programs", "program_id"),
    },
    "service_at_locations": {
        "location": ("locations", "location_id"),
        "service": ("services", "service_id"),
    },
    "attributes": {"taxonomy_term": ("taxonomy_terms", "taxonomy_term_id")},
    "taxonomy_terms": {"taxonomy_detail": ("taxonomies", "taxonomy_id")},
    "capacities": {"unit": ("units", "unit_id")},
}
REFERENCE = {
    "services": "service_id",
    "organizations": "organization_id",
    "service_at_locations": "service_at_location_id",
    "locations": "location_id",
    "phones": "phone_id",
    "contacts": "contact_id",
}
ENTITY = {
    "service": "services",
    "organization": "organizations",
    "location": "locations",
    "service_at_location": "service_at_locations",
    "address": "addresses",
}
_ENTITY_OF = {table: entity for entity, table in ENTITY.items()}
_NEED_ID = frozenset({"services", "organizations"})
_NOTHING: tuple[Any, ...] = (None, "", [], {})


def feed_of(raw: Raw) -> Feed:
    """All rows, nested ones taken out of their parents and given the parent's id."""
    feed = Feed(notes=raw.notes, ignored_files=list(raw.ignored))
    origin = 0
    for table in sorted(raw.tables):
        for number, values in raw.tables[table]:
            origin += 1
            if raw.nested:
                _take(feed, Row(table, number, dict(values), origin=origin))
            else:  # A cell of a CSV that is called "organization" is words, and no record.
                _take_flat(feed, Row(table, number, dict(values), origin=origin))
    return feed


def _take_flat(feed: Feed, row: Row) -> None:
    _name_it(row)
    feed.add(row)


def _take(feed: Feed, row: Row) -> None:
    values = row.values
    if row.nested:
        plain_ids(row.table, row.number, values, feed.notes)
    _name_it(row)
    for key, (table, reference) in _ONE.get(row.table, {}).items():
        child = values.pop(key, None)
        if child not in _NOTHING and not isinstance(child, dict):
            _refuse(feed, row, table, key, child)
        if isinstance(child, dict) and child:
            linked = dict(child)
            if (
                table == "programs"
            ):  # a program is the organization's, also where a service names it
                linked.setdefault("organization_id", raw_id(values.get("organization_id")))
            inner = Row(table, row.number, linked, nested=True, origin=row.origin)
            _take(feed, inner)
            values[reference] = inner.values.get("id")
    for key, table in _MANY.get(row.table, {}).items():
        children = values.pop(key, None)
        if children in _NOTHING:
            continue
        for at, child in enumerate(children if isinstance(children, list) else [children], start=1):
            if isinstance(child, dict) and child:
                linked = dict(child) | _link(row, table)
                _take(feed, Row(table, row.number, linked, nested=True, origin=row.origin))
            else:
                place = f"{key}[{at}]" if isinstance(children, list) else key
                _refuse(feed, row, table, place, child)
    feed.add(row)


def _refuse(feed: Feed, parent: Row, table: str, place: str, child: Any) -> None:
    why = "is empty" if child == {} else f"{json_kind(child)}, no object"
    of = f"in {parent.table} {parent.id[:40] or 'without an id'}"
    feed.notes.append(ReportRow(table, parent.number, "", "refused", place, f"{why} ({of})"))


def _link(parent: Row, table: str) -> dict[str, Any]:
    if table == "attributes":
        return {"link_id": parent.id, "link_entity": _ENTITY_OF[parent.table]}
    if parent.table == "addresses":
        return {}
    return {REFERENCE[parent.table]: parent.id}


def _name_it(row: Row) -> None:
    """Give an id to a nested record without one that others refer to: one of its content."""
    refers = row.table in _MANY or row.table in _ONE or row.table in ("taxonomies", "units")
    if refers and row.table not in _NEED_ID and not raw_id(row.values.get("id")):
        row.values["id"] = content_id("", row.table, "", canonical(row.values))
