"""Small files, and nothing in them that belongs to one machine or one moment."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".venv", "var", "__pycache__", "node_modules"}
GENERATED = ("schemas/json/", "schemas/openapi/", "schemas/released/", "schemas/golden/")
# Written by tools, or holding what they look for.
NOT_OURS = {"uv.lock", "tests/architecture/test_files.py"}
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".xml", ".json", ".html", ".css", ".js", ""}
MOST_LINES = 500
MOST_LINES_OF_TESTS = 800  # tables of cases are long

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.<}])/(?:work|home|root|Users)/\w|/tmp/\w"),
    "a registry's host": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|repo1?\.maven\.\w+|"
        r"proxy\.golang\.org|registry-1\.docker\.io|crates\.io)\b"
    ),
    "a note to oneself": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b"),
}


def files(*suffixes: str) -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.is_file()
        and path.suffix in suffixes
        and not SKIPPED & set(path.relative_to(ROOT).parts)
        and not any(
            part.startswith(".") and part not in {".ci", ".env.example", ".importlinter"}
            for part in path.relative_to(ROOT).parts
        )
    ]


def test_no_python_file_is_long() -> None:
    long = {}
    for path in files(".py"):
        lines = len(path.read_text().splitlines())
        tests = "tests" in path.relative_to(ROOT).parts
        if lines >= (MOST_LINES_OF_TESTS if tests else MOST_LINES):
            long[str(path.relative_to(ROOT))] = lines
    assert long == {}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    found = []
    for path in files(*TEXT):
        name = str(path.relative_to(ROOT))
        if name in NOT_OURS or name.startswith(GENERATED):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{name}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if FORBIDDEN[what].search(line)
        ]
    assert found == []


def test_a_document_that_is_named_is_there() -> None:
    there = {path.name for path in files(".md")}
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files(".py", ".md", ".yaml", ".yml", ".toml", ".sh")
        for name in re.findall(r"(?<![\w./*-])[\w-]+\.md\b", path.read_text())
        if name not in there and str(path.relative_to(ROOT)) not in NOT_OURS
    ]
    assert missing == []


def test_every_package_is_typed() -> None:
    packages = [
        *ROOT.glob("services/*/*_svc"),
        ROOT / "libs/handoff-kit/handoff_kit",
        ROOT / "schemas/event_schemas",
        ROOT / "cli/handoff_cli",
    ]
    assert [p.name for p in packages if not (p / "py.typed").exists()] == []


def test_every_service_has_the_same_shape() -> None:
    for service in ("intake", "referral", "partner", "notify", "portal"):
        folder = ROOT / "services" / f"{service}-svc"
        package = folder / f"{service}_svc"
        assert (folder / "README.md").is_file(), service
        assert (folder / "migrations" / "versions").is_dir(), service
        assert (folder / "tests").is_dir(), service
        for part in ("app", "api", "consumers", "handlers", "tables", "domain"):
            there = (package / f"{part}.py").is_file() or (package / part).is_dir()
            assert there, f"{service} has no {part}"
