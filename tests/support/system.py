"""Handoff as processes: the all-in-one on the embedded log, or five services on Apache Kafka.

Both are used through the same ``System``: addresses, clients by role, the database's owner.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx
from handoff_kit.settings import SERVICES

from support.command import run_handoff

if TYPE_CHECKING:
    from handoff_kit.embedded_postgres import EmbeddedPostgres
    from handoff_kit.kafka_cluster import KafkaCluster

ROOT = Path(__file__).resolve().parents[2]
HANDOFF = Path(sys.executable).with_name("handoff")
START_SECONDS = 120
T = TypeVar("T")


def organization(slug: str) -> UUID:
    """Id of an organization of the demo city."""
    return uuid5(NAMESPACE_URL, f"handoff:demo:organization:{slug}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(what: Callable[[], T | None], seconds: float = 20, *, hint: str = "") -> T:
    """The first true answer of *what*. Raises: AssertionError with the last answer."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        last = found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen in {seconds} s: {hint or what.__name__}; last: {last!r}")


class Api(httpx.Client):
    """A client with a role; finds the service by the path's first part and renews its token."""

    def __init__(self, system: "System", client_id: str, secret: str) -> None:
        super().__init__(timeout=20)
        self._system, self._id, self._secret = system, client_id, secret
        self._token, self._until = "", 0.0

    def request(self, method: str, url: Any, **kwargs: Any) -> httpx.Response:
        path = str(url)
        headers = dict(kwargs.pop("headers", None) or {})
        headers.setdefault("authorization", f"Bearer {self.token()}")
        return super().request(method, self._system.url(path), headers=headers, **kwargs)

    def token(self) -> str:
        if time.monotonic() > self._until:
            answer = httpx.post(
                self._system.url("/oauth/token"),
                data={"grant_type": "client_credentials"},
                auth=(self._id, self._secret),
                timeout=20,
            )
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
            self._until = time.monotonic() + 400
        return self._token

    def ok(self, method: str, path: str, status: int = 200, **kwargs: Any) -> Any:
        """The JSON of an answer that must have *status*."""
        answer = self.request(method, path, **kwargs)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@dataclass
