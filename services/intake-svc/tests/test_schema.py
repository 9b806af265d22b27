"""The migrated schema is what the tables declare, and each of them is protected."""

from handoff_kit.testing.schema import agency_first, differences, walls
from intake_svc.tables import METADATA


async def test_migrations_and_tables_agree(database) -> None:
    assert await differences(database, "intake", METADATA) == []


async def test_every_table_keeps_agencies_apart(admin) -> None:
    found = await walls(admin, "intake")
    assert found == {table.name: 2 for table in METADATA.sorted_tables}


async def test_no_index_invites_to_read_a_whole_agency(admin) -> None:
    assert await agency_first(admin, "intake") == []


async def test_the_wall_stands_without_the_querys_own_predicate(db, post, a_referral) -> None:
    assert (await post("/referrals", a_referral())).status_code == 201
    for agency, seen in (("test-city", 1), ("elsewhere", 0)):
        async with db.tenant(agency) as connection:
            assert await connection.fetchval("SELECT count(*) FROM intake.resident") == seen
