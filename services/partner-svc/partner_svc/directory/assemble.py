"""Settled rows → organizations, services and locations that hold together. Pure.

What cannot stand alone is refused here: a service without a name or an organization, an
organization without a name, a place of a service that does not exist.
"""

from dataclasses import dataclass
from typing import Any

from partner_svc.directory.children import Family, gather
from partner_svc.directory.confidential import attribute_says_so, marked, prose_says_so
from partner_svc.directory.ids import content_id, stable_id
from partner_svc.directory.model import Directory, DirectoryRefused, Entity, Feed, Summary, raw_id
from partner_svc.directory.own import NO_AGREEMENT, finish_organization, own_fields, stated_needs
from partner_svc.directory.report import Report
from partner_svc.directory.taxonomy import FOREIGN, Taxonomy, foreign_terms, taxonomy_of
from partner_svc.directory.terms import TermMap
from partner_svc.directory.tidy import Item, Settled, settle, swap_by_neighbours

MAIN = ("organizations", "services", "locations", "service_at_locations")
Places = dict[tuple[str, str], int | None]


def assemble(
    feed: Feed, source_name: str, terms: TermMap | None, report: Report
) -> tuple[Directory, Summary, Places]:
    """The directory, its counts and where its records stood; findings go to ``report``.

    Raises `DirectoryRefused` where more than half of the services are unusable, or none is there.
    """
    return _Assembly(feed, source_name, terms, report).run()


@dataclass
class _Place:
    """A service at a location, both known by the feed's ids."""

    item: Item
    service: str
    location: str


