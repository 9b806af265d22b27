"""``handoff up``: PostgreSQL, a doorway and a worker, kept alive until told to stop."""

import asyncio
import contextlib
import fcntl
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
from handoff_kit.db import connect
from handoff_kit.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from handoff_kit.urls import with_user

from handoff_cli.forks import Forked, fork
from handoff_cli.home import APP_ROLE, Home, HomeUnusable, write_private
from handoff_cli.processes import Preload, life_of

Say = Callable[[str], None]
STOP_SECONDS = 25.0
READY_SECONDS = 60.0
_RESTART_FIRST, _RESTART_LAST = 0.2, 10.0


class UpFailed(RuntimeError):
    """Handoff could not be started; the message says what to mend."""


@dataclass
class Child:
    """One child process and when it may be started again."""

    name: str
    environment: Mapping[str, str]
    log: Path
    process: Forked | None = None
    started: float = 0.0
    wait: float = _RESTART_FIRST
    restarts: int = 0

    def start(self) -> None:
        self.process = fork(self.name, life_of(self.name), self.environment, self.log)
        self.started = time.monotonic()

    def revive(self) -> str | None:
        """Start it again if it ended and its pause is over; says how it had ended."""
        if self.process is None or self.process.poll() is None:
            return None
        if time.monotonic() - self.started > 30:
            self.wait = _RESTART_FIRST
        if time.monotonic() - self.started < self.wait:
            return None
        code = self.process.returncode or 0
        self.wait = min(self.wait * 2, _RESTART_LAST)
        self.restarts += 1
        self.start()
        return f"killed by signal {-code}" if code < 0 else f"ended with {code}"

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.send(signal.SIGTERM)

    def wait_until_gone(self, deadline: float) -> bool:
        """Whether it ended in order; after the deadline it is killed."""
        if self.process is None or self.process.wait(max(0.1, deadline - time.monotonic())):
            return True
        self.process.send(signal.SIGKILL)
        self.process.wait(5)
        return False


