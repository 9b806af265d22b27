"""The command without a running system: help, wrong use, and what it says when nothing runs."""

import json
import shutil
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from handoff_cli import running
from handoff_cli.cityfiles import faults_of
from handoff_cli.commands.replay import place
from handoff_cli.console import program
from handoff_cli.inspection_import import Inspection
from handoff_cli.inspections import MOST_BYTES, MOST_ITEMS, batches
from handoff_cli.main import app
from handoff_kit.cities import city_folder
from handoff_kit.settings import SERVICES
from typer.testing import CliRunner

COMMANDS = (
    ["up"], ["import", "inspections"], ["import", "directory"], ["demo"], ["status"],
    ["parked", "list"], ["parked", "show"], ["parked", "retry"], ["parked", "drop"], ["replay"],
    ["policy", "check"], ["clients", "create"], ["clients", "list"], ["clients", "rotate"],
    ["clients", "revoke"], ["users", "create"], ["users", "list"], ["users", "disable"],
    ["keys", "status"], ["keys", "rotate"], ["keys", "rewrap"], ["keys", "rotate-signing"],
    ["migrate"], ["audit", "verify"], ["disclosures"], ["doctor"],
)  # fmt: skip
AN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("HANDOFF_HOME", str(home))
    for name in ("DATABASE_URL", "PUBLIC_URL", "CLIENT_ID", "CLIENT_SECRET", "CITY", "PORT"):
        monkeypatch.delenv(f"HANDOFF_{name}", raising=False)
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.chdir(tmp_path)
    return home


def handoff(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help(words: list[str]) -> None:
    done = handoff(*words, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["demo"],
        ["parked", "list"],
        ["parked", "show", AN_ID],
        ["parked", "retry", "--all"],
        ["replay", "--group", "referral", "--from", "earliest"],
        ["clients", "create", "x", "--role", "department"],
        ["clients", "list"],
        ["users", "list"],
        ["disclosures", "--consent", AN_ID],
        ["audit", "verify"],
        ["migrate"],
    ],
    ids=" ".join,
)
def test_nothing_running_is_one_line_that_says_how_to_start(arguments: list[str]) -> None:
    done = handoff(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "make up" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["parked", "retry"],
        ["parked", "retry", AN_ID, "--all"],
        ["parked", "show", "no-id"],
        ["replay", "--group", "g", "--from", "yesterday", "--reason", "r"],
        ["replay", "--group", "g"],
        ["disclosures", "--consent", "no-id"],
        ["clients", "create", "x", "--role", "department", "--organization", "nowhere"],
        ["import", "inspections", "file.csv"],
        ["demo", "--days", "0"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    assert handoff(*arguments).exit_code == 2


def test_the_services_are_the_kits() -> None:
    assert running.SERVICES == SERVICES


def test_places_of_a_replay() -> None:
    assert place("earliest") == "earliest"
    assert place("42") == 42
    assert place("2026-01-05T09:00:00-05:00") == datetime.fromisoformat("2026-01-05T14:00:00+00:00")
    for wrong in ("latest", "2026-01-05T09:00:00", "-1"):
        with pytest.raises(typer.BadParameter):
            place(wrong)


# Import of inspections, without a system


def test_a_dry_run_needs_nothing_running(tmp_path: Path) -> None:
    file = tmp_path / "few.json"
    file.write_text('[{"id": "1", "at": "2026-01-05T09:00:00", "where": "1 Bell Lane"}]')
    map_ = tmp_path / "few.yaml"
    map_.write_text(
        "format: json\nsource: few\ntimezone: America/New_York\nfields:\n"
        "  source_id: {column: id}\n"
        '  inspected_at: {column: at, format: "%Y-%m-%dT%H:%M:%S"}\n'
        "  property.address.line1: {column: where}\n"
    )
    done = handoff("import", "inspections", str(file), "--map", str(map_), "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "read": 1, "taken": 0, "unchanged": 0, "corrected": 0, "rejected": 0,
        "rejects_file": None, "rows": 1, "dry_run": True,
    }  # fmt: skip
    map_.write_text("skip: {column: where, pattern: Lane}\n" + map_.read_text())
    done = handoff("import", "inspections", str(file), "--map", str(map_), "--dry-run", "--json")
    report = json.loads(done.stdout)
    assert (report["read"], report["rows"], report["left_out"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nothing,of,it\n1,2,3\n", "case_no"),
        (b"case_no,status_dttm\n\xff\xfe\xfa,x\n", "encoding"),
        (b"", "empty"),
    ],
)
def test_a_file_that_is_refused_whole(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    done = handoff("import", "inspections", str(file), "--map", "boston")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert str(file) in done.stderr
    assert words in done.stderr.lower()


def test_a_map_with_an_error_names_its_line(tmp_path: Path) -> None:
    map_ = tmp_path / "map.yaml"
    map_.write_text("format: csv\nsource: x\nfields:\n  source_id: {colum: id}\n")
    done = handoff("import", "inspections", "file.csv", "--map", str(map_))
    assert done.exit_code == 1
    assert f"{map_}:4" in done.stderr


def _inspection(number: int, size: int = 100) -> Inspection:
    return Inspection(number, "f.csv", b'{"source_id":"%d"}' % number + b" " * size)


def test_batches_keep_to_the_apis_limits_and_lose_nothing() -> None:
    many = [_inspection(n, size=100 + n % 3000) for n in range(3000)]
    found = list(batches(many))
    assert [one for batch in found for one in batch] == many
    assert all(len(batch) <= MOST_ITEMS for batch in found)
    assert all(sum(len(one.encoded) + 1 for one in b) <= MOST_BYTES + 1 for b in found)
    huge = [_inspection(1, size=300_000), _inspection(2)]
    assert list(batches(huge)) == [[huge[0]], [huge[1]]]
    assert list(batches([])) == []


# Policy and doctor


@pytest.fixture
def a_city(tmp_path: Path) -> Path:
    shutil.copytree(city_folder("demo"), tmp_path / "city")
    return tmp_path / "city"


def test_a_good_policy(a_city: Path) -> None:
    assert faults_of(a_city, whole=True) == []
    assert handoff("policy", "check", str(a_city)).exit_code == 0


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("routing.yaml", "target: department", "target: nobody"),
        ("codes.yaml", "severity: severe", "severity: awful"),
        ("consent.yaml", "default_days: 365", "default_days: many"),
        ("notify.yaml", "tell: referrer", "tell: everybody"),
        ("calendar.yaml", "8:00-16:00", "8:00-99:00"),
    ],
)
def test_a_faulty_file_is_named_with_its_line(a_city: Path, file: str, old: str, new: str) -> None:
    path = a_city / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    line = text[: text.index(old)].count("\n") + 1
    done = handoff("policy", "check", str(a_city), "--json")
    assert done.exit_code == 1
    assert (file, line) in {(f["file"], f["line"]) for f in json.loads(done.stdout)["faults"]}


def test_broken_areas_are_named(a_city: Path) -> None:
    (a_city / "areas.geojson").write_text('{"features": [{}]}')
    done = handoff("policy", "check", str(a_city))
    assert done.exit_code == 1
    assert "areas.geojson: feature 0" in done.stderr


def test_an_unknown_city_lists_those_that_are_there() -> None:
    done = handoff("policy", "check", "atlantis")
    assert done.exit_code == 1
    assert "demo" in done.stderr


def _checks() -> dict[str, Any]:
    done = handoff("doctor", "--json")
    report = json.loads(done.stdout)
    assert report["ok"] is (done.exit_code == 0)
    return {check["check"]: check for check in report["checks"]}


def test_doctor_on_a_healthy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HANDOFF_PORT", str(probe.getsockname()[1]))
    assert {c["state"] for c in _checks().values()} <= {"ok", "warn"}


def test_doctor_finds_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("HANDOFF_PORT", str(taken.getsockname()[1]))
        check = _checks()["port"]
    assert check["state"] == "bad"
    assert "PORT" in check["mend"]


def test_doctor_finds_secrets_open_to_others(an_empty_home: Path) -> None:
    secrets = an_empty_home / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "app_password").write_text("x")
    (secrets / "app_password").chmod(0o644)
    check = _checks()["secrets"]
    assert check["state"] == "bad"
    assert "chmod" in check["mend"]


