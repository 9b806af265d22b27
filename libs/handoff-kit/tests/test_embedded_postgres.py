"""The embedded PostgreSQL: data survives every kind of end, and its log tells nothing."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from handoff_kit.embedded_postgres import (
    EmbeddedPostgres,
    HomeInUseError,
    UnusableDataError,
    become,
)
from handoff_kit.embedded_postgres.identity import Identity
from handoff_kit.embedded_postgres.leftovers import left_running

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Below pytest's folder of mode 0700: as root, a parent that nobody else may enter."""
    return tmp_path / "home"


@pytest.fixture
def open_home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder / "home"
    shutil.rmtree(folder)


@pytest.fixture
def postgres_in() -> Iterator[Callable[..., EmbeddedPostgres]]:
    made: list[EmbeddedPostgres] = []

    def make(home: Path, **arguments: object) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(home, **arguments))
        return made[-1]

    yield make
    for postgres in made:
        postgres.stop()
    for postgres in made:
        assert left_running(postgres.cluster_name) == []


async def run(url: str, *statements: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_data_survives_a_stop_and_a_second_start(home, postgres_in):
    first = postgres_in(home)
    url = first.start()
    assert first.is_running()
    assert first.start() == url
    await run(url, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (7) RETURNING x")
    first.stop()
    first.stop()
    assert not first.is_running()
    assert first.pid is None

    second = postgres_in(home)
    assert second.start() == url, "the port stays, so that a noted address stays right"
    assert await run(second.url, "SELECT x FROM kept") == 7
    assert await run(second.socket_url, "SELECT x FROM kept") == 7


async def test_the_server_is_durable_private_and_asks_for_a_password(home, postgres_in):
    postgres = postgres_in(home, settings={"max_connections": "20"})
    url = postgres.start()
    for setting, expected in {
        "fsync": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "log_min_messages": "log",
        "log_error_verbosity": "terse",
        "listen_addresses": "127.0.0.1",
        "max_connections": "20",
    }.items():
        assert await run(url, f"SHOW {setting}") == expected
    assert await run(url, "SELECT current_database()") == "handoff"
    assert await run(url, "SELECT bool_and(auth_method = 'scram-sha-256') FROM pg_hba_file_rules")
    password = (home / "secrets" / "database_password").read_text().strip()
    for address in (postgres.url, postgres.socket_url):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await run(address.replace(password, "wrong"), "SELECT 1")


def test_secrets_are_for_their_owner_alone(home, postgres_in):
    home.mkdir(mode=0o750)
    postgres = postgres_in(home)
    url = postgres.start()
    assert (home / "secrets" / "database_url").read_text() == url + "\n"
    assert mode(home / "secrets" / "database_url") == 0o600
    assert mode(home / "secrets" / "database_password") == 0o600
    assert mode(home / "secrets") == 0o700
    assert mode(home / "postgres") == 0o700
    assert mode(home / "postgres-socket") == 0o700
    assert mode(home / "logs" / "postgres.log") == 0o600
    assert mode(home) == 0o750, "what was there keeps its mode"
    assert home.stat().st_uid == os.geteuid()


async def test_a_killed_server_recovers_what_was_acknowledged(home, postgres_in):
    postgres = postgres_in(home)
    url = postgres.start()
    await run(url, "CREATE TABLE kept (x int)", "INSERT INTO kept VALUES (7) RETURNING x")
    busy = asyncio.create_task(run(url, "SELECT pg_sleep(600)"))
    await asyncio.sleep(0.2)
    os.kill(postgres.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(postgres.pid)], timeout=10)
    assert not postgres.is_running()
    assert postgres.start() == url
    assert await run(url, "SELECT x FROM kept") == 7
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy


SUPERVISOR = """
import sys, time
from pathlib import Path
from handoff_kit.embedded_postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]))
postgres.start()
print(postgres.pid, postgres._identity.mode, flush=True)
if sys.argv[2:] == ["stop"]:
    postgres.stop()
else:
    time.sleep(600)
"""


def supervise(
    home: Path, *arguments: str, uid: int | None = None, **options: object
) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SUPERVISOR, str(home), *arguments]
    if uid is not None:
        # The interpreter itself may live below root's closed home.
        command = Identity(become.REACH, uid, uid).command(Path(command[0]), *command[1:])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def test_a_living_supervisor_keeps_its_home_and_a_killed_one_is_replaced(home, postgres_in):
    with supervise(home) as other:
        left_behind = int(other.stdout.readline().split()[0])
        try:
            with pytest.raises(HomeInUseError, match=str(other.pid)):
                postgres_in(home).start()
            assert psutil.pid_exists(left_behind)
        finally:
            other.kill()
    assert psutil.pid_exists(left_behind)
    postgres = postgres_in(home)
    url = postgres.start()
    assert left_behind not in {process.pid for process in left_running(postgres.cluster_name)}
    assert asyncio.run(run(url, "SELECT 1")) == 1


