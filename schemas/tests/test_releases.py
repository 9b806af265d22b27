"""Within v1 only optional fields come and go, measured against every release there was."""

import json
from pathlib import Path
from typing import Any

import pytest
from event_schemas.contracts.compatibility import breaks
from event_schemas.contracts.json_schema import file_name, json_schema
from event_schemas.registry import EVENTS

RELEASED = Path(__file__).resolve().parents[1] / "released"
RELEASES = sorted(p for p in RELEASED.iterdir() if p.is_dir())
# A new kind of need reaches the log only once a city's policy or a caller uses it; workers are
# upgraded before that (CONTRIBUTING, "A kind of need").
MAY_GROW = frozenset({"NeedCategory"})
TODAY = {file_name(event): json_schema(event) for event in EVENTS}


def released(folder: Path) -> dict[str, dict[str, Any]]:
    return {p.name: json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))}


@pytest.mark.parametrize("folder", RELEASES, ids=lambda p: p.name)
def test_nothing_that_was_released_breaks(folder: Path) -> None:
    found = [
        f"{name} since {folder.name}: {line}"
        for name, old in released(folder).items()
        if name in TODAY
        for line in breaks(old, TODAY[name], growing=MAY_GROW)
    ]
    assert found == [], "a change that breaks is a new type, ...v2"


def test_a_type_of_the_last_release_is_still_there() -> None:
    """A type goes one release after its successor came, and never without one."""
    last = released(RELEASES[-1])
    gone = {name.removesuffix(".json") for name in last.keys() - TODAY.keys()}
    successors = {
        name: f"{name.rpartition('.v')[0]}.v{int(name.rpartition('.v')[2]) + 1}" for name in gone
    }
    assert {n for n, s in successors.items() if f"{s}.json" not in last} == set()


def test_releases_are_whole() -> None:
    assert RELEASES
    for folder in RELEASES:
        assert released(folder)
