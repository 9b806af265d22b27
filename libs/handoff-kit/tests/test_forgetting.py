"""The embedded log keeps a topic as long as the contract says, and no service can shorten it."""

from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from handoff_kit.bus.postgres import PostgresLog, PostgresPublisher, forget_old_records
from handoff_kit.consumer.forgetting import forget_old_events
from handoff_kit.errors import Permanent, Waiting
from handoff_kit.service.housekeeping import housekeeping
from handoff_kit.telemetry import process_metrics
from handoff_kit.tx import Tx
from handoff_kit.wakes import Wakes

INBOUND, CASES = "handoff.inbound.inspections", "handoff.cases"


@pytest.fixture
async def publisher(database, db):
    publisher = PostgresPublisher(database.url, db.sets_role, Wakes())
    yield publisher
    await publisher.close()


async def kept(admin) -> Counter:
    return Counter(r["topic"] for r in await admin.fetch("SELECT topic FROM bus.log"))


async def test_records_go_when_their_topic_keeps_them_no_longer(
    db, admin, publisher, closed, outgoing
):
    """Seven days for what departments send, which may hold words; cases are kept for ever."""
    old = [outgoing(closed(uuid4()), 1)._replace(topic=t) for t in (INBOUND, CASES) * 20]
    await publisher.send(old)
    await admin.execute("UPDATE bus.log SET written_at = now() - interval '7 days 1 minute'")
    new = [outgoing(closed(uuid4()), 1)._replace(topic=t) for t in (INBOUND, CASES) * 20]
    await publisher.send(new)
    async with db.sets() as connection:
        assert await forget_old_records(connection) == 20
        assert await forget_old_records(connection) == 0
    assert await kept(admin) == {INBOUND: 20, CASES: 40}
    keys = {
        r["key"] for r in await admin.fetch("SELECT key FROM bus.log WHERE topic = $1", INBOUND)
    }
    assert keys == {r.key for r in new if r.topic == INBOUND}


async def test_no_service_deletes_from_the_log_itself(db, publisher, closed, outgoing):
    await publisher.send([outgoing(closed(uuid4()), 1)])
    async with db.sets() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM bus.log")


async def test_f18_a_group_that_was_slower_goes_on_where_the_log_begins_and_says_so(
    database, db, admin, publisher, closed, outgoing, caplog
):
    key = str(uuid4())
    records = [outgoing(closed(uuid4()), n)._replace(topic=INBOUND, key=key) for n in range(1, 4)]
    await publisher.send(records[:2])
    await admin.execute("UPDATE bus.log SET written_at = now() - interval '8 days'")
    async with db.sets() as connection:
        assert await forget_old_records(connection) == 2
    await publisher.send(records[2:])

    async def lookup(places):
        return dict.fromkeys(places, 0)

    log = PostgresLog(database.url, Wakes())
    reader = await log.reader("slow", [INBOUND], lookup)
    try:
        (found,) = await reader.fetch(10, 1.0)
        assert (found.key, found.headers["ce_sequence"], found.offset) == (key, "3", 2)
        assert set((await reader.lag()).values()) == {0}
    finally:
        await reader.close()
        await log.close()
    assert "before 2 are gone from the log; group slow stands at 0" in caplog.text


@pytest.mark.parametrize(("bus", "there"), [("embedded", True), ("kafka", False)])
def test_a_worker_lets_the_log_forget_where_no_broker_does(bus, there):
    names = {periodic.name: periodic.every for periodic in housekeeping("toy", bus)}
    assert ("log-forget" in names) is there
    assert names["toy-forget"] == 3600


async def test_a_short_wait_is_no_alarm(db, admin, feeder, closed, toy):
    toy.refuse |= {"bad": Permanent("the code is wrong"), "early": Waiting("not yet")}
    feed = feeder()
    await feed.feed(closed(uuid4(), 1, "bad"), closed(uuid4(), 1, "early"))
    (measure,) = (p for p in housekeeping("toy", "kafka") if p.name == "toy-measure")

    async def shown() -> dict[str, float | None]:
        async with db.sets() as connection:
            await measure.run(Tx(connection, datetime.now(UTC), "toy"))
        reasons = [r["reason"] for r in await admin.fetch("SELECT reason FROM toy.parked")]
        group = await admin.fetchval("SELECT DISTINCT group_name FROM toy.parked")
        metrics = process_metrics()
        return {r: metrics.value("handoff_parked", group=group, reason=r) for r in reasons}

    now = await shown()
    assert [count or 0 for _, count in sorted(now.items())] == [1, 0]
    await admin.execute("UPDATE toy.parked SET parked_at = now() - interval '61 seconds'")
    assert list((await shown()).values()) == [1, 1]


async def test_old_ids_and_settled_events_are_forgotten_and_open_ones_stay(
    db, admin, feeder, closed, toy
):
    toy.refuse["bad"] = Permanent("the code is wrong")
    feed, cases = feeder(), [uuid4() for _ in range(3)]
    await feed.feed(*[closed(case, 1, "bad") for case in cases])
    loose = feed.record(closed(uuid4(), 1), source="/dept", event_id="a-1")
    headers = {k: v for k, v in loose.headers.items() if k != "ce_sequence"}
    await feed.feed_records([loose._replace(headers=headers)])
    await admin.execute(
        "UPDATE toy.parked SET parked_at = now() - interval '90 days', state = CASE key"
        " WHEN $1 THEN 'dropped' WHEN $2 THEN 'done' ELSE state END, resolved_at = CASE key"
        " WHEN $1 THEN now() - interval '31 days' WHEN $2 THEN now() - interval '29 days' END",
        str(cases[0]),
        str(cases[1]),
    )
    async with db.sets() as connection:
        await forget_old_events(connection, "toy")
    left = {r["key"]: r["state"] for r in await admin.fetch("SELECT key, state FROM toy.parked")}
    assert left == {str(cases[1]): "done", str(cases[2]): "failed"}
    assert await admin.fetchval("SELECT count(*) FROM toy.inbox") == 1
    await admin.execute("UPDATE toy.inbox SET seen_at = now() - interval '31 days'")
    async with db.sets() as connection:
        await forget_old_events(connection, "toy")
    assert await admin.fetchval("SELECT count(*) FROM toy.inbox") == 0
