"""Every setting that the code reads is documented, and every documented one is read."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from handoff_kit.settings import SERVICES, HandoffSettings

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations" / "settings.md"
ROW = re.compile(r"^\| `((?:HANDOFF|OTEL)_[A-Z_]+)` \| ([^|]*) \|", re.MULTILINE)
NAME = re.compile(r"\b(?:HANDOFF|OTEL)_[A-Z]+(?:_[A-Z]+)*\b")
# Tests' own knobs and bench's are told where they are used.
SOURCES = ("libs/handoff-kit/handoff_kit", "services", "cli/handoff_cli", "schemas/event_schemas")


def documented() -> dict[str, str]:
    rows = ROW.findall(PAGE.read_text())
    assert len(rows) == len(dict(rows)), "a variable is told of twice"
    return {name: default.strip() for name, default in rows}


def declared() -> dict[str, Any]:
    """``{variable: field}`` of every settings class."""
    for service in SERVICES:
        if find_spec(f"{service}_svc.settings"):
            import_module(f"{service}_svc.settings")
    found: dict[str, Any] = {}
    for kind in HandoffSettings.__subclasses__():
        for name, field in kind.model_fields.items():
            variable = f"HANDOFF_{name.upper()}"
            assert variable not in found, f"{variable} is declared twice"
            found[variable] = field
    return found


def mentioned() -> set[str]:
    return {
        name
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.relative_to(ROOT).parts
        for name in NAME.findall(path.read_text())
    }


def test_every_setting_is_documented() -> None:
    assert set(declared()) - set(documented()) == set()


def test_every_variable_that_the_code_names_is_documented() -> None:
    # "HANDOFF_INTAKE_..." in a text is a prefix, no variable.
    prefixes = {n for n in mentioned() if any(d.startswith(f"{n}_") for d in documented())}
    assert mentioned() - prefixes - set(documented()) == set()


def test_every_documented_variable_is_read() -> None:
    assert set(documented()) - set(declared()) - mentioned() == set()


@pytest.mark.parametrize("variable", sorted(declared()))
def test_the_documented_default_is_the_real_one(variable: str) -> None:
    field, told = declared()[variable], documented()[variable]
    if field.is_required():
        assert told == "needed"
    elif field.default in (None, ""):
        assert told == "–"
    else:
        assert told == f"`{field.default}`"


def test_secrets_have_no_default_and_are_not_shown() -> None:
    for variable, field in declared().items():
        if variable.endswith(("_SECRET", "_PASSWORD")) or variable == "HANDOFF_SMTP_URL":
            assert field.default in (None, ""), variable
            assert field.repr is False, variable
