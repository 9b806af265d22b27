"""Whether the database is at the newest schema, in one question; and bringing it there."""

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import asyncpg
from handoff_kit.db import connect


def _migrations(service: str) -> Path:
    spec = find_spec(f"{service}_svc")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).resolve().parents[1] / "migrations"


def _newest(migrations: Path) -> str:
    """The newest revision by file name; loads no Alembic."""
    return max(p.name.split("_", 1)[0] for p in (migrations / "versions").glob("[0-9]*.py"))


async def is_current(url: str) -> bool:
    """True when every service's schema is at its newest revision; loads no service."""
    from handoff_kit.settings import SERVICES

    wanted = {service: _newest(_migrations(service)) for service in SERVICES}
    question = " UNION ALL ".join(
        f"SELECT '{service}' AS service, version_num FROM {service}.alembic_version"
        for service in SERVICES
    )
    connection = await connect(url)
    try:
        rows = await connection.fetch(question)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return False
    finally:
        await connection.close()
    return {row["service"]: row["version_num"] for row in rows} == wanted


async def migrate(url: str, app_role: str | None, environment: Mapping[str, str]) -> list[str]:
    """Bring every schema to its newest revision, make topics and the services' own client."""
    from handoff_kit.service import run_migrate
    from handoff_kit.settings import CoreSettings, read

    from handoff_cli.services import all_services

    settings = read(CoreSettings, environment)
    kafka = None
    if settings.bus == "kafka":
        from handoff_kit.bus.kafka import KafkaLog

        kafka = KafkaLog(settings.kafka())
    return await run_migrate(all_services(), url, app_role, bus=settings.bus, log_=kafka)


def migrate_now(url: str, app_role: str | None, environment: Mapping[str, str]) -> list[str]:
    """``migrate`` for callers without an event loop."""
    return asyncio.run(migrate(url, app_role, environment))
