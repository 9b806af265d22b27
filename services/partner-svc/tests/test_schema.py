"""The migrated schema is what the tables declare, and each of them is protected."""

from event_schemas.codes import OfferStatus
from handoff_kit.testing.plans import Planned
from handoff_kit.testing.schema import agency_first, differences, walls
from partner_svc.tables import METADATA
from partner_svc.tables.offers import lock_of_needs, lock_with_siblings
from partner_svc.tables.reads import read_offers


async def test_migrations_and_tables_agree(database) -> None:
    assert await differences(database, "partner", METADATA) == []


async def test_every_table_keeps_agencies_apart(admin) -> None:
    found = await walls(admin, "partner")
    assert found == {table.name: 2 for table in METADATA.sorted_tables}


async def test_no_index_invites_to_read_a_whole_agency(admin) -> None:
    assert await agency_first(admin, "partner") == []


async def test_the_wall_stands_without_the_querys_own_predicate(db, feeder, made) -> None:
    await feeder(agency="test-city").feed(made())
    for agency, seen in (("test-city", 1), ("elsewhere", 0)):
        async with db.tenant(agency) as connection:
            assert await connection.fetchval("SELECT count(*) FROM partner.offer") == seen


async def test_a_set_reads_the_offers_of_its_needs_by_their_case(db, feeder, made) -> None:
    offer = made()
    await feeder(agency="test-city").feed(offer)
    async with db.sets() as connection:
        planned = Planned(connection)
        await lock_of_needs(planned, [("test-city", offer.case_id, offer.need_id)])
        await lock_with_siblings(planned, [("test-city", offer.offer_id)])
    assert planned.indexes["offer"] == {"offer_case", "offer_pkey"}


async def test_lists_of_many_offers_are_read_in_the_order_of_an_index(
    db, feeder, made, admin
) -> None:
    """20,000 offers of forty organizations in two agencies."""
    await feeder(agency="test-city").feed(made())
    drawn = {
        "agency_id": "CASE WHEN n % 3 = 0 THEN 'other' ELSE 'test-city' END",
        "id": "gen_random_uuid()",
        "organization_id": "md5(n::text)::uuid",
        "created_at": "created_at + make_interval(secs => n + g)",
    }
    columns = [column.name for column in METADATA.tables["partner.offer"].columns]
    await admin.execute(
        f"INSERT INTO partner.offer ({', '.join(columns)})"
        f" SELECT {', '.join(drawn.get(name, name) for name in columns)}"
        " FROM partner.offer, generate_series(1, 40) n, generate_series(1, 500) g"
    )
    await admin.execute("ANALYZE partner.offer")
    one = await admin.fetchval("SELECT md5('1')::uuid")
    asked = {"restricted": False, "case_id": None, "after": None, "limit": 51}
    for organization, status, index in (
        (None, None, "offer_newest"),
        (one, None, "offer_target"),
        (one, OfferStatus.REQUESTED, "offer_target_open"),
    ):
        async with db.tenant("test-city") as connection:
            planned = Planned(connection)
            rows = await read_offers(
                planned, "test-city", organization_id=organization, status=status, **asked
            )
        assert len(rows) == 51
        assert planned.indexes == {"offer": {index}}
