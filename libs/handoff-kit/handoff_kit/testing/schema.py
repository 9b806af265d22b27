"""What every service's schema is held to: that its migrations make its tables, that agencies are
kept apart, and that no index invites the planner to read a whole agency.
"""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from handoff_kit.migrations import SETS_ONLY
from handoff_kit.testing import TestDatabase

# The kit's own, made by `handoff_kit.migrations.start`.
KIT_TABLES = frozenset({*SETS_ONLY, "audit", "alembic_version"})


async def differences(database: TestDatabase, service: str, metadata: MetaData) -> list[Any]:
    """What the migrated schema of *service* and the declared tables do not agree on."""

    def compare(connection: Connection) -> list[Any]:
        def named(name: str | None, type_: str, _parents: object) -> bool:
            if type_ == "schema":
                return name == service
            return type_ != "table" or name not in KIT_TABLES

        options = {"include_schemas": True, "compare_type": True, "include_name": named}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    url = database.admin_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def walls(admin: Any, service: str) -> dict[str, int]:
    """How many policies of row-level security each table has; 0 where they are not in force."""
    rows = await admin.fetch(
        "SELECT relname, CASE WHEN relrowsecurity AND relforcerowsecurity THEN"
        " (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) ELSE 0 END AS policies"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = $1 AND relkind = 'r'",
        service,
    )
    return {row["relname"]: row["policies"] for row in rows if row["relname"] not in KIT_TABLES}


async def agency_first(admin: Any, service: str) -> list[str]:
    """Indexes of whole tables that begin with the agency, keys among them; there should be none.

    Nearly every query names the agency, so on tables that are still small the planner may take any
    index that begins with it, and keep that plan when it reads a whole agency. A key of the agency
    alone has one row for it.
    """
    rows = await admin.fetch(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE n.nspname = $1 AND a.attname = 'agency_id' AND i.indpred IS NULL"
        " AND i.indnkeyatts > 1 ORDER BY 1",
        service,
    )
    return [row["relname"] for row in rows]
