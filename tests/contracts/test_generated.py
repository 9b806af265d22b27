"""The committed contracts are what the code says, and are valid documents of their kinds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from event_schemas.contracts.asyncapi import WRITERS, asyncapi_document
from event_schemas.registry import BY_TOPIC_AND_TYPE, EVENTS, TOPICS
from jsonschema import Draft7Validator, Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
OPENAPI = sorted((SCHEMAS / "openapi").glob("*.json"))


def test_committed_contracts_are_as_generated() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "contracts.py"), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("HANDOFF_")},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_event_has_a_schema_file() -> None:
    names = {p.stem for p in (SCHEMAS / "json").glob("*.json")}
    assert names == {event.TYPE for event in EVENTS}


@pytest.mark.parametrize("path", sorted((SCHEMAS / "json").glob("*.json")), ids=lambda p: p.stem)
def test_a_schema_file_is_a_schema(path: Path) -> None:
    schema = json.loads(path.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


def committed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text())
    return found


def test_asyncapi_is_valid(real_data: Path) -> None:
    schema = json.loads(
        (real_data / "05_event_standards/asyncapi/asyncapi-3.0.0.schema.json").read_text()
    )
    errors = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
        for e in Draft7Validator(schema).iter_errors(committed())
    ]
    assert errors == []


def test_asyncapi_refers_to_what_is_there() -> None:
    document = committed()
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            name = reference["$ref"].removeprefix("#/components/messages/")
            message = document["components"]["messages"][name]
            assert (SCHEMAS / message["payload"]["schema"]["$ref"]).is_file()
    for operation in document["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]


def test_asyncapi_has_every_topic_and_type_once() -> None:
    channels = asyncapi_document()["channels"].values()
    assert {c["address"] for c in channels} == set(TOPICS)
    assert {(c["address"], t) for c in channels for t in c["messages"]} == set(BY_TOPIC_AND_TYPE)


def test_every_topic_has_a_writer() -> None:
    plain = {name.removeprefix("handoff.").removeprefix("restricted.") for name in TOPICS}
    assert plain == set(WRITERS)


@pytest.mark.parametrize("path", OPENAPI, ids=lambda p: p.stem)
def test_openapi_states_security_and_failures_of_every_operation(path: Path) -> None:
    document = json.loads(path.read_text())
    assert document["openapi"].startswith("3.1.")
    problems = document["components"]["schemas"]["Problem"]
    assert {"code", "trace_id"} <= set(problems["required"])
    for route, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method.upper()} {route}"
            assert "security" in operation, where
            for scheme in operation["security"]:
                assert list(scheme.values()) != [[]], f"{where} names no scope"
            assert "default" in operation["responses"], where
