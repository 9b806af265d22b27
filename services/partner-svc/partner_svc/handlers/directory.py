"""Changes of the directory: imports, and what a partner or a coordinator says of an entry.

An agency's changes come one by one, under the lock of its directory's head; each that changes
anything makes one version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never
from uuid import UUID

from event_schemas.codes import CapacityStatus
from event_schemas.directory import ServiceCapacityChanged
from handoff_kit import sets
from handoff_kit.doorway import Answer
from handoff_kit.errors import HandoffError, NotVisible
from handoff_kit.http import check_if_match, etag
from handoff_kit.tx import Tx

from partner_svc.domain.directory import (
    Entity,
    Origin,
    left_after_word,
    organization_of,
    service_of,
)
from partner_svc.handlers.areas import CityAreas
from partner_svc.handlers.directory_events import organization_changed, service_changed
from partner_svc.handlers.directory_views import organization_view, service_view
from partner_svc.handlers.importing import Import, import_directory
from partner_svc.tables import LocationRow, OrganizationRow, ServiceRow
from partner_svc.tables.directory_reads import advance_directory, lock_directory, read_entry


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
                return await import_directory(tx, change, version)
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
            left_at=left_after_word(old, new.status),
        )
        await sets.upsert(tx.conn, ServiceRow, [new])
        await advance_directory(tx.conn, change.agency, version)
        tx.emit(service_changed(new, version), agency=change.agency)
        return Answer(200, service_view(new), {"ETag": etag(new.version)})


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
