"""Events on ``handoff.directory``, written by partner: the public part of the directory."""

from typing import ClassVar, Literal

from event_schemas.base import AreaCode, Code, Event, Id, Language, Part, PublicName, Time
from event_schemas.codes import (
    AgeBand,
    CapacityStatus,
    NeedCategory,
    OrganizationKind,
)

ServiceStatus = Literal["active", "inactive", "defunct", "temporarily closed"]


class OrganizationChanged(Event):
    """``version`` is the directory's version after this change, growing by one per change set."""

    TYPE: ClassVar[str] = "handoff.organization.changed.v1"
    TOPIC: ClassVar[str] = "directory"
    KEY: ClassVar[str] = "organization_id"

    organization_id: Id
    version: int
    name: PublicName
    kind: OrganizationKind
    # An active data-sharing agreement: without it no offer of a resident's need.
    agreement_active: bool
    enforcement: bool = False
    participants: list[Id] = []
    deleted: bool = False


class Eligibility(Part):
    """Rules as data. An empty list asks nothing; ``stated_in_words`` is unknown, never a pass."""

    tenures: list[Code] = []
    age_bands: list[AgeBand] = []
    stated_in_words: bool = False


class ServiceChanged(Event):
    TYPE: ClassVar[str] = "handoff.service.changed.v1"
    TOPIC: ClassVar[str] = "directory"
    KEY: ClassVar[str] = "service_id"

    service_id: Id
    organization_id: Id
    version: int
    name: PublicName
    status: ServiceStatus
    needs: list[NeedCategory]
    # Area codes that lie wholly, or in part, inside the service's area.
    areas: list[AreaCode] = []
    areas_partly: list[AreaCode] = []
    # No area said, or said in words only.
    area_unknown: bool = False
    minimum_age: float | None = None
    maximum_age: float | None = None
    languages: list[Language] = []
    languages_unknown: bool = False
    interpretation: bool | None = None
    eligibility: Eligibility = Eligibility()
    capacity: CapacityStatus | None = None
    capacity_available: int | None = None
    capacity_said_at: Time | None = None
    assured_at: Time | None = None
    deleted: bool = False


class ServiceCapacityChanged(Event):
    TYPE: ClassVar[str] = "handoff.service.capacity-changed.v1"
    TOPIC: ClassVar[str] = "directory"
    KEY: ClassVar[str] = "service_id"

    service_id: Id
    organization_id: Id
    version: int
    capacity: CapacityStatus
    capacity_available: int | None = None
    capacity_said_at: Time
