"""Schema changes, by Alembic: one history a service, run by ``migrate`` and by ``handoff up``."""

from pathlib import Path

import asyncpg
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from handoff_kit.db import connect

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "300s"
_LOCK = 0x68616E646F6666  # One migration at a time in a database.


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.set_main_option("path_separator", "os")
    return config


def heads(migrations: Path) -> str:
    """The newest revision in *migrations*."""
    head = ScriptDirectory.from_config(_config(migrations)).get_current_head()
    if head is None:
        raise RuntimeError(f"{migrations} holds no migration")
    return head


def newest(migrations: Path) -> str:
    """The newest revision by file name, without loading Alembic: for a quick start."""
    return max(p.name.split("_", 1)[0] for p in (migrations / "versions").glob("[0-9]*.py"))


async def is_current(dsn: str, schema: str, migrations: Path) -> bool:
    """Whether the schema is at the newest revision."""
    connection = await connect(dsn)
    try:
        version = await connection.fetchval(f"SELECT version_num FROM {schema}.alembic_version")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return False
    finally:
        await connection.close()
    return bool(version == newest(migrations))


def run_env(schema: str, metadata: MetaData) -> None:
    """Body of every ``migrations/env.py``: runs inside the connection that ``upgrade`` made."""
    connection: SyncConnection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def upgrade(dsn: str, schema: str, migrations: Path, app_role: str | None = None) -> None:
    """Bring *schema* to the newest revision. *app_role* is made a member of the service's roles.

    Obeys lock and statement timeouts, so that a migration never holds up a running service for
    longer than five seconds.
    """
    engine = create_async_engine(
        dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
        poolclass=NullPool,
        connect_args={"server_settings": {"application_name": f"handoff-migrate-{schema}"}},
    )

    def run(connection: SyncConnection) -> None:
        config = _config(migrations)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _LOCK})
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            await connection.run_sync(run)
            if app_role:
                for role in (f"handoff_{schema}", f"handoff_{schema}_sets"):
                    await connection.execute(text(f'GRANT {role} TO "{app_role}"'))
    finally:
        await engine.dispose()


async def ensure_app_role(dsn: str, role: str, password: str) -> None:
    """Create the login role of the services, without any power of its own, or set its password."""
    connection = await connect(dsn)
    try:
        exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
        verb = "ALTER" if exists else "CREATE"
        await connection.execute(
            f'{verb} ROLE "{role}" LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE'
            f" PASSWORD {quoted}"
        )
    finally:
        await connection.close()
