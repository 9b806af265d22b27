"""Crashes between the outbox, the log and a consumer's database, on both logs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from uuid import uuid4

import pytest
from handoff_kit.db import AWAY, connect
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.errors import Permanent, Unavailable
from handoff_kit.faults import InjectedFault, activate
from handoff_kit.testing import said
from handoff_kit.wakes import Wakes

on_kafka = pytest.mark.parametrize(
    "bus", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)
on_embedded = pytest.mark.parametrize("bus", ["embedded"], indirect=True)

# A relay as a process of its own: dsn, bootstrap servers.
_RELAY = """
import asyncio, sys
from handoff_kit.bus.kafka_publisher import KafkaPublisher
from handoff_kit.bus.kafka_settings import KafkaSettings
from handoff_kit.outbox import Relay, Sender
from handoff_kit.wakes import Wakes

async def main():
    publisher = KafkaPublisher(KafkaSettings(sys.argv[2]))
    await Relay(sys.argv[1], "toy", Sender("toy", publisher), Wakes()).run(asyncio.Event())

asyncio.run(main())
"""


@pytest.fixture
async def doorway(db, closed):
    """Each command is a case's id: one row and one event."""

    async def apply(tx, cases):
        await tx.conn.execute(
            "INSERT INTO toy.applied (agency_id, key, event_id)"
            " SELECT 'test-city', k, k FROM unnest($1::text[]) k",
            [str(c) for c in cases],
        )
        for case in cases:
            tx.emit(closed(case), agency="test-city")
        return [Answer(201, {"case": str(c), "try": str(uuid4())}) for c in cases]

    made = Doorway(db, apply, Wakes(), hash_key=b"k" * 32)
    yield made
    await made.close()


def under(key: str) -> Idempotency:
    return Idempotency("test-city", "client", "POST /x", key, b"{}")


async def test_f01_broken_before_the_commit_leaves_nothing_and_the_retry_creates_one(
    doorway, admin, db
):
    case = uuid4()
    with activate("doorway.before_commit=raise@1"):
        with pytest.raises(InjectedFault):
            await doorway.submit(case, idempotency=under("k"))
        assert await admin.fetchval("SELECT count(*) FROM toy.applied") == 0
        assert await said(db) == []
        assert (await doorway.submit(case, idempotency=under("k"))).status == 201
    assert await admin.fetchval("SELECT count(*) FROM toy.applied") == 1
    assert len(await said(db)) == 1


@pytest.mark.parametrize("point", ["doorway.after_commit", "doorway.before_answer"])
async def test_f02_broken_after_the_commit_the_retry_gets_the_stored_answer(
    db, admin, closed, point, caplog
):
    """A process that ends there answers nobody; here the answer is withheld by an endless pause."""
    case = uuid4()
    given = []

    async def apply(tx, cases):
        await tx.conn.execute(
            "INSERT INTO toy.applied (agency_id, key, event_id) VALUES ('test-city', $1, $1)",
            str(cases[0]),
        )
        tx.emit(closed(cases[0]), agency="test-city")
        given.append(Answer(201, {"try": len(given)}))
        return [given[-1]]

    first = Doorway(db, apply, Wakes(), hash_key=b"k" * 32)
    with activate(f"{point}=sleep:3600@1"):
        lost = asyncio.create_task(first.submit(case, idempotency=under("k")))
        async with asyncio.timeout(10):
            while not await admin.fetchval("SELECT count(*) FROM toy.idempotency"):
                await asyncio.sleep(0.02)
        assert not lost.done()
        again = Doorway(db, apply, Wakes(), hash_key=b"k" * 32)
        answer = await again.submit(case, idempotency=under("k"))
        lost.cancel()
        for task in list(first._running):
            task.cancel()
        await first.close()
        await again.close()
    assert answer.content() == given[0].content()
    assert len(given) == 1
    assert await admin.fetchval("SELECT count(*) FROM toy.applied") == 1
    assert len(await said(db)) == 1


@on_kafka
async def test_f05_relay_killed_after_send_doubles_the_wire_and_not_the_effect(
    bus, db, database, admin, closed, emit, start_member, start_relay, whole, until
):
    cases = [uuid4() for _ in range(5)]
    for n in (1, 2, 3):
        await emit(db, [closed(c, n) for c in cases])
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _RELAY, database.url, bus.settings.bootstrap_servers],
        env={**os.environ, "HANDOFF_FAULTS": "outbox.after_send=kill@1"},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert await admin.fetchval("SELECT count(*) FROM toy.outbox") == 15
    member = start_member()
    await whole(cases, 3)  # What was sent is there already, though nobody knows it.
    start_relay()
    await emit(db, [closed(c, 4) for c in cases])
    await whole(cases, 4)

    async def deleted():
        return not await admin.fetchval("SELECT count(*) FROM toy.outbox")

    await until(deleted)
    assert member.runner.consumer.duplicates == 15


