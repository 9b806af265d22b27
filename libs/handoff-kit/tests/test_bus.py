"""One conformance suite for every log: the embedded one and Apache Kafka."""

import asyncio
import time
from uuid import uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from handoff_kit.bus.kafka import KafkaLog
from handoff_kit.bus.ports import Record, Rejected
from handoff_kit.bus.postgres import PostgresLog
from handoff_kit.consumer import Consumer
from handoff_kit.db import connect
from handoff_kit.errors import Transient
from handoff_kit.outbox import Relay
from handoff_kit.tx import Tx


def parked_of(case) -> str:
    """Counts what is parked of *case* alone: a shared broker holds other tests' events too."""
    return f"SELECT count(*) FROM toy.parked WHERE key = '{case}'"


async def test_order_per_key_headers_and_traceparent_are_kept(bus, closed, outgoing):
    cases = [uuid4() for _ in range(5)]
    sent = [outgoing(closed(case, n), n) for n in range(1, 21) for case in cases]
    assert await bus.publisher.send(sent) == [None] * len(sent)

    async def lookup(places):
        return dict.fromkeys(places, 0)

    reader = await bus.new_log().reader(f"g-{uuid4().hex[:8]}", ["handoff.cases"], lookup)
    got: dict[str, list[Record]] = {str(c): [] for c in cases}
    try:
        async with asyncio.timeout(30):
            while sum(map(len, got.values())) < len(sent):
                for record in await reader.fetch(37, 0.5):
                    if record.key in got:
                        got[record.key].append(record)
    finally:
        await reader.close()
    for case in cases:
        numbers = [int(r.headers["ce_sequence"]) for r in got[str(case)]]
        assert numbers == list(range(1, 21))
    record = got[str(cases[0])][0]
    assert record.headers == {**sent[0].headers}
    assert record.value == sent[0].value


async def test_the_log_tells_of_a_restricted_record_only_the_minute(bus, admin, closed, outgoing):
    """Else two records of one moment would join a household's two cases."""
    topics = ("handoff.cases", "handoff.restricted.cases")
    if bus.settings is not None:
        await KafkaLog(bus.settings).create_topics(dict.fromkeys(topics, (12, None)))
    usual, restricted = (outgoing(closed(uuid4()), 1)._replace(topic=topic) for topic in topics)
    while time.time() % 60 > 58:  # The minute must not change in between.
        await asyncio.sleep(0.1)
    minute = time.time() // 60 * 60
    assert await bus.publisher.send([usual, restricted]) == [None, None]
    times = await written(bus, admin, [usual.key, restricted.key])
    assert times[restricted.key] == minute
    assert minute < times[usual.key] < minute + 60


async def test_a_reader_that_lingers_brings_what_comes_meanwhile(bus, closed, outgoing):
    async def lookup(places):
        return dict.fromkeys(places, 0) | {("handoff.cases", p): e for p, e in bus.ends.items()}

    first, second = (outgoing(closed(uuid4()), 1) for _ in range(2))
    reader = await bus.new_log().reader(f"g-{uuid4().hex[:8]}", ["handoff.cases"], lookup)
    try:
        async with asyncio.timeout(30):
            while await reader.fetch(10, 0.1) or not reader.assigned():
                pass

            async def send() -> None:
                await asyncio.sleep(0.05)
                await bus.publisher.send([first])
                await asyncio.sleep(0.2)
                await bus.publisher.send([second])

            sending = asyncio.create_task(send())
            while not (found := await reader.fetch(10, 1.0, 1.0)):
                pass
            await sending
    finally:
        await reader.close()
    assert {r.key for r in found} == {first.key, second.key}


async def written(bus, admin, keys: list[str]) -> dict[str, float]:
    """Key → the time that the log itself keeps of its record, in seconds of the epoch."""
    if bus.settings is None:
        rows = await admin.fetch(
            "SELECT key, extract(epoch FROM written_at)::float8 AS at FROM bus.log"
            " WHERE key = ANY($1::text[])",
            keys,
        )
        return {row["key"]: row["at"] for row in rows}
    consumer = AIOKafkaConsumer(
        "handoff.cases",
        "handoff.restricted.cases",
        auto_offset_reset="earliest",
        **bus.settings.client(),
    )
    await consumer.start()
    found: dict[str, float] = {}
    try:
        async with asyncio.timeout(20):
            while len(found) < len(keys):
                record = await consumer.getone()
                if (key := record.key.decode()) in keys:
                    found[key] = record.timestamp / 1000
    finally:
        await consumer.stop()
    return found


