"""The dependency rule of docs/architecture.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOMAINS = sorted(
    path
    for pattern in ("services/*/*_svc/domain.py", "services/*/*_svc/domain/**/*.py")
    for path in ROOT.glob(pattern)
)


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def test_import_linter_agrees() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(lint), "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_domains() -> None:
    assert {path.relative_to(ROOT).parts[1] for path in DOMAINS} == {
        "intake-svc",
        "notify-svc",
        "partner-svc",
        "portal-svc",
        "referral-svc",
    }


@pytest.mark.parametrize("path", DOMAINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_domain_needs_the_standard_library_and_the_codes_alone(path: Path) -> None:
    own = f"{path.relative_to(ROOT).parts[2]}.domain"
    strangers = {
        name
        for name in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and name.split(".")[0] != "event_schemas"
        and not (name == own or name.startswith(f"{own}."))
    }
    assert strangers == set()


@pytest.mark.parametrize("path", DOMAINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_domain_is_pure(path: Path) -> None:
    """Time is passed in; nothing waits, sends, reads files or the environment."""
    impure = {"asyncio", "socket", "subprocess", "threading", "time", "urllib.request"}
    assert imported(path) & impure == set()
    used = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert used & {"datetime.now", "datetime.utcnow", "date.today"} == set()
    # Making a random id is all that an operating system is asked for.
    assert {name for name in used if name.startswith("os.")} <= {"os.urandom"}