@on_embedded
async def test_f05_the_embedded_move_is_whole_or_not_at_all(
    bus, db, database, admin, closed, emit, start_member, start_relay, whole, until
):
    cases = [uuid4() for _ in range(5)]
    for n in (1, 2, 3):
        await emit(db, [closed(c, n) for c in cases])
    dying = await connect(database.url, db.sets_role)
    await dying.execute("BEGIN")
    assert await bus.step()(dying) == 15
    pid = dying.get_server_pid()
    await admin.execute("SELECT pg_terminate_backend($1)", pid)

    async def gone():
        found = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
        return not await admin.fetchval(found, pid)

    await until(gone)
    dying.terminate()
    assert await admin.fetchval("SELECT count(*) FROM bus.log") == 0
    assert await admin.fetchval("SELECT count(*) FROM toy.outbox") == 15
    start_relay()
    member = start_member()
    await whole(cases, 3)
    assert await admin.fetchval("SELECT count(*) FROM bus.log") == 15
    holes = await admin.fetchval(
        "SELECT count(*) FROM (SELECT log_offset, row_number() OVER (PARTITION BY topic, partition"
        " ORDER BY log_offset) - 1 AS n FROM bus.log) l WHERE log_offset <> n"
    )
    assert holes == 0
    assert member.runner.consumer.duplicates == 0


async def test_f07_the_lock_lost_in_mid_batch_leaves_the_order(
    bus, db, admin, closed, emit, start_member, start_relay, whole
):
    """The connection ends while a batch is under way; the next relay starts at once."""
    cases = [uuid4() for _ in range(5)]
    inner, cuts = bus.step(), []

    async def cut(connection):
        if len(cuts) < 3 and await admin.fetchval("SELECT count(*) FROM toy.outbox"):
            cuts.append(connection.get_server_pid())
            moving = asyncio.create_task(inner(connection))
            await asyncio.sleep(0)
            await admin.execute("SELECT pg_terminate_backend($1)", cuts[-1])
            return await moving
        return await inner(connection)

    start_relay(cut)
    start_relay(cut)
    start_member()
    for n in range(1, 31):
        await emit(db, [closed(c, n) for c in cases])
        await asyncio.sleep(0.05)
    await whole(cases, 30, 60)
    assert len(cuts) == 3


@on_embedded
async def test_pauses_of_a_relay_grow_only_while_nothing_is_moved(bus, start_relay, until):
    """Else a service that lost its database for a moment, often, would be mute for 30 seconds."""
    steps: list[float] = []

    async def every_other(connection):
        steps.append(time.monotonic())
        if len(steps) % 2:
            raise Unavailable("the database is away")
        return 1

    async def taken() -> bool:
        return len(steps) >= 14

    start_relay(every_other)
    await until(taken, 60)
    between = [b - a for a, b in pairwise(steps[:14])]
    assert max(between[0::2]) < 2  # From each failure to the next attempt: 0.2 s, and no 12.8.


async def test_a_cancellation_that_the_log_lets_out_ends_no_relay(
    bus, db, closed, emit, start_member, start_relay, whole
):
    case, inner, times = uuid4(), bus.step(), []

    async def cancelled_first(connection):
        times.append(time.monotonic())
        if len(times) == 1:
            raise asyncio.CancelledError
        return await inner(connection)

    start_relay(cancelled_first)
    start_member()
    await emit(db, [closed(case, 1)])
    await whole([case], 1)


@on_embedded
async def test_pauses_of_a_relay_that_moves_nothing_double(bus, start_relay, until):
    steps: list[float] = []

    async def never(connection):
        steps.append(time.monotonic())
        raise Unavailable("the database is away")

    async def taken() -> bool:
        return len(steps) >= 4

    start_relay(never)
    await until(taken)
    first, second, third = (b - a for a, b in pairwise(steps[:4]))
    assert (first >= 0.2, second >= 0.4, third >= 0.8) == (True, True, True)


async def test_f10_killed_before_the_commit_runs_once_more(
    bus, admin, closed, outgoing, start_member, toy, whole
):
    case = uuid4()
    with activate("consumer.before_commit=raise@1"):
        member = start_member()
        await bus.publisher.send([outgoing(closed(case, n), n) for n in (1, 2, 3)])
        await whole([case], 3)
    assert member.runner.readers_made == 2
    assert sum(toy.sets) > 3  # The effect was tried again, and stands once.


