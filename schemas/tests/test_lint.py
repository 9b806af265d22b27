"""Outside ``inbound`` no event has a field in which a resident's fact or a sentence could hide."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import pytest
from event_schemas.base import Code, Event, Id, Part, PublicName, Time
from event_schemas.lint import faults
from event_schemas.registry import EVENTS


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.TYPE)
def test_fields_are_ids_codes_times_numbers(event: type[Event]) -> None:
    assert faults(event) == []


class _Colour(StrEnum):
    RED = "red"


class _Group(Part):
    said: str


class _Leaky(Event):
    TYPE: ClassVar[str] = "handoff.leaky.v1"
    TOPIC: ClassVar[str] = "cases"
    KEY: ClassVar[str] = "case_id"

    case_id: Id
    colour: _Colour
    at: Time
    code: Code | None = None
    name: str
    notes: list[str] = []
    local: datetime | None = None
    anything: dict[str, Any] = {}
    group: _Group
    groups: list[_Group] = []
    title: PublicName


def test_whatever_could_carry_text_is_caught() -> None:
    assert faults(_Leaky) == [
        "_Leaky.name: str",
        "_Leaky.notes: str",
        "_Leaky.local: datetime",
        "_Leaky.anything: dict",
        "_Leaky.group.said: str",
        "_Leaky.groups.said: str",
        "_Leaky.title: Annotated",
    ]


def test_public_names_are_for_the_directory_alone() -> None:
    class Named(Event):
        TYPE: ClassVar[str] = "handoff.named.v1"
        TOPIC: ClassVar[str] = "directory"
        KEY: ClassVar[str] = "id"
        id: Id
        name: PublicName

    assert faults(Named) == []


@pytest.mark.parametrize("field", ["name", "phone", "email", "address", "line1", "text", "note"])
def test_no_event_outside_inbound_has_a_field_of_that_name(field: str) -> None:
    holders = {e.TYPE for e in EVENTS if field in e.model_fields and not e.TOPIC.startswith("inb")}
    allowed = {"handoff.organization.changed.v1", "handoff.service.changed.v1"}
    assert holders <= (allowed if field == "name" else set())
