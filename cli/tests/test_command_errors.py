"""What a command says when something is wrong: one line that names it, and never a traceback."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import typer
from handoff_cli.api import ApiRefused
from handoff_cli.commands.import_ import Format
from handoff_cli.commands.up import _city_faults
from handoff_cli.console import command, problem_words
from handoff_cli.main import app
from handoff_kit.cities import city_folder
from partner_svc.directory import FORMATS
from typer.testing import CliRunner

AN_ID = "00000000-0000-4000-8000-000000000000"
MAP = """
format: csv
source: few
timezone: America/New_York
fields:
  source_id: {column: id}
  inspected_at: {column: at, format: "%Y-%m-%d"}
  property.address.line1: {column: where}
"""
ROWS = "id,at,where\n1,2026-01-05,1 Bell Lane\n2,2026-01-06,2 Bell Lane\n"


@pytest.fixture(autouse=True)
def an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_HOME", str(tmp_path / "home"))
    for name in ("DATABASE_URL", "PUBLIC_URL", "CLIENT_ID", "CLIENT_SECRET", "CITY", "PORT"):
        monkeypatch.delenv(f"HANDOFF_{name}", raising=False)
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.yaml").write_text(MAP)
    (tmp_path / "rows.csv").write_text(ROWS)


def handoff(*arguments: str) -> Any:
    """Run the command; whatever went wrong, it must have been expected."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def one_line(done: Any) -> str:
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return str(done.stderr)


# Failures of work that is done side by side


def _run(raised: Exception) -> Any:
    tried = typer.Typer()

    @tried.command()
    @command
    def fails() -> None:
        raise raised

    return CliRunner().invoke(tried, [])


def test_the_first_of_several_refusals_is_told_once() -> None:
    inner = ExceptionGroup("tasks", [ApiRefused("no such scope"), ApiRefused("no such scope")])
    assert one_line(_run(ExceptionGroup("outer", [inner]))) == "error: no such scope\n"


def test_a_fault_of_ours_among_them_keeps_its_traceback() -> None:
    mixed = ExceptionGroup("tasks", [ApiRefused("no"), KeyError("ours")])
    assert _run(mixed).exception is mixed


def test_nothing_is_said_twice() -> None:
    assert problem_words("Is no role.", [("role", "Is no role.")]) == "role: Is no role."
    assert problem_words("Mend it.", [("a", "x"), ("b", "y")]) == "Mend it. a: x; b: y"
    assert problem_words("Gone.", []) == "Gone."


# An import that the system does not take


Answer = tuple[int, dict[str, Any] | None]
HANGS_UP = 0


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on loopback; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def a_system(batch: Callable[[int], Answer]) -> Iterator[str]:
    """Gives out tokens and is ready; the n-th batch of inspections is answered by *batch*."""
    asked = 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            nonlocal asked
            self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path == "/oauth/token":
                self._answer(200, {"access_token": "t", "expires_in": 600, "token_type": "Bearer"})
            else:
                asked += 1
                self._answer(*batch(asked))

        def _answer(self, status: int, body: dict[str, Any] | None) -> None:
            if status == HANGS_UP:
                self.close_connection = True
                return
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with served(Handler) as address:
        yield address


def _bring_in(
    monkeypatch: pytest.MonkeyPatch,
    batch: Callable[[int], Answer],
    *arguments: str,
) -> Any:
    with a_system(batch) as address:
        monkeypatch.setenv("HANDOFF_PUBLIC_URL", address)
        monkeypatch.setenv("HANDOFF_CLIENT_ID", "x")
        monkeypatch.setenv("HANDOFF_CLIENT_SECRET", "y")
        words = arguments or ("inspections", "rows.csv", "--map", "map.yaml", "--json")
        return handoff("import", *words)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, {"code": "forbidden", "detail": "The scope is missing."}), "The scope is missing."),
        ((500, {"code": "internal", "detail": "Something broke."}), "Something broke."),
        ((500, None), "answered 500"),
    ],
)
def test_a_refused_batch_is_one_line(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, words: str
) -> None:
    said = one_line(_bring_in(monkeypatch, lambda _: answer))
    assert words in said
    assert "0 of 2 inspections are in" in said


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_is_not_ready_is_asked_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    taken = {"results": [{"status": 201}, {"status": 200, "change": "unchanged"}]}
    done = _bring_in(monkeypatch, lambda n: (status, None) if n == 1 else (200, taken))
    report = json.loads(done.stdout)
    assert (report["taken"], report["unchanged"]) == (1, 1)


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "is no Handoff: its /readyz answers 404"), (503, "answers but is not ready")],
)
def test_an_address_of_something_else(
    monkeypatch: pytest.MonkeyPatch, status: int, words: str
) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    monkeypatch.setenv("HANDOFF_CLIENT_ID", "x")
    monkeypatch.setenv("HANDOFF_CLIENT_SECRET", "y")
    with served(Other) as address:
        monkeypatch.setenv("HANDOFF_PUBLIC_URL", address)
        done = handoff("import", "inspections", "rows.csv", "--map", "map.yaml")
    assert words in one_line(done)


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:8080", "http://[", "http://127.0.0.1:1"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HANDOFF_CLIENT_ID", "x")
    monkeypatch.setenv("HANDOFF_CLIENT_SECRET", "y")
    monkeypatch.setenv("HANDOFF_PUBLIC_URL", address)
    done = handoff("import", "inspections", "rows.csv", "--map", "map.yaml")
    assert f"{address} does not answer" in one_line(done)


