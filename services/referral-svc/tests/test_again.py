"""Needs that wait for a candidate are tried again when the directory changes. Time is given."""

from datetime import UTC, datetime, timedelta

import pytest
from event_schemas import offers
from event_schemas.codes import CapacityStatus, NeedCategory, Reason, TargetKind
from event_schemas.directory import ServiceCapacityChanged
from event_schemas.referrals import NeedMatched, OfferMade
from handoff_kit.cities import city_folder
from handoff_kit.tx import Tx
from referral_svc.handlers.again import PAUSE, try_again
from referral_svc.handlers.world import World
from referral_svc.settings.policy import load_policy

FOOD, LEGAL = NeedCategory.FOOD_INSECURITY, NeedCategory.LEGAL_HELP


@pytest.fixture
async def town(town, db):
    """A town of which nobody is known: every need waits for a candidate."""
    async with db.sets() as connection:
        await connection.execute("DELETE FROM referral.service")
        await connection.execute("DELETE FROM referral.organization")
    return town


@pytest.fixture
def look(db, town):
    """One page of a round, *later* than now; (how many needs were looked at, what was said)."""
    world = World(load_policy(city_folder("demo")))

    async def run(later: timedelta = timedelta(), page: int = 200):
        async with db.sets() as connection:
            tx = Tx(connection, datetime.now(UTC) + later, "referral")
            done = await try_again(world, tx, page=page)
            await tx.save()
        return done, await town.said()

    return run


def a_pantry(tools, slug: str, **given):
    return [tools.organization(slug), tools.service(slug, FOOD, **given)]


def places(tools, slug: str, available: int, version: int = 2, later: timedelta = timedelta()):
    return ServiceCapacityChanged(
        service_id=tools.service_id(slug),
        organization_id=tools.organization_id(slug),
        version=version,
        capacity=CapacityStatus.CAPACITY,
        capacity_available=available,
        capacity_said_at=datetime.now(UTC) + later,
    )


def made(events) -> list[OfferMade]:
    return [event for event in events if isinstance(event, OfferMade)]


async def versions(admin) -> list[int]:
    return [row["version"] for row in await admin.fetch("SELECT version FROM referral.need")]


async def test_a_service_that_is_new_is_asked(town, tools, look) -> None:
    need = tools.need()
    assert made(await town.asks(need)) == []
    assert await look() == (1, [])
    await town.knows(*a_pantry(tools, tools.pantries[0]))
    done, events = await look(PAUSE)
    offer = tools.only(OfferMade, events)
    assert (done, offer.need_id) == (1, need.need_id)
    assert offer.organization_id == tools.organization_id(tools.pantries[0])
    assert tools.only(NeedMatched, events).eligible == 1
    assert await look(2 * PAUSE) == (0, [])


async def test_a_case_management_organization_that_is_new_is_asked(town, tools, look) -> None:
    await town.asks(tools.need(category=LEGAL, urgency="routine"))
    assert await look() == (1, [])
    await town.knows(tools.organization("case-management"))
    _, events = await look(PAUSE)
    assert tools.only(OfferMade, events).target_kind is TargetKind.CASE_MANAGER


async def test_an_agreement_that_is_signed_counts(town, tools, look) -> None:
    slug = tools.pantries[0]
    await town.knows(tools.organization(slug, agreement_active=False), tools.service(slug, FOOD))
    await town.asks(tools.need())
    assert await look() == (1, [])
    await town.knows(tools.organization(slug, version=2))
    _, events = await look(PAUSE)
    assert tools.only(OfferMade, events).organization_id == tools.organization_id(slug)


async def test_capacity_said_anew_is_asked_for(town, tools, look) -> None:
    slug = tools.pantries[0]
    full = {"capacity": "no-capacity", "capacity_said_at": datetime.now(UTC)}
    await town.knows(*a_pantry(tools, slug, **full))
    await town.asks(tools.need())
    assert await look() == (1, [])
    await town.knows(places(tools, slug, 5))
    _, events = await look(PAUSE)
    assert tools.only(OfferMade, events).service_id == tools.service_id(slug)


