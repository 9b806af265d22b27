"""Every event has a schema and a reader; topics are those of the contract."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from event_schemas.registry import BY_TOPIC_AND_TYPE, EVENTS, TOPICS

# The contract's table of topics: how long each is kept, None for ever.
CONTRACT: dict[str, timedelta | None] = {
    "handoff.inbound.inspections": timedelta(days=7),
    "handoff.inspections": None,
    "handoff.consents": None,
    "handoff.cases": None,
    "handoff.referrals": None,
    "handoff.offers": None,
    "handoff.directory": None,
    "handoff.deliveries": timedelta(days=30),
    "handoff.restricted.consents": None,
    "handoff.restricted.cases": None,
    "handoff.restricted.referrals": None,
    "handoff.restricted.offers": None,
    "handoff.restricted.deliveries": timedelta(days=30),
    "handoff.parked": timedelta(days=30),
}
# Ours, beside the contract: who may no longer come in.
ADDED: dict[str, timedelta | None] = {"handoff.access": None}
# Said for readers outside of Handoff's own services: a city's data warehouse, its monitoring, a
# rehearsal of a changed policy. None of the five services acts on them.
FOR_OUTSIDE = {
    "handoff.endpoint.disabled.v1",
    "handoff.inspection.closed.v1",
    "handoff.inspection.corrected.v1",
    "handoff.inspection.recorded.v1",
}
INTAKE_ALONE = {"handoff.inspection.reported.v1"}


def readers(surfaces: Mapping[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {event.TYPE: set() for event in EVENTS}
    for surface in surfaces.values():
        for group in surface.groups:
            for event in group.events:
                found[event.TYPE].add(surface.name)
    return found


def test_topics_are_those_of_the_contract() -> None:
    assert {topic.name: topic.retention for topic in TOPICS.values()} == CONTRACT | ADDED
    assert {topic.partitions for topic in TOPICS.values()} == {12}


def test_types_are_unique_and_versioned() -> None:
    types = [event.TYPE for event in EVENTS]
    assert len(types) == len(set(types))
    for event in EVENTS:
        prefix, _, version = event.TYPE.rpartition(".v")
        assert prefix.startswith("handoff."), event.TYPE
        assert version.isdecimal(), event.TYPE
        assert event.KEY in event.model_fields, event.TYPE


def test_case_topics_are_keyed_by_the_case() -> None:
    for event in EVENTS:
        if event.TOPIC in {"cases", "referrals", "offers"}:
            assert event.KEY == "case_id", event.TYPE


def test_every_event_has_a_reader(surfaces: Mapping[str, Any]) -> None:
    unread = {type_ for type_, by in readers(surfaces).items() if not by}
    assert unread - FOR_OUTSIDE == set(), "written and read by nobody"
    assert FOR_OUTSIDE - unread == set(), "read after all: take it off the list"


def test_what_a_department_writes_is_read_by_intake_alone(surfaces: Mapping[str, Any]) -> None:
    found = readers(surfaces)
    assert {type_: by for type_, by in found.items() if type_ in INTAKE_ALONE} == {
        "handoff.inspection.reported.v1": {"intake"}
    }
    for name, surface in surfaces.items():
        topics = {topic for group in surface.groups for topic in group.topics}
        assert name == "intake" or "handoff.inbound.inspections" not in topics


def test_groups_read_topics_on_which_their_events_are(surfaces: Mapping[str, Any]) -> None:
    names = [group.name for surface in surfaces.values() for group in surface.groups]
    assert len(names) == len(set(names)), "a group's name is its identity on the log"
    for surface in surfaces.values():
        for group in surface.groups:
            needed = {t for (t, _), model in BY_TOPIC_AND_TYPE.items() if model in group.events}
            assert set(group.topics) == needed, group.name
