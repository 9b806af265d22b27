"""The migrated schema is what the tables declare, each of them is protected, and what a set reads
it reads by the index that was made for it.
"""

from datetime import UTC, datetime, timedelta

from handoff_kit.testing.plans import Planned
from handoff_kit.testing.schema import agency_first, differences, walls
from referral_svc import tables
from referral_svc.tables import METADATA

AGENCY = "test-city"
NOW = datetime(2026, 3, 3, 15, tzinfo=UTC)


async def test_migrations_and_tables_agree(database) -> None:
    assert await differences(database, "referral", METADATA) == []


async def test_every_table_keeps_agencies_apart(admin) -> None:
    found = await walls(admin, "referral")
    assert found == {table.name: 2 for table in METADATA.sorted_tables}


async def test_no_index_invites_to_read_a_whole_agency(admin) -> None:
    assert await agency_first(admin, "referral") == []


async def test_a_set_reads_its_cases_by_their_keys(db, town, tools) -> None:
    need = tools.need()
    await town.asks(need)
    key = (AGENCY, need.case_id)
    async with db.sets() as connection:
        planned = Planned(connection)
        assert key in await tables.lock_bundles(planned, [key])
        await tables.consents_of_cases(planned, [key])
        await tables.consents_over(planned, [(AGENCY, need.consent_id)])
    read = planned.indexes
    assert read["case"] == {"case_pkey"}
    assert read["need"] == {"need_case"}
    assert read["offer"] == {"offer_pkey"}
    assert read["consent"] <= {"consent_case", "consent_over", "consent_pkey"}


async def test_what_is_due_or_waits_is_found_without_the_rest(db, town, tools) -> None:
    await town.asks(tools.need())
    async with db.sets() as connection:
        planned = Planned(connection)
        await tables.due_cases(planned, NOW, 500)
        round_ = await tables.next_round(planned, datetime.now(UTC), timedelta())
        assert round_ is not None
        await tables.waiting_needs(planned, round_, 200)
        service = (tools.service_id(tools.legal), tools.organization_id(tools.legal), NOW)
        await tables.asked_since_said(planned, AGENCY, [service])
    read = planned.indexes
    assert read["offer"] == {"offer_clock", "offer_organization"}
    assert read["need"] == {"need_waiting"}


async def test_what_changed_in_a_large_directory_is_found_by_its_stamp(db, town, admin) -> None:
    for table in ("service", "organization"):
        await admin.execute(
            f"INSERT INTO referral.{table} SELECT (jsonb_populate_record(t,"
            " jsonb_build_object('id', gen_random_uuid()))).*"
            f" FROM referral.{table} t, generate_series(1, 1000)"
        )
        await admin.execute(f"ANALYZE referral.{table}")
    async with db.sets() as connection:
        planned = Planned(connection)
        await tables.touched_since(planned, AGENCY, 1)
    assert "service_stamp" in planned.indexes["service"]
    assert planned.indexes["organization"] == {"organization_stamp"}