def test_a_connection_that_ends_in_the_middle_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "services.csv").write_text("id,name\n1,Bread\n")
    done = _bring_in(monkeypatch, lambda _: (HANGS_UP, None), "directory", "services.csv")
    assert "/partner/v1/directory/imports did not answer" in one_line(done)


def test_rejects_beside_the_export_are_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "rows.csv").write_text(f"{ROWS}3,never,3 Bell Lane\n")
    for _ in range(2):
        done = handoff(
            "import", "inspections", "export", "--map", "map.yaml", "--dry-run", "--json",
            "--rejects", "export/export.rejects.csv",
        )  # fmt: skip
        report = json.loads(done.stdout)
        assert (report["read"], report["rejected"], report["rows"]) == (3, 1, 3)
        assert (tmp_path / "export" / "export.rejects.csv").exists()


# Files that are somebody's: what is read, or what is no report of an import

UNFIT = ROWS + "3,never,3 Bell Lane\n"


def dry(*arguments: str) -> Any:
    return handoff("import", "inspections", *arguments, "--map", "map.yaml", "--dry-run")


def said(done: Any) -> str:
    """The message, out of the box that it is shown in."""
    return " ".join(done.stderr.replace("│", " ").split())


def test_mended_rejects_that_are_brought_in_again_stay(tmp_path: Path) -> None:
    """Their default target has the name that they have, up to the first point."""
    mended = tmp_path / "rows.rejects.csv"
    mended.write_text("row,column,reason,id,at,where\n3,at,is no time,2,2026-01-06,2 Bell Lane\n")
    before = mended.read_bytes()
    assert dry("rows.rejects.csv").exit_code == 0
    assert mended.read_bytes() == before


@pytest.mark.parametrize("target", ["rows.csv", "./rows.csv", "map.yaml", "link.csv"])
@pytest.mark.parametrize("rows", [ROWS, UNFIT])
def test_what_is_read_is_no_target(tmp_path: Path, target: str, rows: str) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    done = dry("rows.csv", "--rejects", target)
    assert done.exit_code == 2
    assert "is what is read" in said(done)
    assert ((tmp_path / "rows.csv").read_text(), (tmp_path / "map.yaml").read_text()) == (rows, MAP)


def test_a_file_of_another_kind_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "letter.csv").write_text("Dear,Sir\n")
    done = dry("rows.csv", "--rejects", "letter.csv")
    assert done.exit_code == 2
    assert "no earlier one of this kind" in said(done)
    assert (tmp_path / "letter.csv").read_text() == "Dear,Sir\n"


def test_a_dry_run_deletes_no_rejects_and_each_export_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "rows.2024.csv").write_text(UNFIT)
    assert dry("rows.2024.csv").exit_code == 0
    assert (tmp_path / "rows.2024.rejects.csv").exists()
    (tmp_path / "rows.2025.csv").write_text(ROWS)
    assert dry("rows.2025.csv").exit_code == 0
    (tmp_path / "rows.2024.csv").write_text(ROWS)
    assert dry("rows.2024.csv").exit_code == 0
    assert (tmp_path / "rows.2024.rejects.csv").exists()


