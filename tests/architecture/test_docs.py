"""Documents point to what is there, and decisions stand in one sequence."""

import re
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


def test_the_table_of_faults_is_that_of_the_tests() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text()
    told = set(re.findall(r"^\| (f\d\d) \|", page, re.MULTILINE))
    tests = [p for p in ROOT.glob("*/**/test_*.py") if not {".venv", "var"} & set(p.parts)]
    names = re.findall(r"\bdef test((?:_f\d\d)+)_", "\n".join(p.read_text() for p in tests))
    shown = {number for name in names for number in name.strip("_").split("_")}
    assert told == shown
