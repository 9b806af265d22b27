"""The command against a real all-in-one: start, stop, kill, import, repair, proof."""

import asyncio
import json
import os
import re
import signal
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from handoff_cli.commands.replay import places_of
from handoff_cli.demo_city.ids import organization_id
from handoff_kit.bus.ports import Outgoing
from handoff_kit.bus.postgres import PostgresPublisher
from handoff_kit.cities import city_folder
from handoff_kit.settings import SERVICES
from handoff_kit.urls import with_database, with_user

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
MAP = """
format: csv
source: test-export
timezone: America/New_York
group_by: case
fields:
  source_id: {column: case}
  inspected_at: {column: at, format: "%Y-%m-%d %H:%M"}
  property.address.line1: {column: where}
findings:
  code: {column: code}
  scheme: {value: demo-housing-code}
"""
ROWS = """case,at,where,code
A1,2026-01-05 09:00,1 Test Lane,H-401
A1,2026-01-05 09:00,1 Test Lane,H-101
A2,2026-01-05 10:00,2 Test Lane,H-301
A3,,3 Test Lane,H-301
A4,2026-01-05 11:00,4 Test Lane,H-402
"""


def victims(system: Any) -> dict[str, int]:
    """Process ids: doorway, worker, PostgreSQL."""
    assert system.process is not None
    children = psutil.Process(system.process.pid).children(recursive=True)
    postgres = next(p.pid for p in children if p.name().startswith("postgres"))
    return {**system.running["children"], "postgres": postgres}


# Start and stop


def test_up_says_what_is_there(system: Any) -> None:
    said = system.said()
    assert system.address in said
    kept = json.loads((system.home / "secrets" / "demo_sign_ins.json").read_text())
    assert len(kept) >= 10
    for seat in kept:
        assert seat["email"] in said
        assert seat["password"] in said
    assert "Try" in said
    assert "handoff demo" in said


def test_there_are_no_cases(system: Any) -> None:
    """Runs before anything makes one."""
    with _client(system, "case-manager") as client:
        assert client.get("/referral/v1/cases").json()["items"] == []


def test_what_is_secret_is_its_owners(system: Any) -> None:
    for path in [system.home / "secrets", *(system.home / "secrets").iterdir()]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_status(system: Any) -> None:
    report = system.json("status")
    assert set(report["services"]) == {"intake", "referral", "partner", "notify", "portal"}
    for row in report["services"].values():
        assert row["status"] == "ready"
        assert row.keys() >= {"status", "lag", "oldest_seconds", "outbox"}
    assert report["parked"] == 0
    assert report["deliveries_failing"] == 0
    assert report["worker"] == "ready"


def test_a_second_supervisor_on_this_home_is_refused(system: Any) -> None:
    done = system.handoff("up", "--port", "1024", code=1)
    assert "already runs" in done.stderr
    assert system.address in done.stderr
    assert system.is_ready()


def test_a_taken_port_is_named(system: Any, tmp_path: Path) -> None:
    other = {"HANDOFF_HOME": str(tmp_path / "other")}
    done = system.handoff("up", "--port", str(system.port), code=1, **other)
    assert f"port {system.port} is taken" in done.stderr
    assert "PORT=" in done.stderr


def test_doctor_is_content_with_a_running_system(system: Any) -> None:
    report = system.json("doctor")
    assert report["ok"]
    found = {check["check"]: check["found"] for check in report["checks"]}
    assert system.address in found["port"]
    assert "fsync" in found["durability"]


def test_migrate_has_nothing_to_do(system: Any) -> None:
    assert system.json("migrate") == {"changed": []}


# Clients and people


def _token(system: Any, client_id: str, secret: str) -> httpx.Response:
    return httpx.post(
        f"{system.address}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, secret),
    )