@pytest.mark.parametrize("option", ["--report", "--map"])
def test_a_directory_that_is_read_is_no_target(tmp_path: Path, option: str) -> None:
    (tmp_path / "services.json").write_text("[]")
    (tmp_path / "terms.yaml").write_text("{}")
    target = "services.json" if option == "--report" else "terms.yaml"
    arguments = ["services.json", "--map", "terms.yaml", "--report", target, "--dry-run"]
    done = handoff("import", "directory", *arguments)
    assert done.exit_code == 2
    assert "is what is read" in said(done)
    assert (tmp_path / target).exists()


# Arguments and variables


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "inspections", "", "--map", "map.yaml"], "give a file or a folder"),
        (["import", "directory", ""], "give a file or a folder"),
        (["import", "directory", "rows.csv", "--format", "xml"], "hsds-3"),
        (["import", "directory", "rows.csv", "--source", "two words"], "is no code"),
        (["import", "directory", "rows.csv", "--report", "absent/r.csv"], "there is no folder"),
        (["import", "directory", "rows.csv", "--partial", "--allow-leaving"], "nothing leaves"),
        (
            ["import", "inspections", "rows.csv", "--map", "map.yaml", "--rejects", "absent/r.csv"],
            "there is no folder",
        ),
        (
            ["import", "inspections", "rows.csv", "--map", "map.yaml", "--rejects", "."],
            "name a file",
        ),
        (["parked", "drop", AN_ID, "--why", "said Mrs Hill"], "is no code"),
        (
            ["replay", "--group", "g", "--from", "earliest", "--reason", "as she asked"],
            "is no code",
        ),
        (["clients", "create", " ", "--role", "department"], "needs a name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_is_named_before_anything_is_done(
    arguments: list[str], words: str
) -> None:
    done = handoff(*arguments)
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.replace("│", " ").split())


def test_the_formats_are_the_directorys() -> None:
    assert {str(one) for one in Format} == {"auto", *FORMATS}


@pytest.mark.parametrize("variable", ["PORT", "HANDOFF_PORT"])
@pytest.mark.parametrize("given", ["abc", "0", "99999", "-1", "8080.5"])
def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, variable: str, given: str) -> None:
    monkeypatch.setenv(variable, given)
    assert one_line(handoff("up")) == (
        f"error: {variable} is '{given}', which is no port (1 to 65535)\n"
    )
    report = json.loads(handoff("doctor", "--json").stdout)
    assert {c["check"]: c["state"] for c in report["checks"]}["port"] == "bad"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("foo", "HANDOFF_DATABASE_URL is no address of a PostgreSQL"),
        ("postgresql://a:b@127.0.0.1:99999/x", "HANDOFF_DATABASE_URL is no address"),
        ("postgresql://a:b@127.0.0.1:1/x", "HANDOFF_DATABASE_URL does not answer"),
    ],
)
@pytest.mark.parametrize("words_of_command", ["up", "migrate", "parked list", "audit verify"])
def test_a_database_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, address: str, words: str, words_of_command: str
) -> None:
    monkeypatch.setenv("HANDOFF_DATABASE_URL", address)
    assert words in one_line(handoff(*words_of_command.split()))


def test_doctor_goes_on_beside_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDOFF_DATABASE_URL", "foo")
    done = handoff("doctor", "--json")
    found = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.exit_code == 1
    assert found["database"]["state"] == "bad"
    assert found["database"]["mend"] == "set HANDOFF_DATABASE_URL"
    assert "kafka" in found


def test_a_faulty_map_of_terms_is_named_as_it_is_called_here(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nterms: 5\n")
    (tmp_path / "services.csv").write_text("id,name\n1,Bread\n")
    said = handoff("import", "directory", "services.csv", "--map", "mine.yaml").stderr
    assert said.startswith("error: mine.yaml:2: ")
    done = handoff("import", "directory", "services.csv", "--map", "absent.yaml")
    assert "absent.yaml" in one_line(done)
    assert "Errno" not in done.stderr


def test_only_web_addresses_are_fetched() -> None:
    assert "only http and https" in one_line(handoff("import", "directory", "ftp://x.example/y"))


def test_a_folder_without_a_policy_is_no_city_to_run() -> None:
    first, *faults = _city_faults(city_folder("boston"))
    assert "boston" in first
    assert any(line.startswith("city.yaml") for line in faults)
    assert any(line.startswith("consent.yaml") for line in faults)
    assert _city_faults(city_folder("demo")) == []
