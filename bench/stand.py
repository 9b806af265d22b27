"""Where benches run: PostgreSQL with fsync on, Kafka on request, fresh databases, processes.

Everything lives in a folder of this run below ``BENCH_HOME`` (default ``var/bench``), which is
removed at the end.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from handoff_kit import kafka_cluster
from handoff_kit.auth import create_signing_keys
from handoff_kit.crypto import create_key_file
from handoff_kit.embedded_postgres import EmbeddedPostgres
from handoff_kit.kafka_cluster import KafkaCluster
from handoff_kit.migrate import ensure_app_role
from handoff_kit.service import Service, run_migrate
from handoff_kit.urls import with_database, with_user

APP_ROLE, APP_PASSWORD = "handoff_app", "for-benches-only"
T = TypeVar("T")
Say = Callable[[str], None]


class ChildFailed(RuntimeError):
    """A child process did not do its part; the message ends with what it said."""


def run(work: Awaitable[T]) -> T:
    """Run on uvloop, as the services do."""
    import uvloop

    async def main() -> T:
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def until(reached: Callable[[], bool], every: float = 0.005) -> None:
    """Wait for what nobody signals: a counter of the product, looked at by the clock."""
    while not reached():  # noqa: ASYNC110
        await asyncio.sleep(every)


@dataclass
class Stand:
    """Database server, Kafka and children of one run of the benches."""

    folder: Path
    rounds: int
    quick: bool
    say: Say
    _postgres: EmbeddedPostgres | None = None
    _kafka: KafkaCluster | None = None
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._postgres = EmbeddedPostgres(self.folder)
        admin = self._postgres.start()
        asyncio.run(ensure_app_role(admin, APP_ROLE, APP_PASSWORD))
        create_signing_keys(self.folder / "signing_keys.json")
        create_key_file(self.folder / "key_file.json")

    def stop(self) -> None:
        for child in self._children:
            _end(child)
        if self._kafka is not None:
            self._kafka.stop()
        if self._postgres is not None:
            self._postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Databases

    def admin_url(self, database: str) -> str:
        assert self._postgres is not None
        return with_database(self._postgres.socket_url, database)

    def app_url(self, database: str) -> str:
        """As the services reach it: by the socket, with a role that owns nothing."""
        return with_user(self.admin_url(database), APP_ROLE, APP_PASSWORD)

    def migrated(self, name: str, services: Sequence[Service]) -> None:
        """A database in which these services are migrated, with the embedded log."""
        asyncio.run(self._statement(f'CREATE DATABASE "{name}"'))
        asyncio.run(run_migrate(services, self.admin_url(name), APP_ROLE, bus="embedded"))

    def clone(self, template: str, name: str) -> None:
        """A copy of *template*, with everything of it on disk and nothing left to write."""
        with contextlib.suppress(asyncpg.InvalidCatalogNameError):
            self.drop(name)
        asyncio.run(
            self._statement(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        )

    def drop(self, name: str) -> None:
        asyncio.run(self._statement(f'DROP DATABASE "{name}" WITH (FORCE)'))

    async def _statement(self, sql: str) -> None:
        connection = await asyncpg.connect(self.admin_url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    # Kafka

    def kafka(self) -> str | None:
        """Bootstrap servers of one broker, started when first asked for; None without Java."""
        if self._kafka is None:
            reason = kafka_cluster.missing()
            if reason is not None:
                self.say(f"without Kafka: {reason}")
                return None
            self._kafka = KafkaCluster(self.folder / "kafka", say=self.say)
            self._kafka.start()
        return self._kafka.bootstrap_servers

    # Children

    def environment(self, database: str, **more: str) -> dict[str, str]:
        """Environment of a service's process on this stand."""
        given = {k: v for k, v in os.environ.items() if not k.startswith("HANDOFF_")}
        given |= {
            "HANDOFF_HOME": str(self.folder),
            "HANDOFF_CITY": "demo",
            "HANDOFF_DATABASE_URL": self.app_url(database),
            "HANDOFF_KEY_FILE": str(self.folder / "key_file.json"),
            "HANDOFF_JWKS_FILE": str(self.folder / "signing_keys.json"),
            "HANDOFF_SIGNING_KEYS_FILE": str(self.folder / "signing_keys.json"),
            "HANDOFF_LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }
        return given | more

    def spawn(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A Python process that lives until `end` or the end of the run."""
        with (self.folder / "children.log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(environment) if environment is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._children.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        _end(child)
        self._children.remove(child)

    def measure(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Run ``module:function(**arguments)`` in a process of its own; returns what it returns.

        Raises: ChildFailed.
        """
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".json") as answer:
            done = subprocess.run(
                [sys.executable, "-m", "bench.child", function, answer.name],
                input=json.dumps(arguments).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self.environment("postgres"),
                check=False,
                timeout=300,
            )
            if done.returncode != 0:
                said = done.stdout.decode(errors="replace")[-3000:]
                raise ChildFailed(f"{function} ended with {done.returncode}:\n{said}")
            found: dict[str, Any] = json.loads(Path(answer.name).read_bytes())
            return found


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, seconds: float = 60.0) -> None:
    """Raises: TimeoutError when nobody listens in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


@contextlib.contextmanager
def a_stand(*, rounds: int, quick: bool, say: Say) -> Iterator[Stand]:
    home = Path(os.environ.get("BENCH_HOME") or "var/bench").absolute()
    folder = home / f"run-{os.getpid()}"  # Two runs at once disturb each other's figures only.
    stand = Stand(folder, rounds, quick, say)
    stand.start()
    try:
        yield stand
    finally:
        stand.stop()