def _client(system: Any, role: str, organization: str | None = None) -> httpx.Client:
    arguments = ["clients", "create", f"test {uuid4().hex[:6]}", "--role", role]
    if organization:
        arguments += ["--organization", organization]
    made = system.json(*arguments)
    token = _token(system, made["client_id"], made["client_secret"]).json()["access_token"]
    return httpx.Client(
        base_url=system.address, headers={"authorization": f"Bearer {token}"}, timeout=20
    )


def test_clients_are_made_rotated_and_revoked(system: Any) -> None:
    made = system.json("clients", "create", "reader", "--role", "coordinator")
    assert made["token_url"] == f"{system.address}/oauth/token"
    assert made["organization_id"] == str(organization_id("city-hall"))
    assert _token(system, made["client_id"], made["client_secret"]).status_code == 200
    listed = system.json("clients", "list")["items"]
    assert made["client_id"] in {row["client_id"] for row in listed}
    assert made["client_secret"] not in json.dumps(listed)

    renewed = system.json("clients", "rotate", "reader")
    assert renewed["client_id"] == made["client_id"]
    assert _token(system, made["client_id"], made["client_secret"]).status_code == 401
    again = system.json("clients", "rotate", "reader", "--keep-old-hours", "1")
    for good in (renewed, again):
        assert _token(system, good["client_id"], good["client_secret"]).status_code == 200

    system.json("clients", "revoke", made["client_id"])
    for gone in (renewed, again):
        assert _token(system, gone["client_id"], gone["client_secret"]).status_code == 401
    assert "no client" in system.handoff("clients", "revoke", "nobody", code=1).stderr


def test_no_client_is_a_resident_or_a_service(system: Any) -> None:
    for role in ("resident", "service", "king"):
        for what in (("clients", "create", "x"), ("users", "create", "x@y.example")):
            said = system.handoff(*what, "--role", role, code=1).stderr
            assert f"there is no role '{role}' to give out; there are: ambassador, " in said


def test_an_organization_that_the_directory_lacks_is_told(system: Any) -> None:
    there, elsewhere = str(organization_id("city-hall")), str(uuid4())
    for given in (there, elsewhere):
        done = system.handoff(
            "clients", "create", "of", "--role", "partner", "--organization", given
        )
        assert (f"the directory has no organization {elsewhere} yet" in done.stderr) == (
            given == elsewhere
        )


def test_a_client_that_may_not_is_told_so(system: Any, export: Path) -> None:
    """Batches go side by side: of several refusals one is told, in one line."""
    made = system.json("clients", "create", "no-rights", "--role", "partner")
    (export / "rows.csv").write_text(
        ROWS + "".join(f"N{n},2026-01-05 09:00,{n} Test Lane,H-402\n" for n in range(1500))
    )
    done = system.handoff(
        "import", "inspections", "rows.csv", "--map", "map.yaml", code=1, cwd=export,
        HANDOFF_PUBLIC_URL=system.address,
        HANDOFF_CLIENT_ID=made["client_id"], HANDOFF_CLIENT_SECRET=made["client_secret"],
    )  # fmt: skip
    assert done.stderr.startswith("error: /intake/v1/inspections/batch: ")
    assert "scope" in done.stderr
    assert done.stderr.count("\n") == 1


def test_people_are_made_and_disabled(system: Any) -> None:
    made = system.json("users", "create", "new@demo-city.example", "--role", "inspector")
    assert made["organization_id"] == str(organization_id("inspectional-services"))
    assert len(made["password"]) >= 12
    done = system.handoff("users", "create", "new@demo-city.example", "--role", "inspector", code=1)
    assert "already" in done.stderr
    gone = system.json("users", "disable", "new@demo-city.example")
    assert gone["disabled_at"] is not None
    assert made["email"] in {row["email"] for row in system.json("users", "list")["items"]}
    assert system.handoff("users", "disable", "nobody@demo-city.example", code=1).stderr


# Imports


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "map.yaml").write_text(MAP)
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


def _import(system: Any, folder: Path, code: int = 0) -> Any:
    return system.json(
        "import", "inspections", "rows.csv", "--map", "map.yaml", code=code, cwd=folder
    )


