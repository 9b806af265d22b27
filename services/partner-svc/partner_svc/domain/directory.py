"""What matching needs of a directory's entry, and what an update of it changes. Pure.

Entities are HSDS 3.1 objects as `partner_svc.directory` reads them. Missing data stays unknown:
nothing here turns an empty field into a yes.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from event_schemas.codes import AgeBand, CapacityStatus, NeedCategory, OrganizationKind

Entity = dict[str, Any]
ACTIVE = "active"
INACTIVE = "inactive"
LONGEST_NAME = 300
DEEPEST = 40
MOST_AVAILABLE = 1_000_000
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_TENURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/()#&+-]{0,63}")  # event_schemas.base.Code
_NO_INTERPRETER = frozenset({"", "no", "none", "n/a", "not available", "false"})


@dataclass(frozen=True, slots=True)
class Area:
    """Area codes wholly and partly inside a service's area. ``unknown``: not all was understood."""

    inside: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()
    unknown: bool = True


AreaOf = Callable[[Sequence[Entity]], Area]
"""HSDS service areas → area codes, by the city's polygons."""


@dataclass(slots=True)
class Organization:
    """Columns of ``partner.organization``."""

    agency_id: str
    id: UUID
    name: str
    sort_name: str
    kind: str
    agreement_active: bool
    enforcement: bool
    participants: list[str]
    document: Entity
    source: str
    hash: bytes
    version: int
    updated_at: datetime


@dataclass(slots=True)
class Service:
    """Columns of ``partner.service``."""

    agency_id: str
    id: UUID
    organization_id: UUID
    name: str
    sort_name: str
    status: str
    needs: list[str]
    areas: list[str]
    areas_partly: list[str]
    area_unknown: bool
    minimum_age: float | None
    maximum_age: float | None
    languages: list[str]
    languages_unknown: bool
    interpretation: bool | None
    eligibility: Entity
    capacity: str | None
    capacity_available: int | None
    capacity_said_at: datetime | None
    assured_at: datetime | None
    left_at: datetime | None
    document: Entity
    source: str
    hash: bytes
    version: int
    updated_at: datetime


@dataclass(slots=True)
class Location:
    """Columns of ``partner.location``."""

    agency_id: str
    id: UUID
    public: bool
    document: Entity
    source: str
    hash: bytes
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose entry it is: agency, source, and when it was read."""

    agency: str
    source: str
    at: datetime


def organization_of(entity: Entity, origin: Origin) -> Organization:
    """An organization with what the feed states of kind, agreement and participants."""
    own = entity.get("x_handoff") or {}
    name = str(entity["name"])[:LONGEST_NAME]
    kind = str(entity.get("kind") or OrganizationKind.PARTNER)
    stated = (
        kind,
        entity.get("agreement") == ACTIVE,
        own.get("enforcement") is True,
        sorted(map(str, entity.get("participants") or [])),
    )
    document = {k: v for k, v in entity.items() if k not in _OWN_OF_ORGANIZATION}
    return Organization(
        agency_id=origin.agency,
        id=UUID(entity["id"]),
        name=name,
        sort_name=name.casefold(),
        kind=stated[0],
        agreement_active=stated[1],
        enforcement=stated[2],
        participants=stated[3],
        document=document,
        source=origin.source,
        hash=fingerprint([document, stated]),
        version=1,
        updated_at=origin.at,
    )


_OWN_OF_ORGANIZATION = frozenset({"kind", "agreement", "participants"})


def service_of(
    entity: Entity, origin: Origin, locations: Mapping[str, Entity], area_of: AreaOf
) -> Service:
    """A service with what matching asks of it; its places lend their areas and languages."""
    places = entity.get("service_at_locations") or []
    holders = [entity, *places]
    area = area_of([area for holder in holders for area in holder.get("service_areas") or []])
    languages = _languages(
        [entity, *(locations.get(str(place.get("location_id")), {}) for place in places)]
    )
    name = str(entity["name"])[:LONGEST_NAME]
    capacity, available, said_at = _capacity(entity)
    derived: dict[str, Any] = {
        "needs": sorted(NeedCategory(need) for need in entity.get("needs") or []),
        "areas": list(area.inside),
        "areas_partly": list(area.partly),
        "area_unknown": area.unknown,
        "languages": languages,
        "interpretation": _interpretation(entity),
        "eligibility": _eligibility(entity),
        "capacity": [capacity, available, said_at and said_at.isoformat()],
    }
    return Service(
        agency_id=origin.agency,
        id=UUID(entity["id"]),
        organization_id=UUID(entity["organization_id"]),
        name=name,
        sort_name=name.casefold(),
        status=str(entity.get("status") or ACTIVE),
        needs=derived["needs"],
        areas=derived["areas"],
        areas_partly=derived["areas_partly"],
        area_unknown=area.unknown,
        minimum_age=_number(entity.get("minimum_age")),
        maximum_age=_number(entity.get("maximum_age")),
        languages=languages,
        languages_unknown=not languages,
        interpretation=derived["interpretation"],
        eligibility=derived["eligibility"],
        capacity=capacity,
        capacity_available=available,
        capacity_said_at=said_at,
        assured_at=_day(entity.get("assured_date")),
        left_at=None,
        document=entity,
        source=origin.source,
        hash=fingerprint([entity, derived]),
        version=1,
        updated_at=origin.at,
    )


def location_of(entity: Entity, origin: Origin) -> Location:
    return Location(
        agency_id=origin.agency,
        id=UUID(entity["id"]),
        public=entity.get("public") is not False,
        document=entity,
        source=origin.source,
        hash=fingerprint(entity),
        version=1,
        updated_at=origin.at,
    )


def storable(value: Any, depth: int = 0) -> Any:
    """A feed's JSON value as the database can hold it.

    NUL and lone surrogates are left out of texts; a number of more than 64 bits becomes a text;
    what is nested deeper than anything in HSDS is dropped.
    """
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "ignore").decode()
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if depth >= DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item, depth + 1) for item in value]
    return storable(str(value))


def fingerprint(value: Any) -> bytes:
    """The same for equal JSON values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).digest()