@dataclass
class Supervisor:
    """Starts everything in order and keeps it running; ``run`` returns the exit code."""

    home: Home
    port: int
    city: str
    say: Say
    database_url: str = ""
    after_start: Callable[["Supervisor"], None] | None = None
    _postgres: EmbeddedPostgres | None = None
    _children: list[Child] = field(default_factory=list)
    _lock: IO[str] | None = None
    _stopping: bool = False
    _admin: str = ""
    _database_from: float = 0.0  # Not tried again before this moment (monotonic).
    _database_wait: float = _RESTART_FIRST

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def administrative_url(self) -> str:
        return self._admin

    def run(self) -> int:
        """Until SIGINT or SIGTERM. Raises: UpFailed, HomeUnusable, and what PostgreSQL raises."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        self.home.prepare()
        self._take_home()
        try:
            self._end_leftovers()
            self._check_port()
            self._start()
            while not self._stopping:
                self._watch()
                time.sleep(0.2)
        finally:
            self.say("stopping …")
            self._end()
        return 0

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    # Start

    def _take_home(self) -> None:
        self._lock = (self.home.folder / "handoff.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = self.home.who_runs() or {}
            raise UpFailed(
                f"Handoff already runs in {self.home.folder}"
                + (f" at {running['address']}" if "address" in running else "")
                + "; stop it there, or set HANDOFF_HOME and PORT for a second one"
            ) from None

    def _end_leftovers(self) -> None:
        """Children of a supervisor that was killed drain by themselves; wait for them."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            noted = json.loads(self.home.running.read_text())
            since = noted.get("started", {})
            left = [
                process
                for name, pid in noted.get("children", {}).items()
                if (process := _same(int(pid), float(since.get(name, 0)))) is not None
            ]
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
            _, alive = psutil.wait_procs(left, timeout=STOP_SECONDS)
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(alive, timeout=5)

    def _check_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                raise UpFailed(
                    f"port {self.port} is taken by another program; choose one: make up PORT=8090"
                ) from None

    def _start(self) -> None:
        loading = Preload()
        try:
            app_url = self._start_database()
        finally:
            loading.wait()
        environment = self._environment(app_url)
        self._migrate(app_url, environment)
        for name in ("doorway", "worker"):
            one = Child(name, environment, self.home.logs / f"{name}.log")
            one.start()
            self._children.append(one)
        self._note_running(environment)
        self._wait_ready(int(environment["HANDOFF_WORKER_PORT"]))
        if self.after_start is not None and not self._stopping:
            self.after_start(self)

    def aside(self, name: str, work: Callable[[], None]) -> None:
        """Run *work* in a fork, so that what it loads and keeps does not stay here.

        Raises: UpFailed with the end of its log.
        """

        def run() -> int:
            work()
            return 0

        log = self.home.logs / f"{name}.log"
        process = fork(name, run, dict(os.environ) | {"HANDOFF_HOME": str(self.home.folder)}, log)
        while not process.wait(0.5):
            if self._stopping:
                process.send(signal.SIGTERM)
        if process.returncode and not self._stopping:
            raise UpFailed(f"{name} failed; {log} ends with:\n{_tail(log)}")

    def _start_database(self) -> str:
        """Start or reach the database; returns the services' address of it."""
        password = self.home.secret("app_password")
        if self.database_url:
            self._admin = self.database_url
            write_private(self.home.secrets / "database_url", self._admin + "\n")
        else:
            self._postgres = EmbeddedPostgres(self.home.folder)
            self._admin = self._postgres.start()
        return with_user(self._local(), APP_ROLE, password)

    def _local(self) -> str:
        """The database's address for our own processes: by the socket where it is ours."""
        return self._postgres.socket_url if self._postgres is not None else self._admin

    def _migrate(self, app_url: str, environment: Mapping[str, str]) -> None:
        from handoff_cli.schema import is_current, migrate

        if asyncio.run(is_current(self._admin)) and asyncio.run(_can_log_in(app_url)):
            return
        self.say("preparing the database …")
        password = self.home.secret("app_password")

        def prepare() -> None:
            from handoff_kit.migrate import ensure_app_role

            asyncio.run(ensure_app_role(self._admin, APP_ROLE, password))
            asyncio.run(migrate(self._admin, APP_ROLE, environment))

        self.aside("migrate", prepare)

    def _environment(self, app_url: str) -> dict[str, str]:
        port = _free_port()
        given = dict(os.environ)
        given.update(
            HANDOFF_HOME=str(self.home.folder),
            HANDOFF_PORT=str(self.port),
            HANDOFF_WORKER_PORT=str(port),
            HANDOFF_CITY=self.city,
            HANDOFF_DATABASE_URL=app_url,
            HANDOFF_KEY_FILE=str(self.home.key_file),
            HANDOFF_JWKS_FILE=str(self.home.signing_keys),
            HANDOFF_SIGNING_KEYS_FILE=str(self.home.signing_keys),
            HANDOFF_SERVICE_CLIENT_ID="handoff-services",
            HANDOFF_SERVICE_CLIENT_SECRET=self.home.secret("service_client_secret"),
        )
        given.setdefault("HANDOFF_PUBLIC_URL", self.address)
        # Calls between services stay on this machine, whatever the public address is.
        for service in ("INTAKE", "REFERRAL", "PARTNER", "NOTIFY", "PORTAL"):
            given.setdefault(f"HANDOFF_{service}_URL", self.address)
        return given

    def _note_running(self, environment: Mapping[str, str]) -> None:
        write_private(
            self.home.running,
            json.dumps(
                {
                    "supervisor": os.getpid(),
                    "address": self.address,
                    "city": self.city,
                    "worker_port": int(environment["HANDOFF_WORKER_PORT"]),
                    "children": {c.name: c.process.pid for c in self._children if c.process},
                    "started": {
                        c.name: _created(c.process.pid) for c in self._children if c.process
                    },
                }
            ),
        )

    def _wait_ready(self, worker_port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        waiting = {"doorway": self.port, "worker": worker_port}
        while waiting and not self._stopping:
            for name, port in list(waiting.items()):
                if _is_ready(port):
                    del waiting[name]
            for child in self._children:
                if child.name in waiting and child.process and child.process.poll() is not None:
                    raise UpFailed(
                        f"the {child.name} did not start; its log ends with:\n{_tail(child.log)}"
                    )
            if time.monotonic() > deadline:
                raise UpFailed(f"not ready after {READY_SECONDS:.0f} s; see {self.home.logs}")
            time.sleep(0.02)

    # Run and end

    def _watch(self) -> None:
        self._watch_database()
        for child in self._children:
            ended = child.revive()
            if ended is not None:
                self.say(f"the {child.name} was {ended}; it runs again")
                self._note_running(child.environment)

    def _watch_database(self) -> None:
        """Start it again if it ended. Killed in its recovery too, it is tried ever less often."""
        if self._postgres is None or self._postgres.is_running():
            return
        if time.monotonic() < self._database_from:
            return
        self.say("the database ended; starting it again …")
        try:
            self._postgres.start()
            self._database_wait = _RESTART_FIRST
        except EmbeddedPostgresError as error:
            self.say(f"the database did not start, and is tried again: {_first_line(error)}")
            self._database_from = time.monotonic() + self._database_wait
            self._database_wait = min(self._database_wait * 2, _RESTART_LAST)

    def _end(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            if not child.wait_until_gone(deadline):
                self.say(f"the {child.name} did not end in time and was killed")
        if self._postgres is not None:
            self._postgres.stop()
        self.home.running.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()


def _same(pid: int, created: float) -> psutil.Process | None:
    """The process, if it is the one that was noted and not a stranger with its old pid."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - created) < 0.1 else None
    except psutil.Error:
        return None


def _created(pid: int) -> float:
    """When a process began, as the kernel has it; 0 when it is gone already."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def _can_log_in(url: str) -> bool:
    import asyncpg

    try:
        connection = await connect(url)
    except (asyncpg.PostgresError, OSError):
        return False
    await connection.close()
    return True


def _tail(path: Path, lines: int = 12) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]


@contextlib.contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Ctrl-C before the supervisor listens ends without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["Child", "HomeUnusable", "Supervisor", "UpFailed", "quiet_interrupt"]
