"""Terms of a feed: their shape, their path from the top, and the needs they stand for. Pure."""

import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from event_schemas.codes import NeedCategory

from partner_svc.directory.ids import stable_id
from partner_svc.directory.model import Entity, Feed, Row, raw_id
from partner_svc.directory.report import Report
from partner_svc.directory.terms import TermMap, is_opaque
from partner_svc.directory.tidy import tidy

OWN = "handoff"
"""The taxonomy of our own attributes (kind, agreement, participants, need)."""
FOREIGN = "211"
_DEPTH = 12


@dataclass
class Taxonomy:
    """All terms by the feed's id. ``unmapped`` counts services by a term without a mapping."""

    source_name: str
    terms: TermMap | None
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    unmapped: Counter[str] = field(default_factory=Counter)
    _entities: dict[str, Entity] = field(default_factory=dict)
    _needs: dict[str, tuple[NeedCategory, ...] | None] = field(default_factory=dict)

    def entity(self, id_: str) -> Entity:
        """The term as HSDS shapes it. Of a 211/AIRS term the code alone: its name is licensed."""
        if id_ not in self._entities:  # Thousands of services have a few hundred terms.
            self._entities[id_] = self._entity(id_)
        return dict(self._entities[id_])

    def _entity(self, id_: str) -> Entity:
        values = self.values.get(id_, {})
        taxonomy = str(values.get("taxonomy") or "")
        code = self.code(id_)
        term = {key: value for key, value in values.items() if key not in ("parent", "parent_name")}
        if is_opaque(taxonomy, code):
            term = {"code": code, "name": code, "taxonomy": taxonomy or FOREIGN}
        term = {"name": code, **term} | ({"code": code} if code else {})
        term["id"] = stable_id(self.source_name, "taxonomy_terms", id_)
        if not term["name"]:
            term["name"] = term["id"]
        return term

    def code(self, id_: str) -> str:
        """The term's code; its id where that is a code and no UUID."""
        code = str(self.values.get(id_, {}).get("code") or "")
        if code:
            return code
        try:
            uuid.UUID(id_)
        except ValueError:
            return id_
        return ""

    def path(self, id_: str) -> list[str]:
        """Names from the top of the taxonomy down to the term."""
        path: list[str] = []
        for _ in range(_DEPTH):
            values = self.values.get(id_)
            if values is None:
                break
            path.insert(0, str(values.get("name") or ""))
            parent = str(values.get("parent") or "")
            if parent not in self.values or parent == id_:
                above = str(values.get("parent_name") or "")
                return [above, *path] if above else path
            id_ = parent
        return path

    def needs(self, term_ids: set[str]) -> set[NeedCategory]:
        """Kinds of need of a service with these terms; terms without a mapping are counted."""
        found: set[NeedCategory] = set()
        for id_ in term_ids:
            if id_ not in self._needs:
                self._needs[id_] = self._needs_of(id_)
            known = self._needs[id_]
            if known is None:
                self.count(id_)
            found.update(known or ())
        return found

    def _needs_of(self, id_: str) -> tuple[NeedCategory, ...] | None:
        code = self.code(id_)
        known = self.known(code, str(self.values.get(id_, {}).get("taxonomy") or ""))
        if known is None and self.terms is not None:
            known = self.terms.needs(code, self.path(id_))
        return known

    def known(self, code: str, taxonomy: str) -> tuple[NeedCategory, ...] | None:
        """A term that is one of our kinds of need already (taxonomy "handoff" or SDOHCC's)."""
        plain = taxonomy.lower()
        if (plain == OWN or "sdoh" in plain) and code in {
            category.value for category in NeedCategory
        }:
            return (NeedCategory(code),)
        return None

    def count(self, id_: str) -> None:
        entity = self.entity(id_)
        if str(entity.get("taxonomy") or "").lower() != OWN:
            self.unmapped[str(entity["name"])] += 1


def taxonomy_of(feed: Feed, source_name: str, terms: TermMap | None, report: Report) -> Taxonomy:
    """The feed's terms; where one stands several times, the one that says most."""
    names = {row.id: str(row.values.get("name") or "") for row in feed.rows("taxonomies") if row.id}
    taxonomy = Taxonomy(source_name, terms)
    groups: dict[str, list[Row]] = {}
    for row in feed.rows("taxonomy_terms"):
        groups.setdefault(row.id, []).append(row)
    for id_, rows in groups.items():
        if not id_:
            for row in rows:
                report.refuse(row, "id", "a taxonomy term without an id")
            continue
        row = min(
            rows, key=lambda row: (-len([v for v in row.values.values() if v]), str(row.values))
        )
        values = tidy(row, report)
        values["parent"] = raw_id(row.values.get("parent_id"))
        named = names.get(raw_id(row.values.get("taxonomy_id")))
        if named and not values.get("taxonomy"):
            values["taxonomy"] = named
        taxonomy.values[id_] = values
    return taxonomy


def foreign_terms(
    feed: Feed, service: str, taxonomy: Taxonomy
) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """(codes, mapped terms as (id, name), codes without a mapping) of a service.

    A code without a row of its own takes that of the nearest code above it: the mapping names
    "BD-1800" where the service says "BD-1800.2000-250".
    """
    codes = feed.service_codes.get(service, [])
    mapped: set[tuple[str, str]] = set()
    lost: list[str] = []
    for code in codes:
        terms = _nearest(feed.code_terms, code)
        own = taxonomy.terms.codes.get(code) if taxonomy.terms else None
        if not terms and own is None:
            lost.append(code)
        mapped.update(terms)
    return codes, sorted(mapped), lost


def _nearest(code_terms: dict[str, list[tuple[str, str]]], code: str) -> list[tuple[str, str]]:
    while code:
        if code in code_terms:
            return code_terms[code]
        cut = max(code.rfind("-"), code.rfind("."))
        code = code[:cut] if cut > 0 else ""
    return []
