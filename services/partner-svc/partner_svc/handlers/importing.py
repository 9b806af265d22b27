"""An import of a directory: what it changes of what is there, then all of it or nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection
from handoff_kit.doorway import Answer
from handoff_kit.errors import Invalid
from handoff_kit.tx import Tx

from partner_svc.domain.directory import (
    Location,
    Organization,
    Service,
    changed_location,
    changed_organization,
    changed_service,
    left_service,
)
from partner_svc.handlers.directory_events import organization_changed, service_changed
from partner_svc.tables import (
    ImportReportRow,
    ImportRow,
    LocationRow,
    OrganizationRow,
    ServiceRow,
)
from partner_svc.tables.directory_reads import (
    absent_services,
    advance_directory,
    count_absent,
    count_held,
    known_locations,
    known_organizations,
    known_services,
)


class ImportRefused(Invalid):
    """The directory cannot be taken as a whole; nothing was changed."""

    default_code = "directory-refused"


@dataclass(frozen=True, slots=True)
class Import:
    """A directory that was read, ready to be kept. ``report``: rows as `ImportReportRow` has them.

    ``trusted``: whoever sends it speaks for the agency, also on kinds and agreements.
    ``partial``: the feed is a part of its source, so nothing left that it does not hold.
    ``allow_leaving``: more than half of the source's services may leave.
    ``places``: where a record stood in the feed, by (table, id). ``refused_services``: ids of
    services that the feed holds and that cannot be used.
    """

    agency: str
    id: UUID
    source: str
    format: str
    actor: str
    trusted: bool
    partial: bool
    allow_leaving: bool
    organizations: Sequence[Organization]
    services: Sequence[Service]
    locations: Sequence[Location]
    counts: Mapping[str, Any]
    report: Sequence[Mapping[str, Any]]
    places: Mapping[tuple[str, str], int | None]
    refused_services: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows to write, the counts to answer, and the whole report."""

    organizations: Sequence[Organization]
    services: Sequence[Service]
    locations: Sequence[Location]
    counts: Mapping[str, Any]
    report: Sequence[Mapping[str, Any]]


Entry = TypeVar("Entry", Organization, Service, Location)
Held = tuple[str, Organization | Service | Location, str]
"""(table, entry of the feed, the source that holds its id)."""


async def source_of(connection: Connection, change: Import) -> str:
    """Whose feed *change* reads as, where its source's name is a guess.

    Another source's next feed holds ids of that source in more than half of its services, and
    leaves out no more of them than may leave.
    """
    any_may_leave = change.partial or change.allow_leaving
    for source, held, active, gone in await count_held(
        connection, change.agency, _ids(change.services)
    ):
        if held * 2 > len(change.services) and (any_may_leave or gone * 2 <= active):
            return source
    return change.source


async def plan_import(connection: Connection, change: Import, at: datetime) -> Plan:
    """What *change* would do now; writes nothing. Raises ImportRefused."""
    agency, source = change.agency, change.source
    old_organizations = await known_organizations(connection, agency, _ids(change.organizations))
    old_services = await known_services(connection, agency, _ids(change.services))
    old_locations = await known_locations(connection, agency, _ids(change.locations))
    held: list[Held] = []
    organizations = _own("organizations", change.organizations, old_organizations, source, held)
    services = _own("services", change.services, old_services, source, held)
    locations = _own("locations", change.locations, old_locations, source, held)
    hidden = {str(entry.id) for _, entry, _ in held if _is_hidden(entry)}
    if hidden:
        services = [_without_places(service, hidden) for service in services]
    left = [] if change.partial else await _left(connection, change, at)
    absent = {"organizations": 0, "locations": 0}
    if not change.partial:
        for table, rows in ((OrganizationRow, organizations), (LocationRow, locations)):
            name = f"{sets.table_of(table).name}s"
            absent[name] = await count_absent(connection, table, agency, source, _ids(rows))
    new_organizations = _present(
        changed_organization(new, old_organizations.get(new.id), trusted=change.trusted)
        for new in organizations
    )
    new_services = _present(changed_service(new, old_services.get(new.id)) for new in services)
    new_locations = _present(changed_location(new, old_locations.get(new.id)) for new in locations)
    lost = Counter(holder for table, _, holder in held if table == "services")
    counts = dict(change.counts) | {
        "organizations": len(organizations),
        "services": len(services),
        "locations": len(locations),
        "refused": change.counts["refused"] + len(held),
        "services_refused": change.counts["services_refused"] + lost.total(),
        "held": dict(lost),
        "left": len(left),
        "absent": absent,
        "changed": {
            "organizations": len(new_organizations),
            "services": len(new_services) + len(left),
            "locations": len(new_locations),
        },
    }
    found = [_held_row(change, *each) for each in held] + [_left_row(one) for one in left]
    report = [
        {"agency_id": agency, "import_id": change.id, **row, "n": n}
        for n, row in enumerate([*found, *change.report], start=1)
    ]
    return Plan(new_organizations, [*new_services, *left], new_locations, counts, report)