async def test_no_more_are_sent_than_there_are_places(town, tools, look) -> None:
    slug = tools.pantries[0]
    needs = [tools.need() for _ in range(5)]
    for need in needs:
        await town.asks(need)
    await town.knows(*a_pantry(tools, slug))
    await town.knows(places(tools, slug, 2))
    first = made((await look(PAUSE, page=3))[1])
    rest = made((await look(PAUSE, page=3))[1])
    assert ([o.need_id for o in first], rest) == ([n.need_id for n in needs[:2]], [])
    await town.knows(places(tools, slug, 2, version=3, later=2 * PAUSE))
    again = made((await look(3 * PAUSE))[1])
    assert [o.need_id for o in again] == [n.need_id for n in needs[2:4]]


async def test_below_a_case_manager_the_next_is_asked(town, tools, look, manager, client) -> None:
    await town.knows(tools.organization("case-management"), tools.organization(tools.legal))
    await town.knows(tools.service(tools.legal, LEGAL))
    need = tools.need(category=LEGAL, urgency="routine")
    hub = tools.only(OfferMade, await town.asks(need))
    await town.answers(offers.OfferAccepted, hub)
    body = {"service_id": str(tools.service_id(tools.legal))}
    assert (await manager.post(f"/needs/{need.need_id}/offers", body)).status_code == 201
    below = tools.only(OfferMade, await town.said())
    await town.answers(offers.OfferRejected, below, reason=Reason.NOT_ELIGIBLE)
    await look()
    other = tools.pantries[0]
    await town.knows(tools.organization(other), tools.service(other, LEGAL))
    _, events = await look(PAUSE)
    after = tools.only(OfferMade, events)
    assert (after.parent_offer_id, after.service_id) == (hub.offer_id, tools.service_id(other))


async def test_a_round_goes_page_by_page_oldest_first(town, tools, look) -> None:
    needs = [tools.need() for _ in range(5)]
    for need in needs:
        await town.asks(need)
    await town.knows(*a_pantry(tools, tools.pantries[0]))
    seen = [await look(page=2) for _ in range(3)]
    assert [done for done, _ in seen] == [2, 2, 1]
    asked = [offer.need_id for _, events in seen for offer in made(events)]
    assert asked == [need.need_id for need in needs]
    assert await look(page=2) == (0, [])


async def test_an_import_in_many_sets_makes_few_rounds(town, tools, look) -> None:
    await town.asks(tools.need(category=LEGAL, urgency="routine"))
    assert await look() == (1, [])
    rounds = 0
    for version in range(1, 31):
        await town.knows(tools.service(tools.pantries[0], FOOD, version=version))
        done, _ = await look(timedelta(seconds=version))
        rounds += done
    assert 1 <= rounds <= 3


async def test_what_cannot_help_changes_nothing(town, tools, look, admin) -> None:
    await town.asks(tools.need())
    await look()
    before = await versions(admin)
    cases = await admin.fetch("SELECT xmin::text, version FROM referral.case")
    await town.knows(tools.organization(tools.legal))
    await look(PAUSE)
    await town.knows(
        tools.service(tools.legal, LEGAL), tools.service("full", FOOD, status="defunct")
    )
    assert await look(2 * PAUSE) == (1, [])
    assert await versions(admin) == before
    assert await admin.fetch("SELECT xmin::text, version FROM referral.case") == cases


async def test_what_a_person_holds_or_has_ended_stays(town, tools, look, manager) -> None:
    held, ended = tools.need(), tools.need()
    await town.asks(held)
    await town.asks(ended)
    hold = {"reason": "waiting-on-resident"}
    assert (await manager.post(f"/needs/{held.need_id}/hold", hold)).status_code == 200
    await town.tells(tools.withdrawn(ended), source="/handoff/intake")
    await town.knows(*a_pantry(tools, tools.pantries[0]))
    _, events = await look(PAUSE)
    assert made(events) == []


async def test_nobody_is_asked_whom_the_resident_did_not_name(town, tools, look) -> None:
    named, other = tools.pantries[:2]
    await town.asks(tools.need(recipients=[tools.organization_id(named)]))
    assert await look() == (1, [])
    await town.knows(*a_pantry(tools, other))
    assert await look(PAUSE) == (1, [])
    await town.knows(*a_pantry(tools, named))
    _, events = await look(2 * PAUSE)
    assert tools.only(OfferMade, events).organization_id == tools.organization_id(named)
