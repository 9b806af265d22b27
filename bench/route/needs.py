"""What the contestants of B1 are given: the demo city's directory, and needs as intake says them.

A realistic mix: a quarter asks for food, the other residents for what a case manager takes in
hand, three in a hundred for something restricted, a third are hazards of a property. Each need is
of a case of its own. Seeded, so that every run has the same.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import orjson
from event_schemas.base import Event
from event_schemas.codes import RESTRICTED, CapacityStatus, EncounterKind, NeedCategory, Role
from event_schemas.directory import Eligibility, OrganizationChanged, ServiceChanged
from event_schemas.inspections import PropertyCodes
from event_schemas.referrals import NeedRequested
from handoff_cli.demo_city.catalogue import ORGANIZATIONS
from handoff_cli.demo_city.ids import AGENCY, demo_id, organization_id
from handoff_kit.bus.ports import Outgoing
from handoff_kit.tx import Cause

SEED = 1407
_RESIDENT = (
    (NeedCategory.FOOD_INSECURITY, 25),
    (NeedCategory.HOUSING_INSTABILITY, 10),
    (NeedCategory.HOME_REPAIR, 8),
    (NeedCategory.UTILITY_INSECURITY, 7),
    (NeedCategory.LEGAL_HELP, 5),
    (NeedCategory.HEALTH_CARE, 4),
    (NeedCategory.SOCIAL_CONNECTION, 3),
    (NeedCategory.HOARDING, 2),
    (NeedCategory.MENTAL_HEALTH, 2),
    (NeedCategory.ELDER_ABUSE, 1),
)
_PROPERTY = (
    (NeedCategory.PESTS, 12),
    (NeedCategory.RUBBISH, 8),
    (NeedCategory.HEAT_OFF, 5),
    (NeedCategory.ELECTRICAL_HAZARD, 3),
    (NeedCategory.LEAD_HAZARD, 2),
    (NeedCategory.STRUCTURAL_DANGER, 1),
    (NeedCategory.BLOCKED_EGRESS, 2),
)
_CATEGORIES = _RESIDENT + _PROPERTY
_OF_PROPERTIES = frozenset(category for category, _ in _PROPERTY)
_URGENCY = (("routine", 85), ("urgent", 12), ("emergency", 3))
_AREAS = tuple(
    ["city:demo-city", f"district:{district}", f"tract:{tract}"]
    for district, tract in (
        ("west", "0101"),
        ("west", "0102"),
        ("center", "0201"),
        ("center", "0203"),
        ("harbor", "0301"),
        ("hill", "0402"),
    )
)
_LANGUAGES = (["en"], ["es"], ["en", "es"])
_AGES = (["adult"], ["adult", "minor"], ["older-adult"])
_BUILDINGS = (
    PropertyCodes(property_type="two-family", occupancy="renter"),
    PropertyCodes(property_type="single-family", occupancy="owner"),
    PropertyCodes(property_type="apartments", occupancy="renter", owner_type="company"),
)


def directory() -> list[Event]:
    """The demo city's organizations and services, as partner says them."""
    now = datetime.now(UTC)
    members = [organization_id(o.slug) for o in ORGANIZATIONS if o.participant]
    said: list[Event] = []
    for organization in ORGANIZATIONS:
        id_ = organization_id(organization.slug)
        said.append(
            OrganizationChanged(
                organization_id=id_,
                version=1,
                name=organization.name,
                kind=organization.kind,
                agreement_active=organization.agreement,
                enforcement=organization.enforcement,
                participants=members if organization.kind == "case-management" else [],
            )
        )
        said += [
            ServiceChanged(
                service_id=demo_id("service", service.slug),
                organization_id=id_,
                version=1,
                name=service.name,
                status="active",
                needs=list(service.needs),
                areas=list(service.areas),
                minimum_age=service.ages[0],
                maximum_age=service.ages[1],
                languages=list(service.languages),
                interpretation=service.interpreters,
                eligibility=Eligibility(
                    tenures=list(service.tenures), stated_in_words=service.words is not None
                ),
                # No figure of places: a full service would send later rounds elsewhere.
                capacity=CapacityStatus.CAPACITY,
                capacity_said_at=now,
            )
            for service in organization.services
        ]
    return said


def needs(number: int, seed: int = SEED) -> Iterator[NeedRequested]:
    """*number* needs, each of another case."""
    chance = random.Random(seed)
    now = datetime.now(UTC)
    recipients = [organization_id("case-management")]
    recipients += [organization_id(o.slug) for o in ORGANIZATIONS if o.participant]
    departments = organization_id("inspectional-services")
    kinds, weights = zip(*_CATEGORIES, strict=True)
    urgencies, shares = zip(*_URGENCY, strict=True)

    def new_id() -> UUID:
        return UUID(int=chance.getrandbits(128), version=4)

    for _ in range(number):
        category = chance.choices(kinds, weights)[0]
        common = {
            "case_id": new_id(),
            "need_id": new_id(),
            "at": now,
            "category": category,
            "urgency": chance.choices(urgencies, shares)[0],
            "encounter": EncounterKind.INSPECTION,
            "referrer": f"inspector-{chance.randrange(20)}",
            "referrer_role": Role.INSPECTOR,
            "referrer_organization_id": departments,
            "area": chance.choice(_AREAS),
        }
        if category in _OF_PROPERTIES:
            yield NeedRequested(
                **common,
                property_id=new_id(),
                inspection_id=new_id(),
                property=chance.choice(_BUILDINGS),
                severity=chance.choice((None, "moderate", "severe")),
            )
        else:
            yield NeedRequested(
                **common,
                restricted=category in RESTRICTED,
                consent_id=new_id(),
                recipients=recipients,
                feedback=chance.random() < 0.5,
                languages=chance.choice(_LANGUAGES),
                age_bands=chance.choice(_AGES),
                tenure=chance.choice(("renter", "owner")),
                note_id=new_id() if chance.random() < 0.3 else None,
            )


def outgoing(events: Iterator[Event] | list[Event], source: str) -> list[Outgoing]:
    """*events* as a service's relay puts them on the log. Every key stands once."""
    said = []
    for event in events:
        key = event.key_value()
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(UUID(int=random.getrandbits(128), version=4)),
            "ce_source": f"/handoff/{source}",
            "ce_type": event.TYPE,
            "ce_time": datetime.now(UTC).isoformat(),
            "ce_subject": key,
            "ce_agency": AGENCY,
            "traceparent": Cause.new().child(),
            "content-type": "application/json",
            "ce_sequence": "1",
        }
        value = orjson.dumps(event.model_dump(mode="json", exclude_none=True, by_alias=True))
        said.append(Outgoing(event.topic_name(), key, headers, value))
    return said