async def import_directory(tx: Tx, change: Import, version: int) -> Answer:
    """Everything in one transaction; what did not change is neither written nor said."""
    conn, agency = tx.conn, change.agency
    plan = await plan_import(conn, change, tx.now)
    await sets.upsert(conn, OrganizationRow, plan.organizations)
    await sets.upsert(conn, ServiceRow, plan.services)
    await sets.upsert(conn, LocationRow, plan.locations)
    if plan.organizations or plan.services or plan.locations:
        await advance_directory(conn, agency, version)
    for organization in plan.organizations:
        tx.emit(organization_changed(organization, version), agency=agency)
    for service in plan.services:
        tx.emit(service_changed(service, version), agency=agency)
    await sets.insert(
        conn,
        ImportRow,
        [
            {
                "agency_id": agency,
                "id": change.id,
                "source": change.source,
                "format": change.format,
                "actor": change.actor,
                "at": tx.now,
                "counts": plan.counts,
            }
        ],
    )
    await sets.insert(conn, ImportReportRow, plan.report)
    tx.audit(agency, "directory.import", actor=change.actor, subject=change.id)
    return Answer(200, {"import_id": change.id, "source": change.source, **plan.counts})


def _own(
    table: str, entries: Sequence[Entry], known: Mapping[UUID, Any], source: str, held: list[Held]
) -> list[Entry]:
    """The entries that are this source's or nobody's; the others go to *held*."""
    kept: list[Entry] = []
    for entry in entries:
        old = known.get(entry.id)
        if old is None or old.source == source:
            kept.append(entry)
        else:
            held.append((table, entry, old.source))
    return kept


def _is_hidden(entry: Organization | Service | Location) -> bool:
    """Whether the feed calls a place confidential, which its holder may publish all the same."""
    return isinstance(entry, Location) and not entry.public


def _without_places(service: Service, hidden: Set[str]) -> Service:
    places = service.document.get("service_at_locations") or []
    shown = [place for place in places if str(place.get("location_id")) not in hidden]
    if len(shown) == len(places):
        return service
    return replace(service, document=service.document | {"service_at_locations": shown})


async def _left(connection: Connection, change: Import, at: datetime) -> list[Service]:
    """Active services of the source that are not in this feed. Raises ImportRefused."""
    there = [*_ids(change.services), *change.refused_services]
    gone, active = await absent_services(connection, change.agency, change.source, there)
    if len(gone) * 2 > active and not change.allow_leaving:
        raise ImportRefused(
            f"{len(gone)} of the {active} active services of source {change.source!r} are not in "
            f"this feed (for example {gone[0].id}) and would no longer be offered. If it is the "
            "whole feed, say so by allow_leaving=true (--allow-leaving); if it is a part of it, "
            "by partial=true (--partial)"
        )
    return [left_service(service, at) for service in gone]


def _held_row(
    change: Import, table: str, entry: Organization | Service | Location, holder: str
) -> dict[str, Any]:
    also = "; confidential here, so no service of this feed shows it" if _is_hidden(entry) else ""
    return {
        "kind": "refused",
        "table": table,
        "row": change.places.get((table, str(entry.id))),
        "feed_id": str(entry.id),
        "field": "id",
        "reason": f"source {holder!r} holds this id; its record stays as it is{also}",
    }


def _left_row(service: Service) -> dict[str, Any]:
    return {
        "kind": "left",
        "table": "services",
        "row": None,
        "feed_id": str(service.id),
        "field": "status",
        "reason": f"{service.name[:100]!r} is no longer in the feed; inactive, so not offered",
    }


T = TypeVar("T")


def _present(rows: Iterable[T | None]) -> list[T]:
    return [row for row in rows if row is not None]


def _ids(rows: Sequence[Any]) -> list[UUID]:
    return [row.id for row in rows]