def test_supervisor_and_server_killed_at_once(home, postgres_in):
    with supervise(home) as other:
        server = int(other.stdout.readline().split()[0])
        other.kill()
        os.kill(server, signal.SIGKILL)
    assert asyncio.run(run(postgres_in(home).start(), "SELECT 1")) == 1


def test_a_pid_file_whose_number_is_now_a_strangers(home, postgres_in):
    first = postgres_in(home)
    first.start()
    owner = (home / "postgres").stat().st_uid
    pid_file = (home / "postgres" / "postmaster.pid").read_text().splitlines()
    first.stop()
    change = {"user": owner} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], **change) as stranger:
        stale = home / "postgres" / "postmaster.pid"
        stale.write_text("\n".join([str(stranger.pid), *pid_file[1:]]) + "\n")
        try:
            assert asyncio.run(run(postgres_in(home).start(), "SELECT 1")) == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_first_start_that_was_killed_midway_is_begun_anew(home, postgres_in):
    half = home / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert asyncio.run(run(postgres_in(home).start(), "SELECT 1")) == 1
    assert not half.exists()


def test_a_lost_password_is_replaced(home, postgres_in):
    postgres = postgres_in(home)
    before = postgres.start()
    postgres.stop()
    (home / "secrets" / "database_password").unlink()
    after = postgres.start()
    assert after != before
    assert asyncio.run(run(after, "SELECT 1")) == 1


def test_a_home_too_long_for_a_socket_has_it_elsewhere(tmp_path, postgres_in):
    home = tmp_path / ("long" * 30)
    postgres = postgres_in(home)
    postgres.start()
    folder = postgres._socket_folder
    assert mode(folder) == 0o700
    assert asyncio.run(run(postgres.socket_url, "SELECT 1")) == 1
    address = postgres.socket_url
    os.kill(postgres.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(postgres.pid)], timeout=10)
    postgres.start()
    assert postgres.socket_url == address, "a crash moves nothing under its clients"
    postgres.stop()
    assert not folder.exists()


def test_a_port_taken_meanwhile_is_given_up(home, postgres_in):
    postgres = postgres_in(home)
    before = postgres.start()
    postgres.stop()
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", postgres._known_port()))
        taken.listen()
        after = postgres.start()
    assert after != before
    assert asyncio.run(run(after, "SELECT 1")) == 1


@pytest.mark.parametrize(
    ("content", "message"), [("17\n", "written by PostgreSQL 17"), (None, "not a PostgreSQL")]
)
def test_foreign_data_is_refused_and_left_alone(home, postgres_in, content, message):
    data = home / "postgres"
    data.mkdir(parents=True)
    if content:
        (data / "PG_VERSION").write_text(content)
    with pytest.raises(UnusableDataError, match=message):
        postgres_in(home).start()
    assert data.exists()


def test_the_log_privacy_settings_cannot_be_overridden(home):
    with pytest.raises(ValueError, match="log_statement"):
        EmbeddedPostgres(home, settings={"log_statement": "all"})


