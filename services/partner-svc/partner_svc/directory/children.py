"""Child rows (phones, schedules, areas …) → lists under the parents they name. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from partner_svc.directory import languages
from partner_svc.directory.confidential import address_says_so, attribute_says_so, marked
from partner_svc.directory.fields import NEEDED
from partner_svc.directory.flatten import ENTITY, REFERENCE
from partner_svc.directory.ids import canonical, content_id, stable_id
from partner_svc.directory.model import Entity, Feed, Row, raw_id
from partner_svc.directory.report import Report
from partner_svc.directory.taxonomy import Taxonomy
from partner_svc.directory.tidy import Settled, tidy

# (child table, parents it goes to, each of them; else the first of these)
_PLACES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("languages", ("phones", "services", "locations"), ()),
    (
        "phones",
        ("contacts", "service_at_locations", "services"),
        ("locations", "organizations"),
    ),
    ("contacts", ("service_at_locations", "services"), ("locations", "organizations")),
    ("schedules", ("service_at_locations", "services"), ("locations", "organizations")),
    ("holiday_schedules", ("service_at_locations", "services"), ("locations", "organizations")),
    ("service_areas", ("service_at_locations", "services"), ()),
    ("cost_options", ("services",), ()),
    ("required_documents", ("services",), ()),
    ("capacities", ("services",), ()),
    ("funding", ("services",), ("organizations",)),
    ("addresses", ("locations",), ()),
    ("accessibility", ("locations",), ()),
    ("programs", ("organizations",), ()),
    ("organization_identifiers", ("organizations",), ()),
)
_SETTLED = frozenset({"services", "organizations", "locations", "service_at_locations"})


@dataclass
class Family:
    """Children by (parent table, the feed's id of the parent), then by child table."""

    source_name: str
    report: Report
    settled: dict[str, Settled]
    taxonomy: Taxonomy
    term_ids: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    units: dict[str, Entity] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)
    of: dict[tuple[str, str], dict[str, list[Entity]]] = field(default_factory=dict)

    def children(self, table: str, id_: str) -> dict[str, list[Entity]]:
        """Lists by HSDS name, each sorted by id, without repeats."""
        return {
            name: sorted(_unique(found).values(), key=lambda child: str(child["id"]))
            for name, found in sorted(self.of.get((table, id_), {}).items())
        }

    def knows(self, table: str, id_: str) -> bool:
        return id_ in self.ids.get(table, ())


def _unique(children: list[Entity]) -> dict[str, Entity]:
    found: dict[str, Entity] = {}
    for child in sorted(children, key=canonical):
        kept = found.setdefault(child["id"], child)
        if kept != child:
            other = child | {"id": content_id("", "child", child["id"], child)}
            found[other["id"]] = other
    return found


def gather(feed: Feed, family: Family) -> None:
    """Put every child row under its parents; a row that belongs to nothing is refused."""
    for table in ("organizations", "services", "locations", "service_at_locations"):
        family.ids[table] = set(family.settled[table].items)
    for table in ("phones", "contacts", "addresses"):
        family.ids[table] = {row.id for row in feed.rows(table) if row.id}
    family.units = {row.id: tidy(row, family.report) for row in feed.rows("units") if row.id}
    _gather_attributes(feed, family)
    for table, each, first in _PLACES:
        for row in feed.rows(table):
            _place(row, each, first, family)


def _place(row: Row, each: tuple[str, ...], first: tuple[str, ...], family: Family) -> None:
    named = {
        parent: id_
        for parent in (*each, *first)
        if (id_ := raw_id(row.values.get(REFERENCE[parent])))
    }
    if any(
        row.nested
        and parent in family.settled
        and (row.origin, id_) in family.settled[parent].losers
        for parent, id_ in named.items()
    ):
        return
    lost = [f"{REFERENCE[p]} {i[:40]}" for p, i in named.items() if not family.knows(p, i)]
    homes = [p for p in each if p in named and family.knows(p, named[p])]
    if not homes:
        homes = [p for p in first if p in named and family.knows(p, named[p])][:1]
    if not homes:
        reason = f"{' and '.join(lost)}: no such row" if lost else "belongs to nothing"
        fields = [REFERENCE[p] for p in (named or (*each, *first))]
        family.report.refuse(row, ", ".join(fields), reason)
        return
    child = _child(row, family)
    if child is None:
        return
    if lost and any(p in each for p in named):
        family.report.mend(
            row, "", f"{' and '.join(lost)}: no such row; kept with the other parent"
        )
    for parent in homes:
        family.of.setdefault((parent, named[parent]), {}).setdefault(row.table, []).append(child)