def test_inspections_are_imported_once(system: Any, export: Path) -> None:
    first = _import(system, export)
    assert first == {
        "read": 4, "taken": 3, "unchanged": 0, "corrected": 0, "rejected": 1, "rows": 5,
        "rejects_file": str(export / "rows.rejects.csv"),
    }  # fmt: skip
    lines = (export / "rows.rejects.csv").read_text().splitlines()
    assert lines[0].startswith("row,column,reason")
    assert lines[1].startswith("5,at,is empty")

    again = _import(system, export)
    assert (again["taken"], again["unchanged"], again["corrected"]) == (0, 3, 0)

    mended = ROWS.replace("A3,,", "A3,2026-01-05 10:30,").replace(
        "4 Test Lane,H-402", "4 Test Lane,H-302"
    )
    (export / "rows.csv").write_text(mended)
    third = _import(system, export)
    assert (third["taken"], third["unchanged"], third["corrected"]) == (1, 2, 1)
    assert third["rejects_file"] is None
    assert not (export / "rows.rejects.csv").exists()


def test_a_grave_finding_opened_a_propertys_case(system: Any, export: Path) -> None:
    _import(system, export)
    with _client(system, "department", str(organization_id("fire-department"))) as client:

        def offers() -> list[Any]:
            found = client.get("/partner/v1/offers").json()["items"]
            return [offer for offer in found if offer["category"] == "blocked-egress"]

        assert system.eventually(offers)


def test_remote_use_by_credentials_alone(system: Any, export: Path) -> None:
    made = system.json("clients", "create", "feed", "--role", "department")
    (export / "rows.csv").write_text(ROWS.replace("A", "R"))
    done = system.handoff(
        "import", "inspections", "rows.csv", "--map", "map.yaml", "--json", cwd=export,
        HANDOFF_HOME=str(export / "nowhere"), HANDOFF_PUBLIC_URL=system.address,
        HANDOFF_CLIENT_ID=made["client_id"], HANDOFF_CLIENT_SECRET=made["client_secret"],
    )  # fmt: skip
    assert json.loads(done.stdout)["taken"] == 3
    wrong = system.handoff(
        "import", "inspections", "rows.csv", "--map", "map.yaml", code=1, cwd=export,
        HANDOFF_PUBLIC_URL=system.address, HANDOFF_CLIENT_ID="x", HANDOFF_CLIENT_SECRET="y",
    )  # fmt: skip
    assert "credentials were refused" in wrong.stderr


