"""The consumer's sets: events of intake and partner about cases, and of partner's directory."""

from collections.abc import Callable, Sequence
from typing import Any

from event_schemas.base import Event
from event_schemas.consents import ConsentExpired, ConsentGranted, ConsentWithdrawn
from event_schemas.directory import OrganizationChanged, ServiceCapacityChanged, ServiceChanged
from event_schemas.referrals import NeedRequested
from handoff_kit import sets
from handoff_kit.consumer import Received, each
from handoff_kit.errors import Waiting
from handoff_kit.tx import Tx

from referral_svc import tables
from referral_svc.handlers import consents
from referral_svc.handlers.answers import ANSWERS, answered
from referral_svc.handlers.requested import need_requested
from referral_svc.handlers.work import Work, open_set
from referral_svc.handlers.world import World
from referral_svc.tables import Key

CONSENTS = frozenset({ConsentGranted, ConsentWithdrawn, ConsentExpired})

HANDLERS: dict[type[Event], Callable[[Work, Received], None]] = {
    NeedRequested: need_requested,
    ConsentGranted: consents.consent_granted,
    ConsentWithdrawn: consents.consent_ended,
    ConsentExpired: consents.consent_ended,
    **dict.fromkeys(ANSWERS, answered),
}


async def apply_events(world: World, tx: Tx, events: Sequence[Received]) -> None:
    """Apply a set of events about cases. Raises Waiting where another writer's event is missing."""
    cases = {(r.agency, r.data.case_id) for r in events}
    used = {
        (r.agency, r.data.consent_id)
        for r in events
        if type(r.data) is NeedRequested and r.data.consent_id is not None
    }
    work = await open_set(world, tx, cases, used)
    spoken = [r for r in events if type(r.data) in CONSENTS]

    def take(received: Received) -> None:
        work.cause = received.cause
        HANDLERS[type(received.data)](work, received)

    each(events, take)
    if spoken:
        consents.keep_consents(work, spoken)
    await work.save()


async def apply_directory(tx: Tx, events: Sequence[Received]) -> None:
    """Keep referral's own copy of the directory: the highest version of each row.

    Raises Waiting for the capacity of a service that is not known yet.
    """
    stamps = await tables.next_stamps(tx.conn, {r.agency for r in events})
    organizations: dict[Key, Any] = {}
    services: dict[Key, dict[str, Any]] = {}
    known = await _known_services(tx, events)

    def take(received: Received) -> None:
        event, agency = received.data, received.agency
        if isinstance(event, OrganizationChanged):
            key = (agency, event.organization_id)
            organizations[key] = _organization(event, agency, stamps[agency])
            return
        key = (agency, event.service_id)
        before = services.get(key) or known.get(key)
        if isinstance(event, ServiceChanged):
            services[key] = _service(event, agency, stamps[agency], before)
            return
        if before is None:
            raise Waiting("the service whose capacity is said is not known yet")
        services[key] = {
            **before,
            "capacity": event.capacity,
            "capacity_available": event.capacity_available,
            "capacity_said_at": event.capacity_said_at,
            "version": event.version,
            "stamp": stamps[agency],
        }

    each(events, take)
    tx.insert(tables.OrganizationRow, list(organizations.values()), "update")
    tx.insert(tables.ServiceRow, list(services.values()), "update")


async def _known_services(tx: Tx, events: Sequence[Received]) -> dict[Key, dict[str, Any]]:
    keys = {
        (r.agency, r.data.service_id)
        for r in events
        if isinstance(r.data, ServiceChanged | ServiceCapacityChanged)
    }
    if not keys:
        return {}
    rows = await sets.fetch(
        tx.conn,
        tables.ServiceRow,
        "t WHERE (agency_id, id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))",
        [agency for agency, _ in keys],
        [id_ for _, id_ in keys],
    )
    return {(row["agency_id"], row["id"]): dict(row) for row in rows}


def _organization(event: OrganizationChanged, agency: str, stamp: int) -> dict[str, Any]:
    return {
        "agency_id": agency,
        "id": event.organization_id,
        "name": event.name,
        "kind": event.kind,
        "agreement_active": event.agreement_active,
        "participants": [str(id_) for id_ in event.participants],
        "version": event.version,
        "deleted": event.deleted,
        "stamp": stamp,
    }


def _service(
    event: ServiceChanged, agency: str, stamp: int, before: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "agency_id": agency,
        "id": event.service_id,
        "organization_id": event.organization_id,
        "name": event.name,
        "status": event.status,
        "needs": list(event.needs),
        "areas": event.areas,
        "areas_partly": event.areas_partly,
        "area_unknown": event.area_unknown,
        "minimum_age": event.minimum_age,
        "maximum_age": event.maximum_age,
        "languages": event.languages,
        "languages_unknown": event.languages_unknown,
        "interpretation": event.interpretation,
        "eligibility": event.eligibility.model_dump(),
        "capacity": event.capacity,
        "capacity_available": event.capacity_available,
        "capacity_said_at": event.capacity_said_at,
        "declined_at": before["declined_at"] if before else None,
        "version": event.version,
        "deleted": event.deleted,
        "stamp": stamp,
    }