class System:
    """A running Handoff. ``runner``: what Python gets before the name of a service's module.

    ``database`` and ``broker`` are there where no supervisor keeps them, for tests that kill them.
    """

    log: str
    home: Path
    addresses: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    runner: Sequence[str] = ("-m",)
    database: "EmbeddedPostgres | None" = None
    broker: "KafkaCluster | None" = None
    _clients: dict[tuple[str, str | None, int], Api] = field(default_factory=dict)

    def url(self, path: str) -> str:
        """Full address of *path*: its first part names the service; the portal has the rest."""
        first = path.split("/", 2)[1].split("?", maxsplit=1)[0]
        return self.addresses.get(first, self.addresses["portal"]) + path

    @property
    def admin_url(self) -> str:
        return (self.home / "secrets" / "database_url").read_text().strip()

    def handoff(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command on this system's home."""
        environment = {**os.environ, **self.environment, "HANDOFF_HOME": str(self.home)}
        done = run_handoff(arguments, environment, ROOT)
        if check:
            assert done.returncode == 0, f"handoff {arguments}: {done.stdout}\n{done.stderr}"
        return done

    def api(self, role: str, organization_id: UUID | str | None = None, number: int = 1) -> Api:
        """A client of *role*; *number* tells several of one kind apart."""
        key = (role, str(organization_id) if organization_id else None, number)
        if key not in self._clients:
            arguments = ["clients", "create", f"test-{role}-{number}", "--role", role, "--json"]
            if organization_id:
                arguments += ["--organization", str(organization_id)]
            made = json.loads(self.handoff(*arguments).stdout)
            self._clients[key] = Api(self, made["client_id"], made["client_secret"])
        return self._clients[key]

    def logs(self) -> str:
        return "\n".join(
            f"== {p.name}\n" + "\n".join(p.read_text(errors="replace").splitlines()[-40:])
            for p in sorted((self.home / "logs").glob("*.log"))
        )

    def close(self) -> None:
        for api in self._clients.values():
            api.close()
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start_all_in_one(
    home: Path,
    *,
    environment: dict[str, str] | None = None,
    program: Sequence[str] = (str(HANDOFF),),
) -> System:
    """``handoff up --demo`` on *home* and a free port; returns when it says that it is ready."""
    port = free_port()
    given = {"HANDOFF_WEBHOOK_ALLOW_PRIVATE": "true", **(environment or {})}
    home.mkdir(parents=True, exist_ok=True)
    said = home / "up.txt"
    said.unlink(missing_ok=True)
    with said.open("ab") as output:
        process = subprocess.Popen(
            [*program, "up", "--demo", "--port", str(port)],
            env={**os.environ, **given, "HANDOFF_HOME": str(home)},
            cwd=ROOT,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    address = f"http://127.0.0.1:{port}"
    system = System("embedded", home, {"portal": address}, {"up": process}, given)

    def ready() -> bool:
        assert process.poll() is None, said.read_text() + system.logs()
        return "Ctrl-C" in said.read_text()

    eventually(ready, START_SECONDS, hint="handoff up is ready")
    return system


@contextmanager
def all_in_one(home: Path, **more: Any) -> Iterator[System]:
    system = start_all_in_one(home, **more)
    try:
        yield system
    finally:
        system.close()


@contextmanager
def distributed(home: Path, bootstrap: str, *, runner: Sequence[str] = ("-m",)) -> Iterator[System]:
    """Each service's api and worker as a process of its own, on Kafka and one PostgreSQL.

    Configured by the environment variables of the contract alone.
    """
    from handoff_cli.home import APP_ROLE, Home
    from handoff_kit.embedded_postgres import EmbeddedPostgres
    from handoff_kit.migrate import ensure_app_role
    from handoff_kit.urls import with_user

    place = Home(home)
    place.prepare()
    server = EmbeddedPostgres(home)
    admin = server.start()
    password = place.secret("app_password")
    import asyncio

    asyncio.run(ensure_app_role(admin, APP_ROLE, password))
    addresses = {s: f"http://127.0.0.1:{free_port()}" for s in SERVICES}
    front = f"http://127.0.0.1:{free_port()}"
    common = {
        "HANDOFF_HOME": str(home),
        "HANDOFF_BUS": "kafka",
        "HANDOFF_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HANDOFF_DATABASE_URL": with_user(admin, APP_ROLE, password),
        "HANDOFF_PUBLIC_URL": front,
        "HANDOFF_SERVICE_CLIENT_ID": "handoff-services",
        "HANDOFF_SERVICE_CLIENT_SECRET": place.secret("service_client_secret"),
        "HANDOFF_KEY_FILE": str(place.key_file),
        "HANDOFF_SIGNING_KEYS_FILE": str(place.signing_keys),
        "HANDOFF_WEBHOOK_ALLOW_PRIVATE": "true",
        **{f"HANDOFF_{s.upper()}_URL": a for s, a in addresses.items()},
    }
    system = System("kafka", home, addresses, {}, common, runner, database=server)
    try:
        _migrate(common, admin, APP_ROLE)
        for service in ("portal", *[s for s in SERVICES if s != "portal"]):
            for command in ("api", "worker"):
                start_process(system, service, command)
        for service in SERVICES:
            eventually(
                lambda s=service: _ready(addresses[s]), START_SECONDS, hint=f"{service} is ready"
            )
        system.processes["proxy"] = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("proxy.py")),
                front.rsplit(":", 1)[1],
                json.dumps(addresses),
            ]
        )
        eventually(lambda: _ready(front), START_SECONDS, hint="the proxy is ready")
        system.addresses = {"portal": front}
        _bring_demo_city(place, front, admin)
        yield system
    except BaseException:
        sys.stderr.write(system.logs())
        raise
    finally:
        system.close()
        server.stop()


def _migrate(common: dict[str, str], admin_url: str, app_role: str) -> None:
    """Each service's ``migrate``, all at once: they wait for each other in the database."""
    environment = {
        **os.environ,
        **common,
        "HANDOFF_DATABASE_URL": admin_url,
        "HANDOFF_APP_ROLE": app_role,
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"{service}_svc", "migrate"],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for service in SERVICES
    ]
    said = {process: process.communicate(timeout=120)[1] for process in started}
    assert not any(process.returncode for process in started), "\n".join(said.values())


def _bring_demo_city(home: Any, address: str, admin_url: str) -> None:
    """Directory and staff, as ``handoff up --demo`` brings them."""
    from handoff_cli.demo_city.bring import bring

    before = os.environ.get("HANDOFF_HOME")
    os.environ["HANDOFF_HOME"] = str(home.folder)
    try:
        running = SimpleNamespace(
            home=home,
            address=address,
            administrative_url=admin_url,
            aside=lambda _name, work: work(),
        )
        bring(running, lambda _line: None)
    finally:
        os.environ.pop("HANDOFF_HOME")
        if before is not None:
            os.environ["HANDOFF_HOME"] = before


def start_process(system: System, service: str, command: str, **environment: str) -> None:
    """Start (again) one process of a distributed system, with *environment* beside the system's."""
    port = system.environment[f"HANDOFF_{service.upper()}_URL"].rsplit(":", 1)[1]
    with (system.home / "logs" / f"{service}-{command}.log").open("ab") as log:
        system.processes[f"{service}-{command}"] = subprocess.Popen(
            [sys.executable, *system.runner, f"{service}_svc", command],
            env={
                **os.environ,
                **system.environment,
                "HANDOFF_PORT": port,
                # As a container that is started again keeps its host's name and its process's id.
                "HANDOFF_KAFKA_INSTANCE_ID": f"{service}-{command}",
                **environment,
            },
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=3).status_code == 200
    except httpx.HTTPError:
        return False
