"""``python -m <name>_svc api | worker | migrate``."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from event_schemas.registry import TOPICS

from handoff_kit.bus.postgres import create_schema, create_topics
from handoff_kit.db import connect
from handoff_kit.service.api import run_api
from handoff_kit.service.model import Service
from handoff_kit.service.worker import run_worker
from handoff_kit.settings import CoreSettings, SettingsRefused, read
from handoff_kit.telemetry import TelemetrySettings, configure_logging, setup

if TYPE_CHECKING:
    from handoff_kit.bus.kafka import KafkaLog


async def run_migrate(
    services: Sequence[Service],
    admin_url: str,
    app_role: str | None,
    *,
    bus: str,
    log_: "KafkaLog | None" = None,
) -> list[str]:
    """Bring every schema to its newest revision and make the topics; names what was changed."""
    from handoff_kit import migrate as migrations_  # Loads Alembic, which nothing else needs.

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
            await create_schema(connection, [f"handoff_{s.name}_sets" for s in services], app_role)
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
        kafka = None
        if settings.bus == "kafka":
            from handoff_kit.bus.kafka import KafkaLog

            kafka = KafkaLog(settings.kafka())
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