def test_an_address_that_does_not_answer(system: Any, export: Path) -> None:
    done = system.handoff(
        "import", "inspections", "rows.csv", "--map", "map.yaml", code=1, cwd=export,
        HANDOFF_PUBLIC_URL="http://127.0.0.1:1", HANDOFF_CLIENT_ID="x", HANDOFF_CLIENT_SECRET="y",
    )  # fmt: skip
    assert "does not answer" in done.stderr


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two good services, one of them of an unknown status, and one without a name."""
    organizations = [{"id": "o1", "name": "Test Pantry"}]
    services = [
        {"id": "s1", "organization_id": "o1", "name": "Bread", "status": "active"},
        {"id": "s2", "organization_id": "o1", "name": "Soup", "status": "gone"},
        {"id": "s3", "organization_id": "o1", "name": "", "status": "active"},
    ]  # fmt: skip
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "organizations.json").write_text(json.dumps(organizations))
    (folder / "services.json").write_text(json.dumps(services))
    return folder


def test_a_directory_is_imported_once_with_a_report(system: Any, directory: Path) -> None:
    there = directory.parent
    first = system.json("import", "directory", "feed", cwd=there)
    assert (first["organizations"], first["services"], first["refused"]) == (1, 2, 1)
    assert first["mended"] >= 1
    assert first["changed"]["services"] == 2
    report = Path(first["report_file"]).read_text().splitlines()
    assert report[0] == "kind,table,row,id,field,reason"
    assert any(line.startswith("refused,services,3,s3,name") for line in report)

    again = system.json("import", "directory", "feed", cwd=there)
    assert again["changed"] == {"organizations": 0, "services": 0, "locations": 0}


def test_a_zip_with_a_map_and_a_dry_run(system: Any, directory: Path) -> None:
    there = directory.parent
    with zipfile.ZipFile(there / "zipped.zip", "w") as archive:
        for path in directory.iterdir():
            archive.write(path, path.name)
    (there / "terms.yaml").write_text("name: mine\nterms:\n  Bread: [food-insecurity]\n")
    report = system.json(
        "import", "directory", "zipped.zip", "--map", "terms.yaml", "--dry-run", cwd=there
    )
    assert report["dry_run"]
    assert report["services"] == 2
    (there / "terms.yaml").write_text("name: mine\nterms: 5\n")
    wrong = system.handoff(
        "import", "directory", "zipped.zip", "--map", "terms.yaml", "--dry-run", code=1, cwd=there
    )
    assert "terms.yaml" in wrong.stderr.replace("handoff-terms.yaml", "terms.yaml")


def test_a_directory_at_an_address(system: Any, directory: Path) -> None:
    there = directory.parent
    with zipfile.ZipFile(there / "remote.zip", "w") as archive:
        for path in directory.iterdir():
            archive.write(path, path.name)
    handler = partial(SimpleHTTPRequestHandler, directory=str(there))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            report = system.json("import", "directory", f"{base}/remote.zip", cwd=there)
            gone = system.handoff("import", "directory", f"{base}/gone.zip", code=1, cwd=there)
        finally:
            server.shutdown()
    assert (report["source"], report["services"]) == ("remote", 2)
    assert "gone.zip: answered 404" in gone.stderr


@pytest.mark.parametrize("content", ['{"half": [1,', '{"nothing": "known"}', "[]"])
def test_a_directory_that_is_refused_whole(system: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "services.json").write_text(content)
    done = system.handoff("import", "directory", "services.json", code=1, cwd=tmp_path)
    assert done.stderr.startswith("error: ")
    assert "services.json" in done.stderr
    done = system.handoff("import", "directory", "absent.json", code=1, cwd=tmp_path)
    assert "absent.json" in done.stderr


# The demo city is played


@pytest.fixture(scope="module")
def played(system: Any) -> Any:
    return system.json("demo", "--days", "2", "--seed", "7")


def test_the_demo_city_is_played(system: Any, played: Any) -> None:
    counts = played["counts"]
    assert played["seed"] == 7
    assert counts["inspections"] == 20
    for name in ("referrals", "offers accepted", "offers: complete", "disclosures"):
        assert counts[name] > 0, counts
    assert system.json("status")["parked"] == 0


def test_the_same_seed_makes_no_further_case(system: Any, played: Any) -> None:
    before = case_count(system)
    again = system.json("demo", "--days", "2", "--seed", "7")
    assert again["cases"] == played["cases"]
    assert case_count(system) == before


def case_count(system: Any) -> int:
    return int(asyncio.run(system.value('SELECT count(*) FROM referral."case"')))


@pytest.mark.usefixtures("played")
async def test_disclosures_of_a_consent(system: Any) -> None:
    consent = await system.value("SELECT consent_id FROM intake.disclosure ORDER BY at LIMIT 1")
    items = system.json("disclosures", "--consent", str(consent))["items"]
    assert items
    assert items[0].keys() >= {"at", "organization_id", "purpose", "fields", "route"}
    done = system.handoff("disclosures", "--consent", str(uuid4()), code=1)
    assert "no consent" in done.stderr


# Keys


@pytest.mark.usefixtures("played")
def test_keys_are_rotated_while_it_runs(system: Any) -> None:
    before = _wrapped(system, 1)
    assert before > 20
    out = _client(system, "coordinator")
    done = system.json("keys", "rotate")
    assert (done["current"], done["left"]) == (2, 0)
    assert sum(one["rewrapped"] for one in done["services"]) == before
    assert (_wrapped(system, 1), _wrapped(system, 2)) == (0, before)

    kid = system.json("keys", "rotate-signing")["kid"]
    published = httpx.get(f"{system.address}/oauth/jwks.json").json()["keys"]
    assert published[0]["kid"] == kid
    assert len(published) == 2
    said = system.handoff("keys", "rotate-signing", code=1).stderr
    assert "are good for 9" in said
    with out:
        assert out.get("/referral/v1/cases").status_code == 200
    system.json("keys", "rotate-signing", "--drop-old")
    with _client(system, "coordinator") as renewed:
        assert renewed.get("/referral/v1/cases").status_code == 200

    # What was sealed before opens, and what is new is wrapped by the new key.
    counts = system.json("demo", "--days", "1", "--seed", "8")["counts"]
    assert counts["disclosures"] > 0
    assert _wrapped(system, 1) == 0
    assert _wrapped(system, 2) > before
    assert system.json("status")["parked"] == 0


def _wrapped(system: Any, version: int) -> int:
    tables = system.json("keys", "status")["tables"]
    return sum(table["versions"].get(str(version), 0) for table in tables)


# Repair and proof


async def _park(system: Any) -> str:
    """A department's record that intake cannot read; returns its id once it is parked."""
    url = (system.home / "secrets" / "database_url").read_text().strip()
    id_ = str(uuid4())
    headers = {
        "ce_specversion": "1.0", "ce_id": id_, "ce_source": "/test-department",
        "ce_type": "handoff.inspection.reported.v1", "ce_agency": "demo-city",
        "content-type": "application/json",
    }  # fmt: skip
    publisher = PostgresPublisher(url, "handoff_intake_sets")
    record = Outgoing("handoff.inbound.inspections", id_, headers, b'{"source": 5}')
    assert await publisher.send([record]) == [None]

    def parked() -> str | None:
        items = system.json("parked", "list")["items"]
        return next((i["id"] for i in items if i["event_id"] == id_), None)

    return str(system.eventually(parked))


