"""Changes of the directory: imports, and what a partner or a coordinator says of an entry.

An agency's changes come one by one, under the lock of its directory's head; each that changes
anything makes one version.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, assert_never
from uuid import UUID

from event_schemas.codes import CapacityStatus
from event_schemas.directory import (
    Eligibility,
    OrganizationChanged,
    ServiceCapacityChanged,
    ServiceChanged,
)
from handoff_kit import sets
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError, NotVisible
from handoff_kit.http import check_if_match, etag
from handoff_kit.tx import Tx

from partner_svc.domain.directory import (
    Entity,
    Location,
    Organization,
    Origin,
    Service,
    changed_location,
    changed_organization,
    changed_service,
    organization_of,
    service_of,
)
from partner_svc.handlers.areas import CityAreas
from partner_svc.handlers.directory_views import organization_view, service_view
from partner_svc.tables import (
    ImportReportRow,
    ImportRow,
    LocationRow,
    OrganizationRow,
    ServiceRow,
)
from partner_svc.tables.directory_reads import (
    advance_directory,
    known_locations,
    known_organizations,
    known_services,
    lock_directory,
    read_entry,
)


@dataclass(frozen=True, slots=True)
class Import:
    """A directory that was read, ready to be kept. ``report``: rows as `ImportReportRow` has them.

    ``trusted``: whoever sends it speaks for the agency, also on kinds and agreements.
    """

    agency: str
    id: UUID
    source: str
    format: str
    actor: str
    trusted: bool
    organizations: Sequence[Organization]
    services: Sequence[Service]
    locations: Sequence[Location]
    counts: Mapping[str, Any]
    report: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class PutOrganization:
    """``fields`` replace those of the HSDS document; ``standing`` the columns that it names.

    ``own``: the caller's organization, None for a coordinator, who may change any.
    """

    agency: str
    id: UUID
    own: UUID | None
    if_match: str | None
    fields: Mapping[str, Any]
    standing: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PutService:
    """``fields`` replace those of the HSDS document, None takes one away."""

    agency: str
    id: UUID
    own: UUID | None
    if_match: str | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PutCapacity:
    """What a service can take now."""

    agency: str
    id: UUID
    own: UUID | None
    if_match: str | None
    status: CapacityStatus
    available: int | None
    maximum: int | None
    unit: str | None


Change = Import | PutOrganization | PutService | PutCapacity


class DirectoryHandler:
    """Applies changes; knows the city's areas."""

    def __init__(self, areas: CityAreas) -> None:
        self.areas = areas

    async def __call__(self, tx: Tx, changes: Sequence[Change]) -> list[Answer | HandoffError]:
        """Each change in order. A refused one is decided before anything of it is written."""
        answers: list[Answer | HandoffError] = []
        for change in changes:
            version = await lock_directory(tx.conn, change.agency) + 1
            try:
                answers.append(await self._apply(tx, change, version))
            except HandoffError as refusal:
                answers.append(refusal)
        return answers

    async def _apply(self, tx: Tx, change: Change, version: int) -> Answer:
        match change:
            case Import():
                return await _import(tx, change, version)
            case PutOrganization():
                return await _put_organization(tx, change, version)
            case PutService():
                return await self._put_service(tx, change, version)
            case PutCapacity():
                return await _put_capacity(tx, change, version)
            case _:
                assert_never(change)

    async def _put_service(self, tx: Tx, change: PutService, version: int) -> Answer:
        old = await _entry(tx, ServiceRow, change)
        document = _merged(old.document, change.fields)
        places = [str(p["location_id"]) for p in document.get("service_at_locations") or []]
        rows = await sets.fetch(
            tx.conn,
            LocationRow,
            "WHERE agency_id = $1 AND id = ANY($2::uuid[])",
            change.agency,
            [UUID(place) for place in places],
        )
        locations = {str(row.id): row.document for row in rows}
        origin = Origin(change.agency, old.source, tx.now)
        new = service_of(document, origin, locations, self.areas.of)
        # The next import of the same feed is no change of its own: it must not undo this one.
        new = replace(
            new,
            hash=old.hash,
            version=old.version + 1,
            capacity=old.capacity,
            capacity_available=old.capacity_available,
            capacity_said_at=old.capacity_said_at,
        )
        await sets.upsert(tx.conn, ServiceRow, [new])
        await advance_directory(tx.conn, change.agency, version)
        tx.emit(service_changed(new, version), agency=change.agency)
        return Answer(200, service_view(new), {"ETag": etag(new.version)})


