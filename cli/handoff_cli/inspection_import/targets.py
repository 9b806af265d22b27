"""The fields of ``POST /intake/v1/inspections`` that a map can fill, by kind of value."""

from enum import StrEnum


class Kind(StrEnum):
    """How a cell's text becomes the field's value."""

    TEXT = "text"
    ID = "id"
    TIME = "time"
    NUMBER = "number"
    STATUS = "status"


INSPECTION_TARGETS: dict[str, Kind] = {
    "source_id": Kind.ID,
    "kind": Kind.TEXT,
    "status": Kind.STATUS,
    "inspected_at": Kind.TIME,
    "inspector": Kind.TEXT,
    "property.parcel_id": Kind.ID,
    "property.address_id": Kind.ID,
    "property.address.line1": Kind.TEXT,
    "property.address.unit": Kind.TEXT,
    "property.address.city": Kind.TEXT,
    "property.address.postal_code": Kind.TEXT,
    "property.latitude": Kind.NUMBER,
    "property.longitude": Kind.NUMBER,
    "property.property_type": Kind.TEXT,
    "property.occupancy": Kind.TEXT,
    "property.owner_type": Kind.TEXT,
    "property.owner_location": Kind.TEXT,
    "property.owner_portfolio": Kind.TEXT,
    "property.owner_history": Kind.TEXT,
    "property.owner_ability": Kind.TEXT,
    "property.rent_band": Kind.TEXT,
    "property.market": Kind.TEXT,
    "property.block_condition": Kind.TEXT,
}

FINDING_TARGETS: dict[str, Kind] = {
    "code": Kind.TEXT,
    "scheme": Kind.TEXT,
    "class": Kind.TEXT,
    "status": Kind.STATUS,
    "issued_at": Kind.TIME,
    "deadline": Kind.TIME,
    "deadline_basis": Kind.TEXT,
    "text": Kind.TEXT,
}

REQUIRED_TARGETS = ("source_id", "inspected_at")

STATUSES = ("open", "closed")