async def test_parked_events_are_shown_retried_and_dropped(system: Any) -> None:
    id_ = await _park(system)
    shown = system.json("parked", "show", id_)
    assert shown["state"] == "failed"
    assert shown["service"] == "intake"
    assert shown["body"] == {"source": 5}
    assert shown["headers"]["ce_agency"] == "demo-city"
    assert system.json("status")["parked"] == 1

    assert system.json("parked", "retry", id_) == {"marked": 1, "state": "retry"}
    tried = system.eventually(
        lambda: (row := system.json("parked", "show", id_))["attempts"] > 1 and row
    )
    assert tried["state"] == "failed"

    assert system.json("parked", "drop", "--group", shown["group_name"])["marked"] == 1
    assert system.eventually(lambda: system.json("parked", "show", id_)["state"] == "dropped")
    assert system.json("status")["parked"] == 0
    assert id_ in {i["id"] for i in system.json("parked", "list", "--settled")["items"]}
    assert "no event that failed" in system.handoff("parked", "retry", id_, code=1).stderr
    actions = await system.value(
        "SELECT array_agg(convert_from(body, 'utf-8')::jsonb->>'action') FROM intake.audit"
        " WHERE convert_from(body, 'utf-8')::jsonb->>'subject' = $1",
        id_,
    )
    assert sorted(actions) == ["parked.drop", "parked.retry"]


