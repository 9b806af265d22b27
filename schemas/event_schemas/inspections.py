"""Events on ``handoff.inspections``, written by intake."""

from typing import ClassVar, Literal

from event_schemas.base import AreaCode, Code, Event, Field, Id, Part, Time
from event_schemas.codes import NeedCategory, Severity


class Finding(Part):
    """One finding, as codes. ``deadline`` is the statutory correction deadline."""

    finding_id: Id
    scheme: Code | None = None
    code: Code | None = None
    class_: Code | None = Field(default=None, alias="class")
    status: Code | None = None
    severity: Severity | None = None
    section: Code | None = None
    issued_at: Time | None = None
    deadline: Time | None = None
    deadline_basis: Code | None = None

    model_config = {**Part.model_config, "populate_by_name": True}


class PropertyCodes(Part):
    """What is known of a building and its owner as a kind, as codes."""

    property_type: Code | None = None
    occupancy: Code | None = None
    owner_type: Code | None = None
    owner_location: Code | None = None
    owner_portfolio: Code | None = None
    owner_history: Code | None = None
    owner_ability: Code | None = None
    rent_band: Code | None = None
    market: Code | None = None
    block_condition: Code | None = None


class _Inspection(Event):
    TOPIC: ClassVar[str] = "inspections"
    KEY: ClassVar[str] = "inspection_id"

    inspection_id: Id
    property_id: Id
    source: Code
    revision: int
    kind: Code | None = None
    status: Literal["open", "closed"] = "open"
    inspected_at: Time
    area: list[AreaCode] = []
    property: PropertyCodes = PropertyCodes()
    findings: list[Finding] = []
    suggested_needs: list[NeedCategory] = []


class InspectionRecorded(_Inspection):
    TYPE: ClassVar[str] = "handoff.inspection.recorded.v1"


class InspectionCorrected(_Inspection):
    TYPE: ClassVar[str] = "handoff.inspection.corrected.v1"


class InspectionClosed(_Inspection):
    TYPE: ClassVar[str] = "handoff.inspection.closed.v1"