async def _import(tx: Tx, change: Import, version: int) -> Answer:
    """Everything in one transaction; what did not change is neither written nor said."""
    conn, agency = tx.conn, change.agency
    old_organizations = await known_organizations(conn, agency, _ids(change.organizations))
    old_services = await known_services(conn, agency, _ids(change.services))
    old_locations = await known_locations(conn, agency, _ids(change.locations))
    organizations = _present(
        changed_organization(new, old_organizations.get(new.id), trusted=change.trusted)
        for new in change.organizations
    )
    services = _present(changed_service(n, old_services.get(n.id)) for n in change.services)
    locations = _present(changed_location(n, old_locations.get(n.id)) for n in change.locations)
    await sets.upsert(conn, OrganizationRow, organizations)
    await sets.upsert(conn, ServiceRow, services)
    await sets.upsert(conn, LocationRow, locations)
    if organizations or services or locations:
        await advance_directory(conn, agency, version)
    for organization in organizations:
        tx.emit(organization_changed(organization, version), agency=agency)
    for service in services:
        tx.emit(service_changed(service, version), agency=agency)
    counts = dict(change.counts) | {
        "changed": {
            "organizations": len(organizations),
            "services": len(services),
            "locations": len(locations),
        }
    }
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
                "counts": counts,
            }
        ],
    )
    await sets.insert(conn, ImportReportRow, list(change.report))
    tx.audit(agency, "directory.import", actor=change.actor, subject=change.id)
    return Answer(200, {"import_id": change.id, **counts})


T = TypeVar("T")


def _present(rows: Iterable[T | None]) -> list[T]:
    return [row for row in rows if row is not None]


def _ids(rows: Sequence[Any]) -> list[UUID]:
    return [row.id for row in rows]


async def _put_organization(tx: Tx, change: PutOrganization, version: int) -> Answer:
    old = await _entry(tx, OrganizationRow, change)
    document = _merged(old.document, change.fields)
    origin = Origin(change.agency, old.source, tx.now)
    # The hash stays that of the feed: importing the same feed again must not undo this.
    kept = {
        "hash": old.hash,
        "version": old.version + 1,
        "kind": old.kind,
        "agreement_active": old.agreement_active,
        "enforcement": old.enforcement,
        "participants": old.participants,
    }
    new = replace(organization_of(document, origin), **(kept | dict(change.standing)))
    await sets.upsert(tx.conn, OrganizationRow, [new])
    await advance_directory(tx.conn, change.agency, version)
    tx.emit(organization_changed(new, version), agency=change.agency)
    return Answer(200, organization_view(new), {"ETag": etag(new.version)})


async def _put_capacity(tx: Tx, change: PutCapacity, version: int) -> Answer:
    old = await _entry(tx, ServiceRow, change)
    capacity = {
        "unit": {"name": change.unit} if change.unit else None,
        "available": change.available,
        "maximum": change.maximum,
        "updated": tx.now.isoformat(),
        "x_status": change.status.value,
    }
    said = {key: value for key, value in capacity.items() if value is not None}
    row = {
        "agency_id": change.agency,
        "id": change.id,
        "capacity": change.status.value,
        "capacity_available": change.available,
        "capacity_said_at": tx.now,
        "document": dict(old.document) | {"capacities": [said]},
        "version": old.version + 1,
        "updated_at": tx.now,
    }
    await sets.update(
        tx.conn, ServiceRow, [row], columns=tuple(k for k in row if k not in ("agency_id", "id"))
    )
    await advance_directory(tx.conn, change.agency, version)
    tx.emit(
        ServiceCapacityChanged(
            service_id=change.id,
            organization_id=old.organization_id,
            version=version,
            capacity=change.status,
            capacity_available=change.available,
            capacity_said_at=tx.now,
        ),
        agency=change.agency,
    )
    new = await read_entry(tx.conn, ServiceRow, change.agency, change.id)
    return Answer(200, service_view(new), {"ETag": etag(old.version + 1)})


async def _entry(
    tx: Tx, table: type[Any], change: PutOrganization | PutService | PutCapacity
) -> Any:
    """The entry to change, under its lock. Raises NotVisible, StaleVersion and the like."""
    old = await read_entry(tx.conn, table, change.agency, change.id, lock=True)
    if old is None:
        raise NotVisible
    owner = old.id if table is OrganizationRow else old.organization_id
    if change.own is not None and owner != change.own:
        raise NotVisible
    check_if_match(change.if_match, old.version)
    return old


def _merged(document: Mapping[str, Any], fields: Mapping[str, Any]) -> Entity:
    merged = dict(document) | dict(fields)
    return {key: value for key, value in merged.items() if value is not None}


def organization_changed(row: Organization, version: int) -> OrganizationChanged:
    return OrganizationChanged.model_validate(
        {
            "organization_id": row.id,
            "version": version,
            "name": row.name,
            "kind": row.kind,
            "agreement_active": row.agreement_active,
            "enforcement": row.enforcement,
            "participants": row.participants,
        }
    )


def service_changed(row: Service, version: int) -> ServiceChanged:
    return ServiceChanged.model_validate(
        {
            "service_id": row.id,
            "organization_id": row.organization_id,
            "version": version,
            "name": row.name,
            "status": row.status,
            "needs": row.needs,
            "areas": row.areas,
            "areas_partly": row.areas_partly,
            "area_unknown": row.area_unknown,
            "minimum_age": row.minimum_age,
            "maximum_age": row.maximum_age,
            "languages": row.languages,
            "languages_unknown": row.languages_unknown,
            "interpretation": row.interpretation,
            "eligibility": Eligibility.model_validate(row.eligibility),
            "capacity": row.capacity,
            "capacity_available": row.capacity_available,
            "capacity_said_at": row.capacity_said_at,
            "assured_at": row.assured_at,
        }
    )