@pytest.mark.usefixtures("played")
async def test_a_replay_has_no_second_effect(system: Any) -> None:
    system.eventually(lambda: _lag(system) == 0)
    question = (
        "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM (SELECT id, case_id, status,"
        " reason, outcome FROM referral.offer) t"
    )
    before = await system.value(question)
    words = ("--group", "referral", "--from", "earliest", "--reason", "test")
    tried = system.json("replay", *words, "--dry-run")
    assert tried["events"] > 0
    assert _lag(system) == 0
    done = system.json("replay", *words)
    assert done["events"] == tried["events"]
    system.eventually(lambda: _lag(system) == 0)
    assert await system.value(question) == before
    assert system.json("status")["parked"] == 0
    assert await system.value(
        "SELECT EXISTS (SELECT FROM referral.audit WHERE"
        " convert_from(body, 'utf-8')::jsonb->>'action' = 'log.replay')"
    )
    unknown = system.handoff("replay", "--group", "nobody", "--from", "0", "--reason", "x", code=1)
    assert "there are:" in unknown.stderr
    other = system.handoff("replay", *words, "--topic", "nothing", code=1)
    assert "reads no topic 'nothing'; it reads: handoff.consents, " in other.stderr
    beyond = ("--group", "referral", "--from", "999999", "--reason", "test")
    assert "nothing to read again" in system.handoff("replay", *beyond).stdout
    assert "no event that failed" in system.handoff("parked", "retry", "--all").stdout


async def test_a_database_without_our_tables_is_told(system: Any) -> None:
    connection = await system.database()
    await connection.execute("CREATE DATABASE empty_one")
    await connection.close()
    url = (system.home / "secrets" / "database_url").read_text().strip()
    elsewhere = with_database(url, "empty_one")
    for words in (("parked", "list"), ("status",), ("clients", "list")):
        done = system.handoff(*words, code=1, HANDOFF_DATABASE_URL=elsewhere)
        assert "see: handoff migrate" in done.stderr, words
        assert done.stderr.count("\n") == 1


def _lag(system: Any) -> int:
    return int(system.json("status")["services"]["referral"]["lag"])


async def test_f35_audit_names_the_first_bad_row(system: Any) -> None:
    assert system.json("audit", "verify")["ok"]
    connection = await system.database()
    try:
        old = await connection.fetchrow("SELECT * FROM portal.audit WHERE sequence = 2")
        for change, back, reason in (
            (
                "UPDATE portal.audit SET body = replace(convert_from(body, 'utf-8'),"
                " 'client', 'cliant')::bytea WHERE sequence = 2",
                "UPDATE portal.audit SET body = $1 WHERE sequence = 2",
                "changed",
            ),
            (
                "UPDATE portal.audit SET agency_id = 'other' WHERE sequence = 2",
                None,
                "agency changed",
            ),
        ):
            await connection.execute(change)
            report = system.json("audit", "verify", code=1)
            bad = {c["service"]: c["bad"] for c in report["chains"] if c["bad"]}
            assert bad == {"portal": {"sequence": 2, "reason": reason}}
            if back:
                await connection.execute(back, old["body"])
            else:
                await connection.execute(
                    "UPDATE portal.audit SET agency_id = $1 WHERE sequence = 2", old["agency_id"]
                )
        last = await connection.fetchval("SELECT max(sequence) FROM portal.audit")
        cut = await connection.fetchrow(
            "DELETE FROM portal.audit WHERE sequence = $1 RETURNING *", last
        )
        report = system.json("audit", "verify", code=1)
        bad = {c["service"]: c["bad"] for c in report["chains"] if c["bad"]}
        assert bad == {"portal": {"sequence": last, "reason": "missing"}}
        await connection.execute(
            "INSERT INTO portal.audit SELECT * FROM jsonb_populate_record(NULL::portal.audit, $1)",
            json.dumps({k: _plain(v) for k, v in dict(cut).items()}),
        )
    finally:
        await connection.close()
    assert system.json("audit", "verify")["ok"]