def _child(row: Row, family: Family) -> Entity | None:
    values = tidy(row, family.report)
    if row.table in NEEDED and not any(
        values.get(name) not in (None, "") for name in NEEDED[row.table]
    ):
        wanted = NEEDED[row.table]
        family.report.refuse(row, ", ".join(wanted), f"none of {', '.join(wanted)} is filled")
        return None
    finish = _FINISH.get(row.table)
    if finish is not None:
        finish(row, values, family)
    if row.table in ("phones", "contacts") and row.id:
        values |= family.children(row.table, row.id)
    if row.id:
        values["id"] = stable_id(family.source_name, row.table, row.id)
    else:
        parents = " ".join(raw_id(row.values.get(key)) for key in REFERENCE.values())
        values["id"] = content_id(family.source_name, row.table, parents, values)
    return values


def _language(row: Row, values: dict[str, Any], family: Family) -> None:
    """A code that is none is taken from the name; a name that is not plain stays words."""
    given = str(values.pop("code", "") or "")
    name = str(values.get("name") or "")
    code = languages.code_of_tag(given) if given else None
    if given and code is None and not name:
        values["name"] = given
    code = code or languages.code_of_name(name) or languages.code_of_name(given)
    if code is None and len(name) == 2:
        code = languages.code_of_tag(name)
    if code is not None:
        values["code"] = code
    if given and given != code:
        said = f"code {given[:20]!r} put as {code!r}" if code else f"code {given[:20]!r} left out"
        family.report.mend(row, "code", said)


def _address(row: Row, values: dict[str, Any], family: Family) -> None:
    kind = str(values.get("address_type") or "physical").lower()
    values["address_type"] = kind if kind in ("physical", "postal", "virtual") else "physical"
    attributes = family.of.get(("addresses", row.id), {}).get("attributes", []) if row.id else []
    hidden = (
        marked(row.values) or address_says_so(values) or any(map(attribute_says_so, attributes))
    )
    values["public"] = not hidden


def _capacity(row: Row, values: dict[str, Any], family: Family) -> None:
    unit = raw_id(row.values.get("unit_id"))
    if unit:
        named = family.units.get(unit, {})
        values["unit"] = {"id": stable_id(family.source_name, "units", unit)} | named


def _holiday(_row: Row, values: dict[str, Any], _family: Family) -> None:
    closed = str(values.get("closed") or "").lower()
    values["closed"] = closed in ("true", "t", "1", "yes") or "opens_at" not in values
    values.setdefault("end_date", values.get("start_date"))


_FINISH: dict[str, Callable[[Row, dict[str, Any], Family], None]] = {
    "languages": _language,
    "addresses": _address,
    "capacities": _capacity,
    "holiday_schedules": _holiday,
}


def _gather_attributes(feed: Feed, family: Family) -> None:
    for row in feed.rows("attributes"):
        link = raw_id(row.values.get("link_id"))
        entity = str(row.values.get("link_entity") or "").strip().lower()
        table = ENTITY.get(entity.removesuffix(".json"), entity)
        if table not in family.ids:
            known = [t for t in (*sorted(_SETTLED), "addresses") if family.knows(t, link)]
            table = known[0] if known else ""
        if not table or not family.knows(table, link):
            family.report.refuse(row, "link_id", f"{link[:40] or 'empty'}: no such row")
            continue
        losers = family.settled[table].losers if table in family.settled else set()
        if row.nested and (row.origin, link) in losers:
            continue
        values = tidy(row, family.report)
        values["link_entity"] = entity
        term = raw_id(row.values.get("taxonomy_term_id"))
        if term:
            values["taxonomy_term"] = family.taxonomy.entity(term)
            family.term_ids.setdefault((table, link), set()).add(term)
        values["id"] = (
            stable_id(family.source_name, "attributes", row.id)
            if row.id
            else content_id(family.source_name, "attributes", link, values)
        )
        home = family.of.setdefault((table, link), {})
        home.setdefault("attributes", []).append(values)
