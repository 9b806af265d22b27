"""A service as the kit runs it: ``api``, ``worker``, ``migrate``, alone or several together.

The all-in-one is these same functions over every service at once; nothing here knows a service.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from event_schemas.registry import TOPICS
from fastapi import FastAPI

from handoff_kit import migrate as migrations_
from handoff_kit.auth import FileJwks, HttpJwks, JwksSource, ServiceToken, Verifier
from handoff_kit.bus.kafka import KafkaLog, KafkaPublisher
from handoff_kit.bus.ports import Log
from handoff_kit.bus.postgres import PostgresLog, create_schema, create_topics
from handoff_kit.clock import Clock, SystemClock
from handoff_kit.consumer import Group
from handoff_kit.crypto import BlindIndex, FileKeyWrapper, KeyWrapper
from handoff_kit.db import AWAY, Connection, Database, connect
from handoff_kit.doorway import Apply, Doorway, forget_old_answers
from handoff_kit.errors import Unavailable
from handoff_kit.groups import GroupRunner
from handoff_kit.outbox import Mover, Relay, Sender, pause
from handoff_kit.settings import SERVICES, CoreSettings, SettingsRefused, read
from handoff_kit.telemetry import TelemetrySettings, configure_logging, process_metrics, setup
from handoff_kit.tx import Tx, flush
from handoff_kit.wakes import Wakes

log = logging.getLogger(__name__)
C = TypeVar("C")
Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Periodic:
    """Something a worker does by the clock, in a transaction of its own, one worker at a time.

    ``run`` returns how many things it did; when it did some it is run again at once.
    """

    name: str
    every: float
    run: Callable[[Tx], Awaitable[int]]


@dataclass(frozen=True)
class Loop:
    """Something a worker does until told to stop, such as sending what is due."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]


@dataclass
class Built:
    """What a service is made of in one process."""

    app: FastAPI
    groups: Sequence[Group] = ()
    periodics: Sequence[Periodic] = ()
    loops: Sequence[Loop] = ()
    close: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Service:
    """``build`` wires the service; it is the only place where its parts meet."""

    name: str
    package: str
    build: Callable[["Context"], Awaitable[Built]]
    history: Path | None = None

    @property
    def migrations(self) -> Path:
        """Folder of the service's Alembic history: ``history``, else beside its package."""
        if self.history is not None:
            return self.history
        module = import_module(self.package)
        return Path(str(module.__file__)).resolve().parents[1] / "migrations"


@dataclass
class Context:
    """What the kit gives a service to build with."""

    settings: CoreSettings
    service: str
    db: Database
    clock: Clock
    verifier: Verifier
    wakes: Wakes
    http: httpx.AsyncClient
    service_token: ServiceToken | None
    keys: KeyWrapper | None
    index: BlindIndex | None
    doorways: list[Doorway[Any]] = field(default_factory=list)

    def url(self, service: str) -> str:
        return self.settings.url(service)

    def doorway(self, apply: Apply[C], *, writers: int = 2) -> Doorway[C]:
        """A doorway on this service's database."""
        hash_key = self.index("", "idempotency", self.service) if self.index else os.urandom(32)
        made = Doorway(self.db, apply, self.wakes, hash_key=hash_key, writers=writers)
        self.doorways.append(made)
        return made

    async def ready(self) -> None:
        """Readiness check: the database answers. Raises: Unavailable."""
        if not await self.db.ready():
            raise Unavailable("the database cannot be reached")


class Stage:
    """Services built in one process, with what they share."""

    def __init__(self, settings: CoreSettings) -> None:
        self.settings = settings
        self.wakes = Wakes(settings.database_url)
        self.http = httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=50))
        self.contexts: list[Context] = []
        self.built: list[tuple[Context, Built]] = []

    async def build(self, services: Sequence[Service]) -> None:
        """Build every service. Raises: SettingsRefused and what a service's build raises."""
        settings = self.settings
        jwks: JwksSource = (
            FileJwks(settings.jwks_file)
            if settings.jwks_file
            else HttpJwks(self.http, f"{settings.url('portal')}/oauth/jwks.json")
        )
        verifier = Verifier(settings.origin, jwks)
        token = (
            ServiceToken(
                self.http,
                f"{settings.url('portal')}/oauth/token",
                settings.service_client_id,
                settings.service_client_secret,
            )
            if settings.service_client_id
            else None
        )
        keys = FileKeyWrapper(settings.key_file) if settings.key_file else None
        index = BlindIndex.from_file(settings.key_file) if settings.key_file else None
        for service in services:
            context = Context(
                settings=settings,
                service=service.name,
                db=Database(settings.database_url, service.name),
                clock=SystemClock(),
                verifier=verifier,
                wakes=self.wakes,
                http=self.http,
                service_token=token,
                keys=keys,
                index=index,
            )
            self.contexts.append(context)
            self.built.append((context, await service.build(context)))

    async def check_roles(self) -> None:
        await asyncio.gather(*(context.db.check_roles() for context in self.contexts))

    async def close(self) -> None:
        for context, built in self.built:
            for doorway in context.doorways:
                await doorway.close()
            if built.close is not None:
                await built.close()
        await self.wakes.stop()
        await self.http.aclose()
        for context in self.contexts:
            await context.db.close()