class _Assembly:
    def __init__(self, feed: Feed, source_name: str, terms: TermMap | None, report: Report) -> None:
        for row in feed.rows("service_at_locations"):
            if not row.id:  # a link table whose rows have no id of their own
                pair = (raw_id(row.values.get(k)) for k in ("service_id", "location_id"))
                row.values["id"] = " at ".join(pair)
        self.feed, self.source_name, self.report = feed, source_name, report
        self.settled: dict[str, Settled] = {
            table: settle(feed, table, source_name, report) for table in MAIN
        }
        self.taxonomy: Taxonomy = taxonomy_of(feed, source_name, terms, report)
        self.family = Family(source_name, report, self.settled, self.taxonomy)
        swap_by_neighbours(self.settled["locations"].items.values(), report)
        gather(feed, self.family)

    def run(self) -> tuple[Directory, Summary, Places]:
        places = self._places()
        organizations = self._organizations()
        services, refused = self._services(organizations, places)
        settled = self.settled["services"]
        # records that are no objects, or whose cells had slipped, never became rows
        none = sum(n.table == "services" and n.kind == "refused" for n in self.feed.notes)
        refused += settled.refused + none
        read = settled.rows + none
        if read == 0:
            raise DirectoryRefused("table 'services' holds no row; nothing would be left")
        if refused * 2 > read:
            raise DirectoryRefused(self._too_many(refused, read))
        locations = self._locations(places)
        directory = Directory(
            _sorted(organizations.values()), _sorted(services), _sorted(locations)
        )
        return directory, self._summary(directory, read, refused), self._stood()

    def _too_many(self, refused: int, read: int) -> str:
        rows = [r for r in self.report.rows() if r.table == "services" and r.kind == "refused"]
        reasons: dict[str, int] = {}
        for row in rows:
            words = row.reason.partition(":")[0]
            reasons[words] = reasons.get(words, 0) + 1
        most = max(reasons, key=lambda words: (reasons[words], words))
        example = next(row for row in rows if row.reason.startswith(most))
        where = f"row {example.row}" if example.row is not None else f"id {example.id}"
        where += f", {example.field}" if example.field else ""
        return (
            f"more than half of the services are unusable ({refused} of {read}); "
            f"most often: {most} ({reasons[most]}; for example services, {where}: "
            f"{example.reason})"
        )

    def _stood(self) -> Places:
        return {
            (table, item.id): item.row.number
            for table in MAIN[:3]
            for item in self.settled[table].items.values()
        }

    def _places(self) -> list[_Place]:
        found: list[_Place] = []
        for item in self.settled["service_at_locations"].items.values():
            row = item.row
            service, location = (raw_id(row.values.get(k)) for k in ("service_id", "location_id"))
            lost = [
                name
                for name, table, id_ in (
                    ("service_id", "services", service),
                    ("location_id", "locations", location),
                )
                if id_ not in self.settled[table].items
            ]
            loser = row.nested and (row.origin, service) in self.settled["services"].losers
            if loser:
                continue
            if lost:
                self.report.refuse(row, ", ".join(lost), "no such row")
            else:
                found.append(_Place(item, service, location))
        return found

    # organizations

    def _organizations(self) -> dict[str, Entity]:
        found: dict[str, Entity] = {}
        for id_, item in self.settled["organizations"].items.items():
            if not item.values.get("name") and not self._name_from_elsewhere(id_, item):
                self.report.refuse(item.row, "name", "an organization without a name")
                continue
            children = self.family.children("organizations", id_)
            organization: Entity = {"id": item.id} | item.values | children
            parent = raw_id(item.row.values.get("parent_organization_id"))
            if parent:
                organization["parent_organization_id"] = self._id("organizations", parent)
            own = own_fields(item.values, children.get("attributes", []))
            finish_organization(organization, own, item.row, self.source_name, self.report)
            found[id_] = organization
        return found

    def _name_from_elsewhere(self, id_: str, item: Item) -> bool:
        """Take the alternate name, or the one name that all its locations or services bear."""
        names = {str(item.values.get("alternate_name") or "")} - {""}
        source = "its alternate name"
        for table in ("locations", "services"):
            if not names:
                source = f"its {table}"
                names = {
                    str(other.values.get("name") or "")
                    for other in self.settled[table].items.values()
                    if raw_id(other.row.values.get("organization_id")) == id_
                } - {""}
        if len(names) != 1:
            return False
        item.values["name"] = names.pop()
        self.report.mend(item.row, "name", f"was missing; taken from {source}")
        return True

    # services

    def _services(
        self, organizations: dict[str, Entity], places: list[_Place]
    ) -> tuple[list[Entity], int]:
        by_service: dict[str, list[_Place]] = {}
        for place in places:
            by_service.setdefault(place.service, []).append(place)
        found: list[Entity] = []
        refused = 0
        for id_, item in sorted(self.settled["services"].items.items()):
            organization = self._organization_of(item, by_service.get(id_, []))
            reason, field = "", ""
            if not item.values.get("name"):
                field, reason = "name", "a service without a name"
            elif not organization:
                field, reason = "organization_id", "a service without an organization"
            elif organization not in organizations:
                known = organization in self.settled["organizations"].items
                said = "was refused" if known else "no such row in organizations"
                field = "organization_id"
                reason = f"its organization is missing: {organization[:40]} {said}"
            if reason:
                self.report.refuse(item.row, field, reason)
                refused += 1
            else:
                owner = organizations[organization]["id"]
                found.append(self._service(id_, item, owner, by_service.get(id_, [])))
        return found, refused

    def _organization_of(self, item: Item, places: list[_Place]) -> str:
        """The service's organization; where it names none, the one its places or program have."""
        given = raw_id(item.row.values.get("organization_id"))
        if given:
            return given
        locations = self.settled["locations"].items
        owners = {
            raw_id(locations[place.location].row.values.get("organization_id")) for place in places
        }
        program = raw_id(item.row.values.get("program_id"))
        owners |= {
            raw_id(row.values.get("organization_id"))
            for row in self.feed.rows("programs")
            if program and row.id == program
        }
        owners -= {""}
        if len(owners) != 1:
            return ""
        self.report.mend(
            item.row, "organization_id", "was missing; taken from its location or program"
        )
        return owners.pop()

    def _service(self, id_: str, item: Item, owner: str, places: list[_Place]) -> Entity:
        children = self.family.children("services", id_)
        service: Entity = {"id": item.id, "organization_id": owner} | item.values | children
        if program := raw_id(item.row.values.get("program_id")):
            service["program_id"] = self._id("programs", program)
        service["service_at_locations"] = sorted(
            (self._at_location(place) for place in places), key=lambda place: str(place["id"])
        )
        codes, mapped, lost = foreign_terms(self.feed, id_, self.taxonomy)
        self._add_foreign(service, codes, mapped)
        own = own_fields(item.values, children.get("attributes", []))
        stated = stated_needs(own, item.row, self.report)
        term_ids = self.family.term_ids.get(("services", id_), set())
        needs = self.taxonomy.needs(term_ids | {term for term, _ in mapped})
        for code in lost:
            self.taxonomy.unmapped[code] += 1
        if self.taxonomy.terms is not None:
            needs.update(n for code in codes for n in self.taxonomy.terms.codes.get(code, ()))
        service["needs"] = sorted(need.value for need in (needs if stated is None else stated))
        return service

    def _add_foreign(
        self, service: Entity, codes: list[str], mapped: list[tuple[str, str]]
    ) -> None:
        terms = [{"code": code, "name": code, "taxonomy": FOREIGN} for code in codes]
        terms += [self.taxonomy.entity(id_) for id_, _ in mapped]
        attributes = [
            {
                "id": content_id(self.source_name, "attributes", service["id"], term),
                "link_entity": "service",
                "taxonomy_term": {
                    "id": self._id("taxonomy_terms", str(term.get("code") or "")),
                }
                | term,
            }
            for term in terms
        ]
        if attributes:
            all_ = [*service.get("attributes", []), *attributes]
            service["attributes"] = sorted(all_, key=lambda attribute: str(attribute["id"]))

    def _at_location(self, place: _Place) -> Entity:
        children = self.family.children("service_at_locations", place.item.row.id)
        location = self._id("locations", place.location)
        return {"id": place.item.id, "location_id": location} | place.item.values | children

    # locations

    def _locations(self, places: list[_Place]) -> list[Entity]:
        services = self.settled["services"].items
        told = {
            place.location
            for place in places
            if prose_says_so(services[place.service].values) or prose_says_so(place.item.values)
        }
        found: list[Entity] = []
        for id_, item in self.settled["locations"].items.items():
            children = self.family.children("locations", id_)
            location: Entity = {"id": item.id} | item.values | children
            if owner := raw_id(item.row.values.get("organization_id")):
                location["organization_id"] = self._id("organizations", owner)
            hidden = (
                id_ in told
                or marked(item.row.values)
                or prose_says_so(item.values)
                or any(map(attribute_says_so, children.get("attributes", [])))
                or any(not address["public"] for address in children.get("addresses", []))
            )
            location["public"] = not hidden
            if hidden and "addresses" in location:
                location["addresses"] = [a | {"public": False} for a in location["addresses"]]
            found.append(location)
        return found

    def _id(self, table: str, id_: str) -> str:
        return stable_id(self.source_name, table, id_)

    def _summary(self, directory: Directory, read: int, refused: int) -> Summary:
        located = {location["id"]: location for location in directory.locations}
        rows = self.report.rows()
        services = directory.services
        return Summary(
            services_read=read,
            services_refused=refused,
            refused=sum(row.kind == "refused" for row in rows),
            mended=sum(row.kind == "mended" for row in rows),
            unknown_areas=sum(not _has_area(service) for service in services),
            unknown_languages=sum(not _has_language(service, located) for service in services),
            unknown_eligibility=sum(
                "eligibility_description" in service
                and "minimum_age" not in service
                and "maximum_age" not in service
                for service in services
            ),
            services_without_need=sum(not service["needs"] for service in services),
            locations_without_point=sum("latitude" not in loc for loc in directory.locations),
            confidential_locations=sum(not loc["public"] for loc in directory.locations),
            agreements_claimed=sum(
                organization["agreement"] != NO_AGREEMENT
                for organization in directory.organizations
            ),
            unmapped_terms=dict(sorted(self.taxonomy.unmapped.items())),
            ignored_files=tuple(sorted(self.feed.ignored_files)),
        )


def _sorted(entities: Any) -> tuple[Entity, ...]:
    return tuple(sorted(entities, key=lambda entity: str(entity["id"])))


def _has_area(service: Entity) -> bool:
    areas = [
        area
        for holder in (service, *service["service_at_locations"])
        for area in holder.get("service_areas", [])
    ]
    return any(area.get("extent_type") not in (None, "text") for area in areas)


def _has_language(service: Entity, located: dict[str, Entity]) -> bool:
    places = [located.get(place["location_id"], {}) for place in service["service_at_locations"]]
    return any(
        "code" in language
        for holder in (service, *places)
        for language in holder.get("languages", [])
    )
