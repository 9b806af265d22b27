"""Documents point to what is there, and decisions stand in one sequence."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/*/README.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NAMED = re.compile(
    r"`((?:schemas|libs|services|cli|tools|tests|deploy|docs|bench)/[\w./-]+\.(?:py|md|ya?ml|sh|toml))`"
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_named_files_are_there(page: Path) -> None:
    text = page.read_text()
    links = [t for t in LINK.findall(text) if "://" not in t and not t.startswith("mailto:")]
    missing = [t for t in links if not (page.parent / t).exists()]
    missing += [t for t in NAMED.findall(text) if not (ROOT / t).exists()]
    assert missing == []


def test_decisions_are_one_sequence() -> None:
    numbers = [path.name.split("-", 1)[0] for path in DECISIONS]
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda p: p.name)
def test_a_decision_is_one_page_with_its_parts(page: Path) -> None:
    text = page.read_text()
    assert len(text.splitlines()) <= 60
    for part in ("## Decision", "## Why", "## Rejected", "## Held by"):
        assert part in text, part


@pytest.mark.parametrize("page", DECISIONS, ids=lambda p: p.name)
def test_what_holds_a_decision_is_there(page: Path) -> None:
    held = page.read_text().partition("## Held by")[2]
    named = re.findall(r"`([\w./-]+\.py|\.importlinter)`", held)
    assert named, "names no test or linter"
    assert [name for name in named if not (ROOT / name).exists()] == []


FAULTS = re.findall(
    r"^\| (f\d\d) \|.*\| (yes )?\|$", (ROOT / "docs" / "delivery.md").read_text(), re.MULTILINE
)
NUMBERS = re.compile(r"\btest((?:_f\d\d)+)_")
FAULT_TESTS = [
    path
    for path in ROOT.glob("*/**/test_*.py")
    if not {".venv", "var"} & set(path.parts) and re.search(r"\bdef test_f\d\d_", path.read_text())
]


def numbers(text: str) -> set[str]:
    return {n for name in NUMBERS.findall(text) for n in name.strip("_").split("_")}


def test_the_table_of_faults_is_that_of_the_tests() -> None:
    assert [n for n, _ in FAULTS] == sorted({n for n, _ in FAULTS})
    assert {n for n, _ in FAULTS} == numbers("\n".join(p.read_text() for p in FAULT_TESTS))


def test_the_faults_told_to_be_made_on_kafka_are() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "kafka", *FAULT_TESTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {n for n, on_kafka in FAULTS if on_kafka} == numbers(listed.stdout)
