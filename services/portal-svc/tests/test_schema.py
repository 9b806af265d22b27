"""The migrated schema is what the tables declare, and each of them is protected."""

from dataclasses import fields
from uuid import uuid4

import pytest
from handoff_kit.sets import table_of
from handoff_kit.testing.schema import agency_first, differences, walls
from portal_svc.handlers.follow import TABLES
from portal_svc.tables import METADATA
from portal_svc.tables.lists import may_read_restricted


async def test_migrations_and_tables_agree(database) -> None:
    assert await differences(database, "portal", METADATA) == []


async def test_every_table_keeps_agencies_apart(admin) -> None:
    found = await walls(admin, "portal")
    assert found == {
        # A third one hides restricted rows from who does not ask for them.
        table.name: 3 if "restricted" in table.columns else 2
        for table in METADATA.sorted_tables
    }


async def test_no_index_invites_to_read_a_whole_agency(admin) -> None:
    assert await agency_first(admin, "portal") == []


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
