"""The check of compatibility itself: each kind of break is caught, optional fields come and go."""

from enum import StrEnum
from typing import Any, ClassVar, Literal

import pytest
from event_schemas.base import Code, Event, Id, Part, Time
from event_schemas.contracts.compatibility import breaks
from event_schemas.contracts.json_schema import json_schema
from pydantic import ConfigDict, create_model


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Group(Part):
    size: int
    shade: Code | None = None


class Thing(Event):
    TYPE: ClassVar[str] = "handoff.thing.v1"
    TOPIC: ClassVar[str] = "things"
    KEY: ClassVar[str] = "thing_id"

    thing_id: Id
    colour: Colour
    kind: Literal["a", "b"] = "a"
    seen_at: Time | None = None
    group: Group = Group(size=1)
    groups: list[Group] = []
    codes: list[Code] = []


FIELDS: dict[str, Any] = {
    "thing_id": (Id, ...),
    "colour": (Colour, ...),
    "kind": (Literal["a", "b"], "a"),
    "seen_at": (Time | None, None),
    "group": (Group, Group(size=1)),
    "groups": (list[Group], []),
    "codes": (list[Code], []),
}


def changed(**fields: Any) -> dict[str, Any]:
    """Thing's schema with other fields; None takes a field out."""
    wanted = {k: v for k, v in {**FIELDS, **fields}.items() if v is not None}
    model = create_model("Thing", __base__=Event, **wanted)
    model.TYPE = Thing.TYPE
    return json_schema(model)


OLD = json_schema(Thing)


def test_the_same_is_compatible() -> None:
    assert breaks(OLD, OLD) == []
    assert breaks(OLD, changed()) == []


def test_an_optional_field_comes_and_goes() -> None:
    assert breaks(OLD, changed(extra=(Code | None, None))) == []
    assert breaks(OLD, changed(seen_at=None)) == []


def test_words_may_change() -> None:
    assert breaks(OLD, {**OLD, "description": "Other words.", "title": "Other"}) == []


class Pale(StrEnum):
    RED = "red"


class Bright(StrEnum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class WideGroup(Part):
    size: int
    weight: int
    shade: Code | None = None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colour": None}, "colour: removed"),
        ({"extra": (Code, ...)}, "extra: new and required"),
        ({"kind": (Literal["a", "b"], ...)}, "kind: required now"),
        ({"colour": (Colour, Colour.RED)}, "colour: optional now"),
        ({"colour": (Pale, ...)}, "colour: closed list narrowed, without blue"),
        ({"colour": (Bright, ...)}, "colour: closed list widened by green"),
        ({"kind": (Literal["a"], "a")}, "kind: closed list narrowed, without b"),
        ({"kind": (Literal["a", "b", "c"], "a")}, "kind: closed list widened by c"),
        ({"colour": (Code, ...)}, "colour: type changed, a closed list on one side"),
        ({"thing_id": (int, ...)}, "thing_id: type changed from 'string' to 'integer'"),
        ({"thing_id": (Time, ...)}, "thing_id: format changed from 'uuid' to 'date-time'"),
        ({"seen_at": (Time, ...)}, "seen_at: type changed"),
        ({"kind": (Literal["a", "b"], "b")}, "kind: default changed from 'a' to 'b'"),
        ({"group": (WideGroup, WideGroup(size=1, weight=1))}, "group.weight: new and required"),
        ({"groups": (list[WideGroup], [])}, "groups[].weight: new and required"),
        ({"codes": (list[int], [])}, "codes[]: type changed from 'string' to 'integer'"),
        ({"codes": (Code, "x")}, "codes: type changed from 'array' to 'string'"),
    ],
)
def test_a_break_is_caught(fields: dict[str, Any], said: str) -> None:
    found = breaks(OLD, changed(**fields))
    assert any(line.startswith(said) for line in found), found


def test_a_list_that_may_grow_may_not_shrink() -> None:
    grown = changed(colour=(Bright, ...))
    assert breaks(OLD, grown, growing={"Bright"}) == []
    assert breaks(grown, OLD, growing={"Bright", "Colour"}) == [
        "colour: closed list narrowed, without green"
    ]


def strict(**fields: Any) -> dict[str, Any]:
    class Base(Event):
        model_config = ConfigDict(extra="forbid", frozen=True)

    model = create_model("Report", __base__=Base, **fields)
    model.TYPE = "handoff.report.v1"
    return json_schema(model)


def test_a_body_with_one_reader_only_gains_fields() -> None:
    old = strict(source=(Code, ...), kind=(Code | None, None))
    more = strict(source=(Code, ...), kind=(Code | None, None), extra=(Code | None, None))
    assert breaks(old, more) == []
    assert breaks(old, strict(source=(Code | None, None), kind=(Code | None, None))) != []
    assert breaks(more, old) == ["extra: removed"]
    needed = strict(source=(Code, ...), kind=(Code | None, None), extra=(Code, ...))
    assert breaks(old, needed) == ["extra: new and required"]
