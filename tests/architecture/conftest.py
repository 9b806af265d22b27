"""What the services show, built once from their own wiring."""

import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _contracts() -> Any:
    name = "handoff_tools_contracts"
    if name not in sys.modules:
        spec = spec_from_file_location(name, ROOT / "tools" / "contracts.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def surfaces() -> Mapping[str, Any]:
    """``{service: Surface(openapi, operations, groups)}``; see ``tools/contracts.py``."""
    found: Mapping[str, Any] = _contracts().surfaces()
    return found
