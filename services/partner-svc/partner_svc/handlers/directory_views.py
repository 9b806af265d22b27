"""Organizations and services as those who may see the directory read them: HSDS and ours."""

from collections.abc import Mapping
from typing import Any

# Entities carry these for the import alone; a view has them as fields of ours.
_FOR_IMPORT = ("x_handoff", "agreement")


def organization_view(row: Any) -> dict[str, Any]:
    """The HSDS document with ``kind``, ``participants`` and whether an agreement is active."""
    return _document(row) | {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "participants": row.participants,
        "agreement_active": row.agreement_active,
        "enforcement": row.enforcement,
        "source": row.source,
        "version": row.version,
        "updated_at": row.updated_at,
    }


def service_view(
    row: Any, locations: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """The HSDS document with ``needs``, ``service_areas``, ``capacities`` and what was made of it.

    *locations*: documents of its places that are not confidential; only one service has them.
    """
    document = _document(row)
    places = document.get("service_at_locations") or []
    if locations is not None:
        places = [
            place | {"location": locations[place["location_id"]]}
            if place.get("location_id") in locations
            else place
            for place in places
        ]
    return document | {
        "id": row.id,
        "organization_id": row.organization_id,
        "name": row.name,
        "status": row.status,
        "needs": row.needs,
        "service_areas": document.get("service_areas") or [],
        "service_at_locations": places,
        "capacities": document.get("capacities") or [],
        "capacity": row.capacity,
        "capacity_available": row.capacity_available,
        "capacity_said_at": row.capacity_said_at,
        "areas": row.areas,
        "areas_partly": row.areas_partly,
        "area_unknown": row.area_unknown,
        "languages_unknown": row.languages_unknown,
        "left_at": row.left_at,
        "source": row.source,
        "version": row.version,
        "updated_at": row.updated_at,
    }


def _document(row: Any) -> dict[str, Any]:
    return {key: value for key, value in row.document.items() if key not in _FOR_IMPORT}
