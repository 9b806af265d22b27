"""The migrated schema is what the tables declare, and each of them is protected."""

from datetime import UTC, datetime
from uuid import uuid4

from handoff_kit.testing.plans import Planned
from handoff_kit.testing.schema import agency_first, differences, walls
from notify_svc.tables import METADATA
from notify_svc.tables.deliveries import cancel_of_endpoints, cancel_pending
from notify_svc.tables.doors import stop_mail
from notify_svc.tables.known import cases_by, consents_of, needs_of


async def test_migrations_and_tables_agree(database) -> None:
    assert await differences(database, "notify", METADATA) == []


async def test_every_table_keeps_agencies_apart(admin) -> None:
    found = await walls(admin, "notify")
    assert found == {table.name: 2 for table in METADATA.sorted_tables}


async def test_no_index_invites_to_read_a_whole_agency(admin) -> None:
    assert await agency_first(admin, "notify") == []


async def test_the_wall_stands_without_the_querys_own_predicate(db, feeder, a_case) -> None:
    case = a_case()
    await feeder(agency="test-city").feed(case.granted(), case.requested())
    for agency, seen in (("test-city", 1), ("elsewhere", 0)):
        async with db.tenant(agency) as connection:
            assert await connection.fetchval("SELECT count(*) FROM notify.need") == seen


async def test_a_set_reads_by_the_indexes_that_were_made_for_it(db, feeder, a_case) -> None:
    case = a_case()
    await feeder().feed(case.granted(), case.requested())
    key, now = ("test-city", case.case_id), datetime.now(UTC)
    async with db.sets() as connection:
        planned = Planned(connection)
        await needs_of(planned, [key])
        await cases_by(planned, [key])
        await consents_of(planned, [key])
        await cancel_pending(planned, [("test-city", case.consent_id)], "consent-withdrawn", now)
        await cancel_of_endpoints(planned, [("test-city", uuid4())], "endpoint-deleted", now)
        await stop_mail(planned, ["test-city"], ["client-1"], "client-revoked", now)
    read = planned.indexes
    assert read["need"] == {"need_case"}
    assert read["case_in_hand"] == {"case_in_hand_pkey"}
    assert read["consent"] == {"consent_case"}
    # Whichever, it holds what is pending alone.
    assert read["delivery"] <= {"delivery_consent", "delivery_due", "delivery_mail_due"}
    assert read["preference"] == {"preference_pkey"}
