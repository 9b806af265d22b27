"""Referral's own copy of the directory, in memory: what a match looks at, indexed by need.

It is fed from the tables by stamp (`handlers.world`) and answers without a query.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from event_schemas.codes import CapacityStatus


@dataclass(frozen=True, slots=True)
class Organization:
    id: UUID
    name: str
    kind: str
    agreement_active: bool
    participants: frozenset[UUID]
    version: int


@dataclass(frozen=True, slots=True)
class Service:
    """``declined_at``: when it last declined for want of capacity."""

    id: UUID
    organization_id: UUID
    name: str
    status: str
    needs: frozenset[str]
    areas: frozenset[str]
    areas_partly: frozenset[str]
    area_unknown: bool
    minimum_age: float | None
    maximum_age: float | None
    languages: frozenset[str]
    languages_unknown: bool
    interpretation: bool | None
    tenures: frozenset[str]
    age_bands: frozenset[str]
    rules_in_words: bool
    capacity: str | None
    capacity_available: int | None
    capacity_said_at: datetime | None
    declined_at: datetime | None
    version: int

    @property
    def says_full(self) -> bool:
        """Declined for want of capacity, and has said nothing of its capacity since."""
        return self.declined_at is not None and (
            self.capacity_said_at is None or self.capacity_said_at <= self.declined_at
        )

    @property
    def full(self) -> bool:
        return self.capacity == CapacityStatus.NO_CAPACITY or (
            self.capacity == CapacityStatus.CAPACITY and self.capacity_available == 0
        )


@dataclass(slots=True)
class Directory:
    """One agency's directory. ``version`` is the highest that was seen of any row."""

    version: int = 0
    revision: int = 0
    organizations: dict[UUID, Organization] = field(default_factory=dict)
    services: dict[UUID, Service] = field(default_factory=dict)
    _by_need: dict[str, dict[UUID, Service]] = field(default_factory=dict)
    _by_organization: dict[UUID, set[UUID]] = field(default_factory=dict)
    _revisions: dict[str, int] = field(default_factory=dict)
    _areas: dict[str, frozenset[str]] = field(default_factory=dict)

    def serving(self, need: str) -> Mapping[UUID, Service]:
        return self._by_need.get(need, {})

    def revision_of(self, needs: Iterable[str]) -> int:
        """Grows whenever something changed that a match for these kinds of need looks at.

        Counts within this process; it is no part of what is stored.
        """
        return max((self._revisions.get(need, 0) for need in needs), default=0)

    def areas_of(self, need: str) -> frozenset[str]:
        """Every area code that some service for this need names: others decide nothing."""
        found = self._areas.get(need)
        if found is None:
            services = self.serving(need).values()
            found = frozenset[str]().union(*(s.areas | s.areas_partly for s in services))
            self._areas[need] = found
        return found

    def put_organization(self, organization: Organization) -> None:
        self.organizations[organization.id] = organization
        self._organization_moved(organization.id, organization.version)

    def drop_organization(self, id_: UUID, version: int) -> None:
        self.organizations.pop(id_, None)
        self._organization_moved(id_, version)

    def put_service(self, service: Service) -> None:
        self.drop_service(service.id, service.version)
        self.services[service.id] = service
        self._by_organization.setdefault(service.organization_id, set()).add(service.id)
        for need in service.needs:
            self._by_need.setdefault(need, {})[service.id] = service
        self._moved(service.needs, service.version)

    def drop_service(self, id_: UUID, version: int) -> None:
        old = self.services.pop(id_, None)
        if old is None:
            return
        self._by_organization[old.organization_id].discard(id_)
        for need in old.needs:
            self._by_need[need].pop(id_, None)
        self._moved(old.needs, version)

    def _organization_moved(self, id_: UUID, version: int) -> None:
        touched = {"*"}
        for service_id in self._by_organization.get(id_, ()):
            touched |= self.services[service_id].needs
        self._moved(touched, version)

    def _moved(self, needs: Iterable[str], version: int) -> None:
        self.version = max(self.version, version)
        self.revision += 1
        for need in needs:
            self._revisions[need] = self.revision
            self._areas.pop(need, None)