async def test_the_relay_too_tells_only_the_minute(bus, db, admin, closed, emit, start_relay):
    if bus.settings is not None:
        return  # There the relay sends by the publisher.
    usual, restricted = closed(uuid4()), closed(uuid4()).model_copy(update={"restricted": True})
    start_relay()
    await emit(db, [usual, restricted])
    keys = [usual.key_value(), restricted.key_value()]
    async with asyncio.timeout(10):
        while len(times := await written(bus, admin, keys)) < 2:
            await asyncio.sleep(0.02)
    assert times[restricted.key_value()] % 60 == 0
    assert times[usual.key_value()] % 60 != 0


async def test_f19_two_megabytes_are_refused_with_a_clear_error(bus, closed, outgoing):
    small = outgoing(closed(uuid4()), 1)
    large = small._replace(key=str(uuid4()), value=b"x" * 2_000_000)
    refused, taken = await bus.publisher.send([large, small])
    assert isinstance(refused, Rejected)
    assert "larger" in str(refused)
    assert taken is None


async def test_duplicates_on_the_wire_have_no_second_effect(
    bus, admin, closed, outgoing, until, applied, start_member
):
    case = uuid4()
    records = [outgoing(closed(case, n), n) for n in (1, 2, 3)]
    await bus.publisher.send(records)
    await bus.publisher.send(records)
    member = start_member()

    async def settled():
        return member.runner.consumer.duplicates >= 3

    await until(settled)
    await member.end()
    assert await applied(admin, [case]) == {str(case): [1, 2, 3]}


async def test_a_gap_waits_for_the_missing_event(
    bus, admin, closed, outgoing, until, applied, start_member
):
    case = uuid4()
    one, two, three = [outgoing(closed(case, n), n) for n in (1, 2, 3)]
    member = start_member()
    await bus.publisher.send([one, three])

    async def waits():
        return bool(await admin.fetchval(parked_of(case)))

    await until(waits)
    await bus.publisher.send([two])

    async def whole():
        return await applied(admin, [case]) == {str(case): [1, 2, 3]}

    await until(whole)
    await member.end()


async def test_restart_goes_on_at_the_stored_offset(
    bus, admin, closed, toy, outgoing, until, applied, start_member
):
    case = uuid4()
    await bus.publisher.send([outgoing(closed(case, n), n) for n in (1, 2, 3)])
    first = start_member()

    async def three():
        return len((await applied(admin, [case]))[str(case)]) == 3

    await until(three)
    await first.end()
    await bus.publisher.send([outgoing(closed(case, n), n) for n in (4, 5)])
    second = start_member()

    async def five():
        return len((await applied(admin, [case]))[str(case)]) == 5

    await until(five)
    await second.end()
    assert await applied(admin, [case]) == {str(case): [1, 2, 3, 4, 5]}
    assert await admin.fetchval("SELECT count(*) FROM toy.applied WHERE key = $1", str(case)) == 5


async def test_f12_two_members_share_and_lose_nothing(
    bus, admin, closed, outgoing, until, applied, start_member
):
    cases = [uuid4() for _ in range(30)]
    first = start_member()
    expected = {str(c): list(range(1, 11)) for c in cases}
    for n in range(1, 6):
        await bus.publisher.send([outgoing(closed(c, n), n) for c in cases])
    second = start_member()
    for n in range(6, 11):
        await bus.publisher.send([outgoing(closed(c, n), n) for c in cases])
        await asyncio.sleep(0.3)

    async def all_there():
        return await applied(admin, cases) == expected

    await until(all_there, 60)
    # One leaves: the other takes everything.
    await first.end()
    more = {k: [*v, 11] for k, v in expected.items()}
    await bus.publisher.send([outgoing(closed(c, 11), 11) for c in cases])

    async def more_there():
        return await applied(admin, cases) == more

    await until(more_there, 60)
    await second.end()


async def test_f19_a_bad_body_is_parked_and_other_cases_flow(
    bus, admin, closed, outgoing, until, applied, start_member
):
    bad, good = uuid4(), uuid4()
    poison = outgoing(closed(bad, 1), 1)._replace(value=b"\xff not json")
    member = start_member()
    await bus.publisher.send([poison, outgoing(closed(good, 1), 1), outgoing(closed(bad, 2), 2)])

    async def parked():
        return await admin.fetchval(parked_of(bad)) == 2

    await until(parked)
    await member.end()
    assert await applied(admin, [bad, good]) == {str(bad): [], str(good): [1]}


