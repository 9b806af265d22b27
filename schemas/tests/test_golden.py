"""Today's readers take every event that was ever said: the golden corpus."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from event_schemas.base import Event, parse
from event_schemas.contracts.json_schema import json_schema
from event_schemas.registry import EVENTS
from jsonschema import Draft202012Validator
from pydantic import ValidationError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BY_TYPE = {event.TYPE: event for event in EVENTS}
FILES = sorted(GOLDEN.glob("*/*.json"))
STRICT = {"handoff.inspection.reported.v1"}


def ids(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def validator(event: type[Event]) -> Draft202012Validator:
    schema = json_schema(event)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.TYPE)
def test_every_type_has_examples(event: type[Event]) -> None:
    assert list((GOLDEN / event.TYPE).glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_f33_an_example_is_taken(path: Path) -> None:
    event = BY_TYPE[path.parent.name]
    validator(event).validate(json.loads(path.read_text()))
    parse(event, path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_what_a_writer_says_is_taken_again(path: Path) -> None:
    event = BY_TYPE[path.parent.name]
    body = parse(event, path.read_bytes()).model_dump_json(exclude_none=True, by_alias=True)
    validator(event).validate(json.loads(body))
    assert parse(event, body.encode()) == parse(event, path.read_bytes())


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_f33_unknown_fields_are_ignored_but_by_the_inbound_reader(path: Path) -> None:
    event = BY_TYPE[path.parent.name]
    body: dict[str, Any] = json.loads(path.read_text())
    more = json.dumps({**body, "field_of_a_newer_writer": {"a": 1}}).encode()
    if event.TYPE in STRICT:
        with pytest.raises(ValidationError):
            parse(event, more)
    else:
        assert parse(event, more) == parse(event, path.read_bytes())
        validator(event).validate(json.loads(more))


def test_the_corpus_is_only_added_to() -> None:
    noted = dict(
        reversed(line.split("  ", 1)) for line in (GOLDEN / "SHA256SUMS").read_text().splitlines()
    )
    found = {
        str(path.relative_to(GOLDEN)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FILES
    }
    assert found == noted, "examples do not change; new ones: .venv/bin/python tools/golden.py"