def _languages(holders: Iterable[Entity]) -> list[str]:
    codes = {
        str(language.get("code") or "")
        for holder in holders
        for language in holder.get("languages") or []
    }
    return sorted(code for code in codes if _LANGUAGE.fullmatch(code))


def _interpretation(entity: Entity) -> bool | None:
    """HSDS says it in words: a no is a no, other words are a yes, silence is unknown."""
    words = entity.get("interpretation_services")
    return None if words is None else str(words).strip().casefold() not in _NO_INTERPRETER


def _eligibility(entity: Entity) -> Entity:
    """Rules as codes from our own fields; anything said in words only is marked so."""
    own = (entity.get("x_handoff") or {}).get("eligibility") or {}
    bands = {band.value for band in AgeBand}
    given = list(map(str, own.get("tenures") or []))
    tenures = sorted(tenure for tenure in given if _TENURE.fullmatch(tenure))
    return {
        "tenures": tenures,
        "age_bands": sorted(b for b in map(str, own.get("age_bands") or []) if b in bands),
        # A tenure that is no code is a rule in words.
        "stated_in_words": bool(entity.get("eligibility_description")) or len(tenures) < len(given),
    }


def _capacity(entity: Entity) -> tuple[str | None, int | None, datetime | None]:
    """The capacity said last that has a time; one without a time is no figure to rely on."""
    said = [
        (at, capacity)
        for capacity in entity.get("capacities") or []
        if (at := _moment(capacity.get("updated"))) is not None
        and isinstance(capacity.get("available"), int | float)
    ]
    if not said:
        return None, None, None
    at, latest = max(said, key=lambda pair: pair[0])
    available = min(max(int(latest["available"]), 0), MOST_AVAILABLE)
    return capacity_status(available).value, available, at


def capacity_status(available: int) -> CapacityStatus:
    return CapacityStatus.CAPACITY if available > 0 else CapacityStatus.NO_CAPACITY


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    if not 1900 <= found.year < 9000:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_day = _moment


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of an entry that may be there: enough to see whether an import changes it."""

    hash: bytes
    version: int
    source: str


def changed_organization(
    new: Organization, old: Organization | None, *, trusted: bool
) -> Organization | None:
    """The row to write, None where nothing changed.

    Only whoever speaks for the agency brings in a kind, an agreement or participants: from any
    other feed they stay as they are, and a new organization has none.
    """
    if old is None:
        return new
    if old.hash == new.hash:
        return None
    row = replace(new, version=old.version + 1)
    if not trusted:
        row.kind, row.agreement_active = old.kind, old.agreement_active
        row.enforcement, row.participants = old.enforcement, old.participants
    return row


def changed_service(new: Service, old: Service | None) -> Service | None:
    """The row to write, None where nothing changed. The newer word on capacity stays.

    One that had left is active again, with what was said of it by hand.
    """
    if old is None:
        return new
    if old.hash == new.hash:
        return None if old.left_at is None else _with_status(old, ACTIVE, new.updated_at, None)
    row = replace(new, version=old.version + 1)
    if old.capacity_said_at is not None and (
        row.capacity_said_at is None or row.capacity_said_at < old.capacity_said_at
    ):
        row.capacity, row.capacity_available = old.capacity, old.capacity_available
        row.capacity_said_at = old.capacity_said_at
    return row


def left_service(old: Service, at: datetime) -> Service:
    """A service that its source's feed no longer holds: nothing of it is offered from now on."""
    return _with_status(old, INACTIVE, at, at)


def left_after_word(old: Service, status: str) -> datetime | None:
    """``left_at`` after a word by hand, which is the last one until the feed brings it again.

    Made active again, a service is not taken out a second time; given another status, it is no
    more the feed's to bring back.
    """
    return old.left_at if status in (old.status, ACTIVE) else None


def _with_status(old: Service, status: str, at: datetime, left_at: datetime | None) -> Service:
    # ``old`` may be a row as the database gives it.
    kept = Service(**{each.name: getattr(old, each.name) for each in fields(Service)})
    return replace(
        kept,
        status=status,
        document=dict(old.document) | {"status": status},
        left_at=left_at,
        version=old.version + 1,
        updated_at=at,
    )


def changed_location(new: Location, old: Known | None) -> Location | None:
    """The row to write, None where nothing changed."""
    if old is None:
        return new
    return None if old.hash == new.hash else replace(new, version=old.version + 1)