async def test_f11_killed_after_the_commit_goes_on_at_the_databases_offset(
    bus, admin, closed, outgoing, start_member, toy, whole
):
    """Kafka is not told of the first set; its own committed offset would bring it back."""
    case = uuid4()
    with activate("consumer.after_commit=raise@1"):
        member = start_member()
        await bus.publisher.send([outgoing(closed(case, n), n) for n in (1, 2, 3)])
        await whole([case], 3)
        await bus.publisher.send([outgoing(closed(case, n), n) for n in (4, 5)])
        await whole([case], 5)
    assert member.runner.readers_made == 2
    assert member.runner.consumer.duplicates == 0
    assert sum(toy.sets) == 5


async def test_f20_a_bad_event_in_mid_case_is_retried_in_order_by_whoever_owns_it(
    bus, admin, closed, outgoing, toy, start_member, until, whole
):
    """The member that parked it is gone; the one that takes it up never read it from the log."""
    toy.refuse["bad"] = Permanent("broken invariant")
    case, other = uuid4(), uuid4()

    def of(key, n, reason="needs-settled"):
        return outgoing(closed(key, n, reason), n)

    def parked(*expected):
        async def there() -> bool:
            rows = await admin.fetch(
                "SELECT sequence, state FROM toy.parked WHERE key = $1 AND state <> 'done'"
                " ORDER BY sequence",
                str(case),
            )
            return [tuple(row) for row in rows] == list(expected)

        return there

    async def retry() -> None:  # As `handoff parked retry` does.
        await admin.execute(
            "UPDATE toy.parked SET state = 'retry', next_try_at = NULL"
            " WHERE key = $1 AND state = 'failed'",
            str(case),
        )

    first = start_member()
    await bus.publisher.send([of(case, 1), of(case, 2, "bad"), of(other, 1), of(case, 3)])
    await until(parked((2, "failed"), (3, "behind")))
    await first.end()
    start_member()
    await bus.publisher.send([of(case, 4), of(other, 2)])
    await until(parked((2, "failed"), (3, "behind"), (4, "behind")))
    await whole([other], 2)
    await whole([case], 1)
    await retry()
    await until(parked((2, "failed"), (3, "behind"), (4, "behind")))  # It is as bad as before.
    toy.refuse.clear()
    await retry()
    await whole([case], 4)
    await bus.publisher.send([of(case, 5)])
    await whole([case], 5)
    await until(parked())


async def test_f21_a_replay_from_the_first_day_has_no_new_effect(
    bus, admin, group, closed, outgoing, start_member, until, whole
):
    """An operator moves the offsets back under the running group; also without sequences."""
    cases = [uuid4() for _ in range(5)]
    loose = [outgoing(closed(uuid4(), 1), 1) for _ in range(3)]
    loose = [
        replace_headers(o, {k: v for k, v in o.headers.items() if k != "ce_sequence"})
        for o in loose
    ]
    member = start_member()
    await bus.publisher.send([outgoing(closed(c, n), n) for n in (1, 2, 3) for c in cases])
    await bus.publisher.send(loose)
    await whole(cases, 3)

    async def loose_there():
        keys = [o.key for o in loose]
        return await admin.fetchval(
            "SELECT count(*) FROM toy.applied WHERE key = ANY($1::text[])", keys
        ) == len(loose)

    await until(loose_there)
    before = await admin.fetchval("SELECT count(*) FROM toy.applied")
    await admin.executemany(
        "UPDATE toy.consumer_offset SET next_offset = $3 WHERE group_name = $1 AND partition = $2",
        [(group.name, p, bus.ends.get(p, 0)) for p in range(12)],
    )

    async def replayed():
        return member.runner.consumer.duplicates == 18

    await until(replayed)
    await bus.publisher.send([outgoing(closed(c, 4), 4) for c in cases])
    await whole(cases, 4)
    assert await admin.fetchval("SELECT count(*) FROM toy.applied") == before + len(cases)


async def test_f22_every_session_ended_in_mid_flow_loses_and_doubles_nothing(
    bus, db, admin, closed, emit, start_member, start_relay, whole
):
    """Pools, relay, member and what listens for wake-ups lose their connections, three times."""
    cases = [uuid4() for _ in range(5)]
    start_relay()
    member = start_member()
    said = 0

    async def say() -> None:
        nonlocal said
        said += 1
        async with asyncio.timeout(10):
            while True:
                try:
                    return await emit(db, [closed(c, said) for c in cases])
                except AWAY:
                    await asyncio.sleep(0.05)

    for _ in range(3):
        await say()
        await whole(cases, said)  # All are there and connected.
        for _ in range(10):
            await say()
        ended = await admin.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert len(ended) >= 2
    await say()
    await whole(cases, said)
    assert member.runner.consumer.parked == 0


def replace_headers(record, headers):
    return record._replace(headers=headers)
