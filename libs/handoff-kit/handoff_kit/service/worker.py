"""Relays, consumers, periodics and loops of one or several services."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from handoff_kit.bus.ports import Log
from handoff_kit.bus.postgres import PostgresLog
from handoff_kit.db import AWAY
from handoff_kit.groups import GroupRunner
from handoff_kit.outbox import Mover, Relay, Sender, pause
from handoff_kit.service.api import serve
from handoff_kit.service.housekeeping import housekeeping
from handoff_kit.service.model import Context, Periodic, Service
from handoff_kit.service.stage import Stage
from handoff_kit.settings import CoreSettings
from handoff_kit.tx import Tx
from handoff_kit.wakes import Wakes

log = logging.getLogger(__name__)


def _log_of(settings: CoreSettings, wakes: Wakes) -> Callable[[str], Log]:
    """The log for one group; static members of Kafka need a name of their own each."""
    if settings.bus == "embedded":
        shared = PostgresLog(settings.database_url, wakes)
        return lambda _group: shared
    from handoff_kit.bus.kafka import KafkaLog

    name = settings.kafka_instance_id or f"{socket.gethostname()}-{os.getpid()}"
    return lambda group: KafkaLog(settings.kafka(), instance=f"{name}-{group}-0")


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
        log_of = _log_of(settings, stage.wakes)
        for context, built in stage.built:
            step: Any = Mover(context.service, context.wakes)
            if settings.bus == "kafka":
                from handoff_kit.bus.kafka_publisher import KafkaPublisher

                publisher = KafkaPublisher(settings.kafka())
                closing.append(publisher.close)
                step = Sender(context.service, publisher)
            relay = Relay(settings.database_url, context.service, step, context.wakes)
            relays.append(relay.run(drain))
            for group in built.groups:
                log_ = log_of(group.name)
                closing.append(log_.close)
                runner = GroupRunner(context.db, group, log_, context.wakes)
                work.append(runner.run(stop))
            periodics = (*built.periodics, *housekeeping(context.service, settings.bus))
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
    """Run all; if one raises, or is cancelled by nobody, stop the others and raise that."""
    done: set[asyncio.Future[None]] = set()
    pending: set[asyncio.Future[None]] = {asyncio.ensure_future(w) for w in work}
    while pending and not any(task.cancelled() or task.exception() for task in done):
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    if pending:
        await asyncio.wait(pending, timeout=20)
    for task in done:
        if task.cancelled():
            raise RuntimeError(
                "a part of the worker ended as cancelled, and nobody had asked it to"
            )
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


async def _run_periodic(context: Context, periodic: Periodic, stop: asyncio.Event) -> None:
    """Run by the clock. A failure is logged and tried again next time; never ends the worker."""
    while not stop.is_set():
        did = 0
        try:
            async with context.db.sets(snapshot=periodic.snapshot) as connection:
                if await connection.fetchval(
                    "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1))", periodic.name
                ):
                    now = await connection.fetchval("SELECT clock_timestamp()")
                    tx = Tx(connection, now, context.service)
                    did = await periodic.run(tx)
                    await tx.save()
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
