"""What is installed without the tools of development is enough to run."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from handoff_kit.settings import SERVICES

ROOT = Path(__file__).resolve().parents[2]
LOCK: dict[str, dict[str, Any]] = {
    package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
}
# Imports modules in a process to which the packages of development do not exist.
PROGRAM = """
import importlib, importlib.abc, sys
absent = set({absent!r})
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Absent())
for name in {modules!r}:
    importlib.import_module(name)
"""


def installed(name: str) -> set[str]:
    """Names of the packages that the lock brings for *name* without dependency groups."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(name, ())]
    while waiting:
        package, extras = one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        entry = LOCK[package]
        needed = list(entry.get("dependencies", ()))
        for extra in extras:
            needed += entry.get("optional-dependencies", {}).get(extra, ())
        waiting += [(n["name"], tuple(n.get("extra", ()))) for n in needed]
    return {package for package, _ in found}


def absent_without_development(name: str) -> list[str]:
    """Top-level modules that are here and would not be, were *name* installed alone."""
    there = installed(name)
    return sorted(
        module
        for module, owners in packages_distributions().items()
        if module.isidentifier()
        and not {owner.lower().replace("_", "-").replace(".", "-") for owner in owners} & there
    )


def import_alone(package: str, *modules: str) -> str:
    """What goes wrong when *modules* are imported with only *package* installed; else empty."""
    absent = absent_without_development(package)
    assert "pytest" in absent
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(absent=absent, modules=modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_declares_what_it_needs(service: str) -> None:
    modules = (f"{service}_svc.app", "handoff_kit.service", "handoff_kit.migrate")
    assert import_alone(f"{service}-svc", *modules) == ""


def test_the_command_declares_what_it_needs() -> None:
    commands = sorted(
        f"handoff_cli.commands.{path.stem}"
        for path in (ROOT / "cli/handoff_cli/commands").glob("[a-z]*.py")
    )
    kit = ("handoff_kit.service", "handoff_kit.migrate")
    modules = ("handoff_cli.main", "handoff_cli.supervisor", *kit, *commands)
    assert import_alone("handoff-cli", *modules) == ""