async def test_an_owner_that_is_no_superuser_sees_as_much(system: Any) -> None:
    """Row-level security hides every row from it until it acts for the service."""
    connection = await system.database()
    await connection.execute("CREATE ROLE boss LOGIN PASSWORD 'boss-of-this-test'")
    for service in SERVICES:
        await connection.execute(f"GRANT handoff_{service}_sets TO boss WITH ADMIN OPTION")
    await connection.close()
    url = (system.home / "secrets" / "database_url").read_text().strip()
    address = with_user(url, "boss", "boss-of-this-test")
    done = system.handoff("audit", "verify", "--json", HANDOFF_DATABASE_URL=address)
    assert json.loads(done.stdout)["chains"] == system.json("audit", "verify")["chains"]
    done = system.handoff("parked", "list", "--settled", "--json", HANDOFF_DATABASE_URL=address)
    assert json.loads(done.stdout) == system.json("parked", "list", "--settled")
    assert json.loads(done.stdout)["items"]


def _plain(value: object) -> object:
    return "\\x" + value.hex() if isinstance(value, bytes) else value


# Kills and restarts: last, since they take their time


@pytest.mark.parametrize("name", ["doorway", "worker", "postgres"])
def test_what_is_killed_runs_again(system: Any, name: str) -> None:
    before = victims(system)
    os.kill(before[name], signal.SIGKILL)
    system.eventually(lambda: psutil.pid_exists(before[name]) is False, 20)
    system.eventually(
        lambda: (
            system.is_ready() and _worker_ready(system) and victims(system)[name] != before[name]
        ),
        60,
    )
    assert {"doorway", "worker"} <= set(victims(system))
    assert system.json("status")["worker"] == "ready"


def _worker_ready(system: Any) -> bool:
    try:
        address = f"http://127.0.0.1:{system.running['worker_port']}/readyz"
        return httpx.get(address, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_killed_supervisor_leaves_nothing_and_the_next_takes_over(system: Any) -> None:
    people = len(system.json("users", "list")["items"])
    left = victims(system)
    os.kill(system.process.pid, signal.SIGKILL)
    system.process.wait()
    assert "nothing runs" in system.handoff("status", code=1).stderr
    # The children drain by themselves; PostgreSQL is taken over by the next start.
    system.eventually(
        lambda: not any(psutil.pid_exists(left[name]) for name in ("doorway", "worker")), 30
    )
    system.start()
    assert system.is_ready()
    assert len(system.json("users", "list")["items"]) == people


def test_a_second_start_keeps_all_data_and_sign_ins(system: Any) -> None:
    kept = (system.home / "secrets" / "demo_sign_ins.json").read_text()
    services = case_count(system)
    assert system.stop() == 0
    assert "stopping" in system.said()
    assert not (system.home / "running.json").exists()
    system.start()
    assert "bringing the demo city" not in system.said()
    assert (system.home / "secrets" / "demo_sign_ins.json").read_text() == kept
    assert case_count(system) == services
    assert re.search(r"Handoff runs at \S+", system.said())


def test_a_changed_demo_city_is_brought_again(system: Any, tmp_path: Path) -> None:
    """The marker holds a hash of what was brought."""
    marker = (system.home / "demo_city.json").read_text()
    from handoff_cli.demo_city.bring import digest_of

    assert marker.strip() == digest_of(city_folder("demo"))


async def test_a_replay_from_a_time_passes_over_nothing_restricted(system: Any) -> None:
    """Of a restricted topic the log tells the minute alone: all that was said in it is read."""
    minute = datetime(2026, 1, 5, 10, 30, tzinfo=UTC)
    places = {"handoff.cases": 0, "handoff.restricted.cases": 7}
    connection = await system.database()
    written = connection.transaction()
    await written.start()
    try:
        for topic in places:
            await connection.execute(
                "INSERT INTO bus.log (topic, partition, log_offset, key, headers, value,"
                " written_at) VALUES ($1, 99, 7, 'k', '{}', '', $2)",
                topic,
                minute,
            )
        within = minute + timedelta(seconds=30)
        asked = [(topic, 99) for topic in places]
        found = {
            topic: at for (topic, _), at in (await places_of(connection, asked, within)).items()
        }
    finally:
        await written.rollback()
        await connection.close()
    assert found == places