async def test_f09_a_late_commit_with_a_lower_id_is_delivered(
    bus, db, database, admin, closed, until, applied, emit, start_member
):
    early, late = uuid4(), uuid4()
    stop = asyncio.Event()
    relay = asyncio.create_task(Relay(database.url, "toy", bus.step(), bus.wakes).run(stop))
    member = start_member()
    async with db.sets() as connection:
        tx = Tx(connection, await connection.fetchval("SELECT clock_timestamp()"), "toy")
        tx.emit(closed(late), agency="test-city")
        await tx.save()  # Takes a lower id, and does not commit yet.
        await emit(db, [closed(early)])

        async def early_there():
            return (await applied(admin, [early]))[str(early)] == [1]

        await until(early_there)

    async def late_there():
        return (await applied(admin, [late]))[str(late)] == [1]

    await until(late_there)
    await member.end()
    stop.set()
    await relay


async def test_f06_one_of_two_relays_idles(
    bus, db, database, admin, closed, until, applied, emit, start_member
):
    cases = [uuid4() for _ in range(10)]
    stop = asyncio.Event()
    relays = [Relay(database.url, "toy", bus.step(), bus.wakes) for _ in range(2)]
    running = [asyncio.create_task(r.run(stop)) for r in relays]
    member = start_member()
    for n in range(1, 11):
        await emit(db, [closed(c, n) for c in cases])

    async def all_there():
        found = await applied(admin, cases)
        return all(len(v) == 10 for v in found.values())

    await until(all_there)
    assert sorted(r.moved > 0 for r in relays) == [False, True]
    assert [r.active for r in relays].count(True) == 1
    found = await applied(admin, cases)
    assert all(v == list(range(1, 11)) for v in found.values())
    await member.end()
    stop.set()
    await asyncio.gather(*running)


async def test_f07_the_lock_goes_with_its_connection(
    bus, db, database, admin, closed, until, applied, emit, start_member
):
    case = uuid4()
    stop = asyncio.Event()
    relay = Relay(database.url, "toy", bus.step(), bus.wakes)
    running = asyncio.create_task(relay.run(stop))
    member = start_member()
    for n in range(1, 31):
        await emit(db, [closed(case, n)])
        if n % 10 == 0:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'handoff-relay-toy' AND datname = current_database()"
            )

    async def all_there():
        return (await applied(admin, [case]))[str(case)] == list(range(1, 31))

    await until(all_there, 60)
    await member.end()
    stop.set()
    await running


async def test_f08_a_long_writer_elsewhere_does_not_stall(
    bus, db, database, postgres_url, admin, closed, until, applied, emit, start_member
):
    case = uuid4()
    other = await connect(postgres_url)
    stop = asyncio.Event()
    relay = asyncio.create_task(Relay(database.url, "toy", bus.step(), bus.wakes).run(stop))
    member = start_member()
    try:
        async with other.transaction():
            await other.execute("CREATE TABLE slow (x int)")
            await other.execute("INSERT INTO slow VALUES (1)")
            await emit(db, [closed(case)])

            async def there():
                return (await applied(admin, [case]))[str(case)] == [1]

            await until(there)
            raise Transient("roll back")
    except Transient:
        pass
    finally:
        await other.close()
    await member.end()
    stop.set()
    await relay


async def test_f12_a_zombie_is_fenced(db, admin, group, closed, outgoing, applied):
    case = uuid4()
    records = [
        Record("handoff.cases", 0, i, str(case), o.headers, o.value)
        for i, o in enumerate(outgoing(closed(case, n), n) for n in (1, 2))
    ]
    zombie, owner = Consumer(db, group), Consumer(db, group)
    await zombie.lookup([("handoff.cases", 0)])
    await owner.lookup([("handoff.cases", 0)])
    await owner.process(records)
    with pytest.raises(Transient):
        await zombie.process(records[:1])
    assert (await applied(admin, [case]))[str(case)] == [1, 2]


async def test_readers_of_a_process_share_a_connection_that_sees_the_log_alone(database, admin):
    log, groups = PostgresLog(database.url), [f"idle-{n}-{uuid4().hex[:6]}" for n in range(7)]

    async def lookup(places):
        return dict.fromkeys(places, 0)

    async def read(group: str) -> set[str]:
        reader = await log.reader(group, ["handoff.cases"], lookup)
        for _ in range(3):
            await reader.fetch(10, 0.1)
        return {topic for topic, _ in reader.assigned()}

    try:
        assert await asyncio.gather(*map(read, groups)) == [{"handoff.cases"}] * 7
        found = await admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'handoff-read'"
            " AND datname = current_database()"
        )
        assert 1 <= found <= 4
        async with log._pool.acquire() as connection:
            for statement in (
                "SELECT FROM toy.outbox",
                "SELECT FROM toy.parked",
                "INSERT INTO bus.head VALUES ('handoff.cases', 0, 1)",
                "INSERT INTO bus.topic VALUES ('mine', 1, 1)",
                "DELETE FROM bus.log",
                "SELECT bus.forget(1)",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
    finally:
        await log.close()
