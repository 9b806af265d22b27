from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from handoff_kit.yamlfile import FileRefused, Misfit, lines, load, parse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, model_validator


class Answer(StrEnum):
    YES = "yes"
    NO = "no"


class Need(BaseModel):
    category: str
    days: int = 0
    flag: bool = False


class Pack(BaseModel):
    version: str
    needs: list[Need] = []
    codes: dict[str, Need] = {}
    any: Any = None
    country: str = ""
    answer: Answer = Answer.NO
    since: date | None = None
    opens: time | None = None
    codes_or_one: str | list[str] = ""

    @model_validator(mode="after")
    def _no_bad_code(self) -> "Pack":
        if "bad" in self.codes:
            raise Misfit([(("codes", "bad", "category"), "this code is not allowed")])
        return self


@pytest.fixture
def write(tmp_path: Path):
    def _write(text: str | bytes) -> Path:
        path = tmp_path / "codes.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def faults(path: Path) -> list[tuple[int, str, str]]:
    with pytest.raises(FileRefused) as refused:
        load(path, Pack)
    return [(f.line, f.field, f.message) for f in refused.value.faults]


def test_a_good_file_is_loaded_with_the_types_the_model_wants(write) -> None:
    pack = load(
        write(
            "version: 1.10\ncountry: NO\nanswer: no\nsince: 2026-01-02\nopens: 09:30\n"
            "any: {a: 1, b: 2.5, c: true, d: on, e: 2026-01-02, f: 02110, g: null}\n"
            "codes_or_one: [116.20, 410]\n"
            "codes:\n  105.10: {category: 12, days: 3, flag: true}\n  1: {category: x}\n"
        ),
        Pack,
    )
    assert pack.version == "1.10"
    assert pack.country == "NO"
    assert pack.answer is Answer.NO
    assert pack.since == date(2026, 1, 2)
    assert pack.opens == time(9, 30)
    assert pack.any == {
        "a": 1,
        "b": 2.5,
        "c": True,
        "d": "on",
        "e": "2026-01-02",
        "f": "02110",
        "g": None,
    }
    assert pack.codes_or_one == ["116.20", "410"]
    assert pack.codes == {
        "105.10": Need(category="12", days=3, flag=True),
        "1": Need(category="x"),
    }


def test_each_error_names_its_line_and_field(write) -> None:
    path = write(
        "version: a\nneeds:\n  - category: x\n  - days: 3\n  - category: y\n    days: many\n"
        "    dayz: 3\n"
    )
    found = faults(path)
    assert [(line, field) for line, field, _ in found] == [
        (4, "needs.1.category"),
        (6, "needs.2.days"),
        (7, "needs.2.dayz"),
    ]
    assert "missing" in found[0][2]
    assert "'many'" in found[1][2]
    assert "did you mean 'days'" in found[2][2]
    assert "Allowed here: category, days, flag" in found[2][2]


def test_the_message_reads_path_line_field(write) -> None:
    path = write("version: a\nneeds: [{category: [1]}]\n")
    with pytest.raises(FileRefused) as refused:
        load(path, Pack)
    assert str(refused.value).startswith(f"{path}:2: field 'needs.0.category': ")
    assert len(str(refused.value).splitlines()) == 1


def test_a_validator_may_point_inside(write) -> None:
    path = write("version: a\ncodes:\n  ok: {category: x}\n  bad:\n    category: x\n")
    assert faults(path) == [(5, "codes.bad.category", "this code is not allowed")]


def test_duplicate_keys_are_errors(write) -> None:
    path = write("version: a\ncodes:\n  '1': {category: x}\n  1: {category: y}\n")
    assert faults(path) == [(4, "codes.1", "stands twice; first in line 3")]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("version: a\nneeds: [\n", 3, "is no YAML"),
        ("version: a\n\tneeds: b\n", 2, "is no YAML: a tab indents this line"),
        ("version: a\nneeds:\n  \t- b\n", 3, "write spaces"),
        ("version: a\nanswer: '\tyes", 2, "is no YAML: while scanning"),
        ("version: a\n---\nversion: b\n", 2, "is no YAML"),
        (b"version: a\ncountry: \xff\n", 2, "is not UTF-8"),
        ("version: a\x00\n", 1, "is no YAML"),
        ("version: a\nany: &a [*a]\n", 2, "refers to what contains it"),
        ("version: a\nany: !!python/object:os.system x\n", 2, "tag"),
        ("version: a\n? [1, 2]\n: x\n", 2, "a key must be plain text"),
        ("- a\n- b\n", 1, "dictionary"),
        ("version: a\nany: " + "[" * 100_000, 2, "nested more than"),
        ("version: a\nany: " + "[" * 3000 + "]" * 3000, 2, "nested more than"),
        ("\n".join(" " * n + "a:" for n in range(2000)), 51, "nested more than"),
        ("version: a\nanswer: maybe\n", 2, "'yes' or 'no'"),
        ("version: a\nneeds: [{category: x, flag: perhaps}]\n", 2, "boolean"),
    ],
)
def test_broken_files_have_one_clear_message(write, text, line, words) -> None:
    found = faults(write(text))
    assert len(found) == 1
    assert found[0][0] == line
    assert words in found[0][2]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", Pack)
    with pytest.raises(FileRefused, match="cannot be read: Is a directory"):
        load(tmp_path, Pack)


def test_a_bomb_of_aliases_is_refused(write) -> None:
    levels = ["version: a", "any:", "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    assert "more than" in faults(write("\n".join(levels)))[0][2]


def test_a_tower_of_aliases_is_refused(write) -> None:
    levels = ["version: a", "any:", "  - &a0 [x]"]
    levels += [f"  - &a{i} [*a{i - 1}]" for i in range(1, 2000)]
    assert "nested more than" in faults(write("\n".join(levels)))[0][2]


def test_lines_of_places(write) -> None:
    path = write("version: a\nneeds:\n  - category: x\n")
    assert lines(path)[("needs", 0, "category")] == 3
    assert parse(path).line(("needs", 0, "nothing", 4)) == 3


@given(st.dictionaries(st.text("abc0123456789.-", min_size=1), st.integers(), max_size=5))
def test_keys_stay_as_they_were_written(tmp_path_factory, given_codes) -> None:
    path = tmp_path_factory.mktemp("keys") / "k.yaml"
    body = "".join(f"  '{key}': {{category: {n}, days: {n}}}\n" for key, n in given_codes.items())
    path.write_text("version: 1\n" + ("codes:\n" + body if body else ""))
    pack = load(path, Pack)
    assert pack.codes == {k: Need(category=str(n), days=n) for k, n in given_codes.items()}
