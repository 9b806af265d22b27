"""The migrated schema is what the tables declare, and each of them is protected."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from intake_svc.tables import METADATA
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

# The kit's own, made by `handoff_kit.migrations.start`.
KIT = {
    "outbox",
    "outbox_head",
    "consumer_offset",
    "gate",
    "inbox",
    "parked",
    "idempotency",
    "audit_head",
    "audit",
    "alembic_version",
}


def _differences(connection: Connection) -> list:
    context = MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "compare_type": True,
            "include_name": lambda name, type_, parents: (
                name == "intake" if type_ == "schema" else not (type_ == "table" and name in KIT)
            ),
        },
    )
    return compare_metadata(context, METADATA)


async def test_migrations_and_tables_agree(database) -> None:
    engine = create_async_engine(
        database.admin_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    )
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()


async def test_every_table_keeps_agencies_apart(admin) -> None:
    rows = await admin.fetch(
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS walled,"
        " (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'intake' AND relkind = 'r'"
    )
    ours = {row["relname"]: row for row in rows if row["relname"] not in KIT}
    assert set(ours) == {table.name for table in METADATA.sorted_tables}
    assert all(row["walled"] and row["policies"] == 2 for row in ours.values())


async def test_the_wall_stands_without_the_querys_own_predicate(db, post, a_referral) -> None:
    assert (await post("/referrals", a_referral())).status_code == 201
    for agency, seen in (("test-city", 1), ("elsewhere", 0)):
        async with db.tenant(agency) as connection:
            assert await connection.fetchval("SELECT count(*) FROM intake.resident") == seen