def test_doctor_finds_a_spoilt_key_file(an_empty_home: Path) -> None:
    (an_empty_home / "secrets").mkdir(parents=True, mode=0o700)
    (an_empty_home / "secrets" / "key_file.json").write_text("{}")
    (an_empty_home / "secrets" / "key_file.json").chmod(0o600)
    assert _checks()["key file"]["state"] == "bad"


def test_doctor_finds_an_unreachable_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_DATABASE_URL", "postgresql://x:y@127.0.0.1:1/handoff")
    assert _checks()["database"]["state"] == "bad"


def test_doctor_finds_a_broker_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_BUS", "kafka")
    monkeypatch.setenv("HANDOFF_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    check = _checks()["kafka"]
    assert check["state"] == "bad"
    assert "HANDOFF_KAFKA_BOOTSTRAP_SERVERS" in check["mend"]


def test_doctor_finds_a_citys_fault(a_city: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (a_city / "consent.yaml").unlink()
    monkeypatch.setenv("HANDOFF_CITY", str(a_city))
    assert _checks()["city"]["found"] == "consent.yaml: is not there"


def test_half_a_pair_of_credentials_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_CLIENT_ID", "x")
    done = handoff("import", "directory", str(city_folder("demo") / "directory"))
    assert done.exit_code == 1
    assert "HANDOFF_CLIENT_SECRET" in done.stderr


def test_up_names_an_unknown_city() -> None:
    done = handoff("up", "--city", "atlantis")
    assert done.exit_code == 1
    assert "atlantis" in done.stderr


def test_what_is_printed_to_try_can_be_pasted(tmp_path, monkeypatch) -> None:
    script = tmp_path / ".venv" / "bin" / "handoff"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert program() == ".venv/bin/handoff"
    monkeypatch.chdir("/")
    assert Path("/", program()) == script
    monkeypatch.setenv("PATH", str(script.parent))
    assert program() == "handoff"


def test_a_command_that_serves_nothing_does_not_load_what_serves() -> None:
    """FastAPI takes a third of such a command's start."""
    modules = "handoff_cli.main, handoff_cli.api, handoff_cli.directories, handoff_cli.inspections"
    code = f"import sys, {modules}; sys.exit('fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