def dispatcher(apps: dict[str, FastAPI], root: str) -> Any:
    """One origin for several services: the first part of the path chooses, *root* has the rest."""

    async def dispatch(scope: dict[str, Any], receive: Receive, send: Any) -> None:
        path: str = scope.get("path", "/")
        app = apps.get(path.split("/", 2)[1] if path.startswith("/") else "")
        await (app or apps[root])(scope, receive, send)

    return dispatch


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def serve(app: Any, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve *app* until *stop*; what is in flight gets five seconds.

    Raises: OSError when the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        server_header=False,
        date_header=False,
        backlog=1024,
    )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        stopping.cancel()


async def run_api(services: Sequence[Service], settings: CoreSettings, stop: asyncio.Event) -> None:
    """Serve the APIs of *services* on one port until *stop*."""
    stage = Stage(settings)
    try:
        await stage.build(services)
        await stage.check_roles()
        await stage.wakes.start(listen=True)
        apps = {context.service: built.app for context, built in stage.built}
        root = "portal" if "portal" in apps else next(iter(apps))
        app = dispatcher(apps, root) if len(apps) > 1 else apps[root]
        await serve(app, settings.host, settings.port, stop)
    finally:
        await stage.close()


def _log_of(settings: CoreSettings, context: Context) -> Callable[[str], Log]:
    """Makes a log for one lane; static members of Kafka need a name of their own each."""
    if settings.bus == "embedded":
        return lambda _lane: PostgresLog(settings.database_url, context.db.sets_role, context.wakes)
    name = settings.kafka_instance_id or f"{socket.gethostname()}-{os.getpid()}"
    return lambda lane: KafkaLog(settings.kafka(), instance=f"{name}-{lane}")


async def run_worker(
    services: Sequence[Service], settings: CoreSettings, stop: asyncio.Event
) -> None:
    """Run relays, consumers, periodics and loops of *services* until *stop*; then drain."""
    stage = Stage(settings)
    closing: list[Callable[[], Awaitable[None]]] = []
    try:
        await stage.build(services)
        await stage.check_roles()
        await stage.wakes.start(listen=True)
        work: list[Awaitable[None]] = []
        drain = asyncio.Event()  # Relays stop last, so that what consumers said still goes out.
        relays: list[Awaitable[None]] = []
        for context, built in stage.built:
            step: Any = Mover(context.service, context.wakes)
            if settings.bus == "kafka":
                publisher = KafkaPublisher(settings.kafka())
                closing.append(publisher.close)
                step = Sender(context.service, publisher)
            relay = Relay(settings.database_url, context.service, step, context.wakes)
            relays.append(relay.run(drain))
            open_log = _log_of(settings, context)
            for group in built.groups:
                for lane in range(group.lanes):
                    lane_log = open_log(f"{group.name}-{lane}")
                    runner = GroupRunner(context.db, group, lane_log, context.wakes, lane=lane)
                    work.append(runner.run(stop))
            periodics = (*built.periodics, *_housekeeping(context.service))
            work += [_run_periodic(context, periodic, stop) for periodic in periodics]
            work += [loop.run(stop) for loop in built.loops]
        if settings.worker_port is not None:
            work.append(_serve_health(stage, settings, stop))
        relaying = [asyncio.ensure_future(r) for r in relays]
        try:
            await _until_first_failure(work, stop)
        finally:
            drain.set()
            await asyncio.gather(*relaying, return_exceptions=True)
    finally:
        for close in closing:
            await close()
        await stage.close()


async def _until_first_failure(work: Sequence[Awaitable[None]], stop: asyncio.Event) -> None:
    """Run all; if one raises, stop the others and raise it."""
    tasks = [asyncio.ensure_future(w) for w in work]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    if pending:
        await asyncio.wait(pending, timeout=20)
    for task in done:
        task.result()


async def _serve_health(stage: Stage, settings: CoreSettings, stop: asyncio.Event) -> None:
    from handoff_kit.http import create_app

    context = stage.contexts[0]
    app = create_app(
        "worker",
        title="worker",
        verifier=context.verifier,
        routers=[],
        readiness={"database": context.ready},
    )
    assert settings.worker_port is not None
    await serve(app, settings.host, settings.worker_port, stop)


