"""The demo city's directory as HSDS 3 JSON: full services, each with its organization. Pure."""

import json
import random
from typing import Any

from handoff_cli.demo_city.catalogue import ORGANIZATIONS, Organization, Service
from handoff_cli.demo_city.ids import demo_id, organization_id
from handoff_cli.demo_city.places import SEED, Land, Property, polygon

ASSURED = "2026-01-05"
"""When the demo city's desk last checked its entries."""
_LANGUAGES = {"en": "English", "es": "Spanish"}
Json = dict[str, Any]


def tables(land: Land, seed: int = SEED) -> dict[str, list[Json]]:
    """HSDS tables by name: organizations, services, locations; children nested."""
    chance = random.Random(seed)  # noqa: S311 - a made-up city, not a secret
    homes = [p for p in land.properties if p.unit is None]
    chance.shuffle(homes)
    locations: list[Json] = []
    organizations: list[Json] = []
    services: list[Json] = []
    for number, organization in enumerate(ORGANIZATIONS, 1):
        organizations.append(_organization(organization, number))
        # Where a safe house is, no file says.
        hidden = any(service.confidential for service in organization.services)
        places = [] if hidden else [str(demo_id("location", organization.slug))]
        locations += [_location(place, organization, homes[number]) for place in places]
        services += [_service(s, organization, land, places) for s in organization.services]
    return {"locations": locations, "organizations": organizations, "services": services}


def _location(id_: str, organization: Organization, house: Property) -> Json:
    return {
        "id": id_,
        "location_type": "physical",
        "name": f"{organization.name}: front desk",
        "latitude": house.latitude,
        "longitude": house.longitude,
        "addresses": [
            {
                "id": str(demo_id("address", organization.slug)),
                "address_1": house.line1,
                "city": "Demo City",
                "state_province": "ZZ",
                "postal_code": house.postal_code,
                "country": "US",
                "address_type": "physical",
            }
        ],
    }


def _organization(organization: Organization, number: int) -> Json:
    own: Json = {
        "kind": str(organization.kind),
        "agreement": "active" if organization.agreement else "none",
    }
    if organization.kind == "case-management":
        own["participants"] = sorted(
            str(organization_id(other.slug)) for other in ORGANIZATIONS if other.participant
        )
    if organization.enforcement:
        own["enforcement"] = True
    return {
        "id": str(organization_id(organization.slug)),
        "name": organization.name,
        "alternate_name": organization.spanish,
        "description": f"{organization.name} of Demo City. {organization.spanish}.",
        "email": f"{organization.slug}@demo-city.example",
        "website": f"https://{organization.slug}.demo-city.example",
        # 555-0100 to 555-0199 are kept free for such uses.
        "phones": [
            {
                "id": str(demo_id("phone", organization.slug)),
                "number": f"+1 617 555 01{number:02}",
                "type": "voice",
            }
        ],
        "x_handoff": own,
    }


def _service(
    service: Service, organization: Organization, land: Land, location_ids: list[str]
) -> Json:
    minimum, maximum = service.ages
    own: Json = {"needs": sorted(map(str, service.needs))}
    if service.tenures:
        own["eligibility"] = {"tenures": list(service.tenures)}
    found: Json = {
        "id": str(demo_id("service", service.slug)),
        "organization_id": str(organization_id(organization.slug)),
        "name": service.name,
        "alternate_name": service.spanish,
        "description": f"{service.name}, by {organization.name}. {service.spanish}.",
        "status": "active",
        "assured_date": ASSURED,
        "interpretation_services": "By phone" if service.interpreters else None,
        "eligibility_description": service.words,
        "minimum_age": minimum,
        "maximum_age": maximum,
        "languages": [
            {
                "id": str(demo_id("language", f"{service.slug}:{code}")),
                "name": _LANGUAGES[code],
                "code": code,
            }
            for code in service.languages
        ],
        "service_areas": [
            {
                "id": str(demo_id("service-area", f"{service.slug}:{code}")),
                "name": land.area(code).name,
                "extent": json.dumps(polygon(land.area(code)), separators=(",", ":")),
                "extent_type": "geojson",
            }
            for code in service.areas
        ],
        "service_at_locations": [
            {
                "id": str(demo_id("service-at-location", service.slug)),
                "location_id": location_id,
            }
            for location_id in location_ids
        ],
        "schedules": [
            {
                "id": str(demo_id("schedule", service.slug)),
                "freq": "WEEKLY",
                "byday": "MO,TU,WE,TH,FR",
                "opens_at": "09:00",
                "closes_at": "17:00",
            }
        ],
        "x_handoff": own,
    }
    if service.places is not None:
        found["capacities"] = [
            {
                "id": str(demo_id("capacity", service.slug)),
                "available": service.places,
                "maximum": service.places,
                "updated": f"{ASSURED}T09:00:00-05:00",
            }
        ]
    return {key: value for key, value in found.items() if value not in (None, [])}
