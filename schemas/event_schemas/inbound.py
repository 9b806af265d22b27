"""A department's own record: ``handoff.inbound.inspections`` and ``POST /intake/v1/inspections``.

The only topic that may carry a finding's text and an address; read by intake alone. Unknown
fields are errors, since a misspelt field would lose what an inspector saw.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from event_schemas.base import Event
from event_schemas.times import Moment

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LongText = Annotated[str, StringConstraints(max_length=20_000)]
OpenCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]

SOUTHERNMOST = -60.0
"""Degrees of latitude: nobody lives further south, and much of America does with its two
coordinates swapped."""


def _inhabited(latitude: float) -> float:
    if latitude < SOUTHERNMOST:
        raise PydanticCustomError(
            "uninhabited", "Nobody lives south of 60° S; are latitude and longitude swapped?"
        )
    return latitude


Latitude = Annotated[float, Field(ge=-90, le=90), AfterValidator(_inhabited)]
Longitude = Annotated[float, Field(ge=-180, le=180)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Address(_Strict):
    line1: Text
    unit: Text | None = None
    city: Text | None = None
    postal_code: Text | None = None


class PropertyReport(_Strict):
    """A property by at least one of parcel, address id, address, point (WGS84 degrees).

    The point 0,0 stands for none, as geocoders write it where they found nothing.
    """

    parcel_id: Text | None = None
    address_id: Text | None = None
    address: Address | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    property_type: OpenCode | None = None
    occupancy: OpenCode | None = None
    owner_type: OpenCode | None = None
    owner_location: OpenCode | None = None
    owner_portfolio: OpenCode | None = None
    owner_history: OpenCode | None = None
    owner_ability: OpenCode | None = None
    rent_band: OpenCode | None = None
    market: OpenCode | None = None
    block_condition: OpenCode | None = None

    @model_validator(mode="after")
    def _located(self) -> "PropertyReport":
        if (self.latitude is None) != (self.longitude is None):
            raise PydanticCustomError(
                "half_a_point", "Give latitude and longitude together, or neither."
            )
        if not (self.parcel_id or self.address_id or self.address or self.point):
            raise PydanticCustomError(
                "nowhere", "Give a parcel_id, an address_id, an address or a point."
            )
        return self

    @property
    def point(self) -> tuple[float, float] | None:
        """Latitude and longitude; None where none is given, or 0,0."""
        if self.latitude is None or self.longitude is None:
            return None
        return (self.latitude, self.longitude) if self.latitude or self.longitude else None


class FindingReport(_Strict):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    code: OpenCode | None = None
    scheme: OpenCode | None = None
    class_: OpenCode | None = Field(default=None, alias="class")
    status: Literal["open", "closed"] | None = None
    issued_at: Moment | None = None
    deadline: Moment | None = None
    deadline_basis: OpenCode | None = None
    text: LongText | None = None


class InspectionReported(Event):
    """One inspection with its findings, as the department knows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    TYPE: ClassVar[str] = "handoff.inspection.reported.v1"
    TOPIC: ClassVar[str] = "inbound.inspections"
    KEY: ClassVar[str] = "source_id"

    source: OpenCode
    source_id: Text
    kind: OpenCode | None = None
    status: Literal["open", "closed"] = "open"
    inspected_at: Moment
    inspector: Text | None = None
    property: PropertyReport
    findings: Annotated[list[FindingReport], Field(max_length=500)] = []