async def test_no_value_of_a_row_reaches_the_log(home, postgres_in):
    postgres = postgres_in(home)
    url = postgres.start()
    canary = f"canary-{secrets.token_hex(8)}"
    await run(
        url,
        "CREATE TABLE resident (id int PRIMARY KEY, name text UNIQUE CHECK (name <> 'x'))",
        f"INSERT INTO resident VALUES (1, '{canary}'), (2, '{canary}-2') RETURNING 1",
    )
    for statement, error in (
        (f"INSERT INTO resident VALUES (3, '{canary}')", asyncpg.UniqueViolationError),
        (f"SELECT '{canary}'::int", asyncpg.InvalidTextRepresentationError),
        (f"SELECT '{canary}'::timestamptz", asyncpg.PostgresError),
        (f"SELECT {canary.replace('-', '_')}", asyncpg.UndefinedColumnError),
        (f"DO $$ BEGIN RAISE WARNING '{canary}'; END $$", None),
        (f"DO $$ BEGIN RAISE EXCEPTION '{canary}'; END $$", asyncpg.RaiseError),
    ):
        if error is None:
            await run(url, statement)
        else:
            with pytest.raises(error):
                await run(url, statement)
    await provoke_a_deadlock(url, canary)
    await kill_a_backend(url, canary)
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(url.replace("handoff_admin", canary))
    postgres.stop()
    log = (home / "logs" / "postgres.log").read_text()
    assert "was terminated by signal 9" in log, "the log tells what happened"
    # A user name that does not exist is what an operator must see; it is no row's value.
    told = [line for line in log.splitlines() if canary[7:] in line]
    assert all("password authentication failed" in line for line in told), told
    assert "STATEMENT:" not in log
    assert "DETAIL:" not in log
    assert "CONTEXT:" not in log


async def provoke_a_deadlock(url: str, canary: str) -> None:
    first, second = await asyncpg.connect(url), await asyncpg.connect(url)
    update = f"UPDATE resident SET name = name || '{canary}' WHERE id = "
    await first.execute("BEGIN")
    await second.execute("BEGIN")
    await first.execute(update + "1")
    await second.execute(update + "2")
    results = await asyncio.gather(
        first.execute(update + "2"), second.execute(update + "1"), return_exceptions=True
    )
    assert any(isinstance(result, asyncpg.DeadlockDetectedError) for result in results)
    await first.close()
    await second.close()


async def kill_a_backend(url: str, canary: str) -> None:
    """The server tells of it, and would name the statement in a DETAIL line."""
    victim = await asyncpg.connect(url)
    busy = asyncio.create_task(victim.fetch(f"SELECT pg_sleep(600), '{canary}'"))
    await asyncio.sleep(0.2)
    os.kill(victim.get_server_pid(), signal.SIGKILL)
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy
    victim.terminate()
    for _ in range(200):
        try:
            await run(url, "SELECT 1")
            return
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
    raise AssertionError("the server did not come back")


def test_identity_of_the_server(home, open_home, postgres_in):
    closed, opened = postgres_in(home), postgres_in(open_home)
    closed.start()
    opened.start()
    expected = (become.REACH, become.PLAIN) if os.geteuid() == 0 else (become.SELF, become.SELF)
    assert (closed._identity.mode, opened._identity.mode) == expected
    for postgres in (closed, opened):
        uids = set(psutil.Process(postgres.pid).uids())
        assert 0 not in uids
        assert postgres.data.stat().st_uid in uids


@as_root
def test_a_closed_parent_keeps_its_mode(home, postgres_in):
    home.mkdir(mode=0o700)
    postgres_in(home).start()
    assert mode(home) == 0o700
    assert home.stat().st_uid == 0


# What rootless sandboxes leave of root: no other user to become, no folder to pass through.
BARE_ROOT = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for capability in (0, 1, 2, 6, 7):  # CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, SETGID, SETUID
    assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""


@as_root
def test_root_without_another_user_runs_it_in_a_namespace(home):
    for _ in range(2):
        result = subprocess.run(
            [sys.executable, "-c", BARE_ROOT, SUPERVISOR, str(home), "stop"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout.split()[1] == become.NAMESPACE
    assert (home / "postgres").stat().st_uid == 0


@as_root
def test_an_ordinary_user_with_an_empty_path(open_home):
    open_home.mkdir()
    os.chown(open_home, 65534, 65534)
    for _ in range(2):
        with supervise(open_home, "stop", uid=65534, env={"PATH": "/nowhere"}) as other:
            assert other.stdout.readline().split()[1] == become.SELF
        assert other.returncode == 0
    assert (open_home / "postgres").stat().st_uid == 65534


@as_root
def test_an_ordinary_user_in_roots_home_is_told_so(open_home, postgres_in):
    postgres_in(open_home).start()
    postgres_in(open_home).stop()
    with supervise(open_home, uid=65533, stderr=subprocess.PIPE) as other:
        error = other.stderr.read()
    assert other.returncode == 1
    assert "belongs to another user" in error
