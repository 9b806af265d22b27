"""HSDS 1.1 and 2.0 tables → HSDS 3.1 names. Pure; nothing is judged here."""

from typing import Any

from partner_svc.directory import clean, languages
from partner_svc.directory.layout import Raw
from partner_svc.directory.model import Feed, Row, raw_id

_RENAMED = {
    "organizations": {"url": "website"},
    "services": {"fees": "fees_description"},
    "phones": {"number_type": "type"},
    "service_areas": {"service_area": "name"},
    "accessibility_for_disabilities": {"accessibility": "description"},
    "taxonomy": {"vocabulary": "taxonomy"},
    "taxonomy_terms": {"term": "name"},
    "other_attributes": {"link_type": "link_entity"},
}
_MOVED = {
    "physical_addresses": "addresses",
    "postal_addresses": "addresses",
    "regular_schedules": "schedules",
    "accessibility_for_disabilities": "accessibility",
    "taxonomy": "taxonomy_terms",
    "other_attributes": "attributes",
}
_ADDRESS_TYPE = {"physical_addresses": "physical", "postal_addresses": "postal"}


def feed_of(raw: Raw) -> Feed:
    """The rows under HSDS 3.1 names, in tables of HSDS 3.1; report rows name the old table."""
    feed = Feed(notes=raw.notes, ignored_files=list(raw.ignored))
    eligibility: dict[str, list[dict[str, Any]]] = {}
    origin = 0
    for table in sorted(raw.tables):
        for number, given in raw.tables[table]:
            origin += 1
            values = renamed(given, _RENAMED.get(table, {}))
            if table == "eligibility":
                eligibility.setdefault(raw_id(values.get("service_id")), []).append(values)
                continue
            row = Row(_MOVED.get(table, table), number, values, origin=origin)
            _convert(feed, row, table)
    for row in feed.rows("services"):
        add_eligibility(row.values, eligibility.get(row.id, []))
    return feed


def _convert(feed: Feed, row: Row, old_table: str) -> None:
    values = row.values
    if old_table in _ADDRESS_TYPE:
        values["address_type"] = _ADDRESS_TYPE[old_table]
        join_lines(values)
    elif old_table == "regular_schedules":
        if not weekly(values):
            return
    elif old_table in ("services_taxonomy", "service_attributes"):
        term = values.get("taxonomy_id") or values.get("taxonomy_term_id")
        add_term(feed, row, raw_id(values.get("service_id")), term)
        return
    elif old_table == "languages" and "language" in values:
        found = languages.split(str(values.pop("language", None) or ""))
        for name, code in found:
            single = values | {"name": name, "code": code}
            if len(found) > 1:  # one row of many languages had one id
                single["id"] = None
            feed.add(Row("languages", row.number, single, origin=row.origin))
        return
    elif old_table == "phones":
        add_phone_languages(feed, row)
    elif old_table == "services":
        for term in split_list(values.pop("taxonomy_ids", None)):
            add_term(feed, row, row.id, term)
    feed.add(row)


def renamed(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """``values`` with keys renamed; a filled field of the new name wins over the old one."""
    found = {key: value for key, value in values.items() if key not in names}
    for old, new in names.items():
        if values.get(old) not in (None, "") and found.get(new) in (None, ""):
            found[new] = values[old]
    return found


def split_list(value: object) -> list[str]:
    """Comma-separated words, or a list, as a list without blanks."""
    items = value if isinstance(value, list) else str(value or "").split(",")
    return [str(item).strip() for item in items if str(item).strip()]


def join_lines(values: dict[str, Any]) -> None:
    """HSDS 3 has two address lines; a third and fourth join the second."""
    lines = [str(values.pop(f"address_{n}", None) or "").strip() for n in (2, 3, 4)]
    values["address_2"] = ", ".join(line for line in lines if line)


def weekly(values: dict[str, Any]) -> bool:
    """Turn a weekday into a weekly schedule; False: no hours, so not open on that day."""
    weekday = values.pop("weekday", None)
    if (
        not str(values.get("opens_at") or "").strip()
        and not str(values.get("closes_at") or "").strip()
    ):
        return False
    values["freq"] = "WEEKLY"
    values["byday"] = clean.byday(weekday)[0] or weekday
    return True


def add_term(feed: Feed, row: Row, service_id: str, term: object) -> None:
    """Link a service with a taxonomy term, as HSDS 3 does: by an attribute."""
    feed.add(
        Row(
            "attributes",
            row.number,
            {"link_id": service_id, "link_entity": "service", "taxonomy_term_id": raw_id(term)},
            origin=row.origin,
        )
    )


def add_phone_languages(feed: Feed, row: Row) -> None:
    """A phone's ``language`` column as rows of languages; its department as description."""
    values = row.values
    department = values.pop("department", None)
    if department and not values.get("description"):
        values["description"] = department
    found = languages.split(str(values.pop("language", None) or ""))
    if found and row.id:
        for name, code in found:
            linked = {"phone_id": row.id, "name": name, "code": code}
            feed.add(Row("languages", row.number, linked, origin=row.origin))


def add_eligibility(service: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Eligibility rows as the service's text; an age bound only where every row gives one."""
    texts = {str(row.get("eligibility") or "").strip() for row in rows} - {""}
    if texts and not service.get("eligibility_description"):
        service["eligibility_description"] = "; ".join(sorted(texts))
    for field, widest in (("minimum_age", min), ("maximum_age", max)):
        ages = [clean.age(row.get(field))[0] for row in rows]
        known = [found for found in ages if isinstance(found, int | float)]
        if known and len(known) == len(rows) and not service.get(field):
            service[field] = widest(known)