def _housekeeping(service: str) -> list[Periodic]:
    shown: set[tuple[str, str]] = set()  # A gauge keeps its last value: bring it back to zero.

    async def answers(tx: Tx) -> int:
        await forget_old_answers(tx.conn, service)
        return 0

    async def measure(tx: Tx) -> int:
        row = await tx.conn.fetchrow(
            f"SELECT count(*) AS pending, coalesce(extract(epoch FROM"
            f" clock_timestamp() - min(created_at)), 0)::float8 AS oldest FROM {service}.outbox"
        )
        parked = await tx.conn.fetch(
            f"SELECT group_name, reason, count(*) AS n FROM {service}.parked"
            " WHERE state NOT IN ('done', 'dropped') GROUP BY 1, 2"
        )
        metrics = process_metrics()
        metrics.set("handoff_outbox_pending", row["pending"], service=service)
        metrics.set("handoff_outbox_oldest_seconds", row["oldest"], service=service)
        now = {(p["group_name"], p["reason"]): p["n"] for p in parked}
        shown.update(now)
        for group, reason in shown:
            metrics.set("handoff_parked", now.get((group, reason), 0), group=group, reason=reason)
        return 0

    return [
        Periodic(f"{service}-answers", 3600, answers),
        Periodic(f"{service}-measure", 10, measure),
    ]


async def _run_periodic(context: Context, periodic: Periodic, stop: asyncio.Event) -> None:
    """Run by the clock. A failure is logged and tried again next time; never ends the worker."""
    while not stop.is_set():
        did = 0
        try:
            async with context.db.sets() as connection:
                if await connection.fetchval(
                    "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1))", periodic.name
                ):
                    now = await connection.fetchval("SELECT clock_timestamp()")
                    tx = Tx(connection, now, context.service)
                    did = await periodic.run(tx)
                    await flush(tx)
                    if tx.emitted:
                        did = max(did, 1)
            if did:
                context.wakes.wake(f"outbox:{context.service}")
        except AWAY as error:
            log.warning("%s pauses: %s", periodic.name, type(error).__name__)
        except Exception:
            log.exception("%s failed", periodic.name)
        if await pause(stop, 0.01 if did else periodic.every):
            return


async def run_migrate(
    services: Sequence[Service],
    admin_url: str,
    app_role: str | None,
    *,
    bus: str,
    log_: Log | None = None,
) -> list[str]:
    """Bring every schema to its newest revision and make the topics; names what was changed."""
    changed = []
    for service in services:
        if not await migrations_.is_current(admin_url, service.name, service.migrations):
            await migrations_.upgrade(admin_url, service.name, service.migrations, app_role)
            changed.append(service.name)
    topics = {
        topic.name: (
            topic.partitions,
            topic.retention.total_seconds() if topic.retention else None,
        )
        for topic in TOPICS.values()
    }
    if bus == "embedded":
        connection = await connect(admin_url)
        try:
            await create_schema(connection, [f"handoff_{s.name}_sets" for s in services])
            await create_topics(connection, topics)
        finally:
            await connection.close()
    elif log_ is not None:
        await log_.create_topics(topics)
    return changed


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT ask for the end; the set in hand is finished first."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _command(services: Sequence[Service], command: str, settings: CoreSettings) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    if command == "migrate":
        kafka = KafkaLog(settings.kafka()) if settings.bus == "kafka" else None
        await run_migrate(
            services,
            settings.database_url,
            os.environ.get("HANDOFF_APP_ROLE") or None,
            bus=settings.bus,
            log_=kafka,
        )
    elif command == "api":
        await run_api(services, settings, stop)
    else:
        await run_worker(services, settings, stop)


def main(services: Sequence[Service], arguments: Sequence[str]) -> int:
    """``python -m <name>_svc api | worker | migrate``: 0 done, 1 failed, 2 wrong use."""
    if len(arguments) != 1 or arguments[0] not in ("api", "worker", "migrate"):
        sys.stderr.write("usage: api | worker | migrate\n")
        return 2
    try:
        settings = read(CoreSettings)
    except SettingsRefused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    configure_logging(settings.log_level)
    telemetry = setup(
        services[0].name if len(services) == 1 else "handoff", TelemetrySettings.from_environment()
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_command(services, arguments[0], settings))
    except (SettingsRefused, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        telemetry.shutdown()
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    return uvloop.new_event_loop


__all__ = [
    "SERVICES",
    "Built",
    "Connection",
    "Context",
    "Group",
    "Loop",
    "Periodic",
    "Service",
    "Stage",
    "dispatcher",
    "main",
    "run_api",
    "run_migrate",
    "run_worker",
    "serve",
    "stop_on_signals",
]
