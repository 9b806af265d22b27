"""The migrated schema is what the tables declare, and each of them is protected."""

from dataclasses import fields
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from handoff_kit.sets import table_of
from portal_svc.handlers.follow import TABLES
from portal_svc.tables import METADATA
from portal_svc.tables.lists import may_read_restricted
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
                name == "portal" if type_ == "schema" else not (type_ == "table" and name in KIT)
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
        " WHERE nspname = 'portal' AND relkind = 'r'"
    )
    ours = {row["relname"]: row for row in rows if row["relname"] not in KIT}
    assert set(ours) == {table.name for table in METADATA.sorted_tables}
    for table in METADATA.sorted_tables:
        # A third one hides restricted rows from who does not ask for them.
        walls = 3 if "restricted" in table.columns else 2
        assert ours[table.name]["walled"]
        assert ours[table.name]["policies"] == walls, table.name


async def test_another_agency_sees_nothing(db, tell, a_story) -> None:
    await tell(*a_story().begun())
    for agency, seen in (("test-city", 1), ("elsewhere", 0), ("", 0)):
        async with db.tenant(agency) as connection:
            for table in ("need_view", "case_view", "consent_view"):
                assert await connection.fetchval(f"SELECT count(*) FROM portal.{table}") == seen


async def test_restricted_rows_are_hidden_until_they_are_asked_for(db, tell, a_story) -> None:
    story = a_story(restricted=True)
    await tell(*story.begun(), story.offered(uuid4()))
    for table in ("need_view", "case_view", "consent_view", "offer_view"):
        async with db.tenant("test-city") as connection:
            assert await connection.fetchval(f"SELECT count(*) FROM portal.{table}") == 0
            await may_read_restricted(connection)
            assert await connection.fetchval(f"SELECT count(*) FROM portal.{table}") == 1


@pytest.mark.parametrize("view", TABLES, ids=lambda view: view.__name__)
def test_a_row_of_the_domain_is_a_row_of_its_table(view: type) -> None:
    columns = [column.name for column in table_of(TABLES[view]).columns]
    assert [field.name for field in fields(view)] == columns
