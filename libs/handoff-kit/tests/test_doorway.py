"""The doorway: sets of commands, Idempotency-Keys, and what happens when one of a set is bad."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.errors import Conflict, HandoffError, IdempotencyMismatch, Invalid, Unavailable
from handoff_kit.testing import said
from handoff_kit.tx import Tx
from handoff_kit.wakes import Wakes


@dataclass
class Note:
    """Writes one row and says one event, or fails as told."""

    key: str
    fail: Exception | None = None
    refuse: HandoffError | None = None


@pytest.fixture
def sets():
    return []


@pytest.fixture
async def doorway(db, sets, closed):
    from uuid import UUID

    async def apply(tx: Tx, commands: Sequence[Note]):
        sets.append([c.key for c in commands])
        for command in commands:
            if command.fail is not None:
                raise command.fail
        good = [c for c in commands if c.refuse is None]
        await tx.conn.execute(
            "INSERT INTO toy.applied (agency_id, key, event_id)"
            " SELECT 'test-city', k, k FROM unnest($1::text[]) k",
            [c.key for c in good],
        )
        for command in good:
            tx.emit(closed(UUID(int=hash(command.key) & (2**128 - 1))), agency="test-city")
        return [c.refuse or Answer(201, {"key": c.key}) for c in commands]

    made = Doorway(db, apply, Wakes(), hash_key=b"k" * 32)
    yield made
    await made.close()


def under(key: str, body: bytes = b"{}", client: str = "a", route: str = "POST /x") -> Idempotency:
    return Idempotency("test-city", client, route, key, body)


async def rows(admin) -> list[str]:
    return [r["key"] for r in await admin.fetch("SELECT key FROM toy.applied ORDER BY id")]


async def test_commands_that_wait_share_a_set_and_each_is_answered(doorway, admin, db, sets):
    answers = await asyncio.gather(*(doorway.submit(Note(f"n{i}")) for i in range(50)))
    assert [a.body["key"] for a in answers] == [f"n{i}" for i in range(50)]
    assert len(sets) < 10
    assert sorted(await rows(admin)) == sorted(f"n{i}" for i in range(50))
    assert len(await said(db)) == 50


@pytest.fixture
async def held(db):
    """``(doorway, begun, go_on)``: sets end in the order they began, one for each ``go_on``."""
    begun, go_on = [], asyncio.Semaphore(0)

    async def apply(tx: Tx, commands: Sequence[Note]):
        begun.append(len(commands))
        await go_on.acquire()
        return [Answer(201, {})] * len(commands)

    made = Doorway(db, apply, Wakes(), hash_key=b"k" * 32)
    yield made, begun, go_on
    for _ in range(100):
        go_on.release()
    await made.close()


async def reached(begun, expected):
    async with asyncio.timeout(5):
        while begun != expected:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    assert begun == expected


async def test_what_is_under_way_is_shared_between_the_writers(held):
    doorway, begun, go_on = held
    work = [asyncio.ensure_future(doorway.submit(Note("first")))]
    await reached(begun, [1])
    work += [asyncio.ensure_future(doorway.submit(Note(f"n{i}"))) for i in range(31)]
    await reached(begun, [1, 16])
    go_on.release()
    await reached(begun, [1, 16, 15])
    go_on.release()
    go_on.release()
    await asyncio.gather(*work)


async def test_a_few_commands_wait_for_more_while_a_set_is_under_way(held):
    doorway, begun, go_on = held
    work = [asyncio.ensure_future(doorway.submit(Note(f"n{i}"))) for i in range(8)]
    await reached(begun, [8])
    work += [asyncio.ensure_future(doorway.submit(Note(f"later-{i}"))) for i in range(2)]
    await reached(begun, [8])
    go_on.release()
    await reached(begun, [8, 2])
    go_on.release()
    await asyncio.gather(*work)


async def test_who_goes_away_takes_back_nothing_and_disturbs_nobody(doorway, admin):
    leaving, staying = (asyncio.ensure_future(doorway.submit(Note(k))) for k in ("gone", "stays"))
    await asyncio.sleep(0)  # Both wait, neither is in a set.
    leaving.cancel()
    assert (await staying).body == {"key": "stays"}
    assert leaving.cancelled()
    assert await rows(admin) == ["gone", "stays"]


async def test_who_goes_away_in_the_midst_of_a_set_takes_back_nothing(held):
    doorway, begun, go_on = held
    leaving, staying = (asyncio.ensure_future(doorway.submit(Note(k))) for k in ("gone", "stays"))
    await reached(begun, [2])
    leaving.cancel()
    go_on.release()
    assert (await staying).status == 201
    assert leaving.cancelled()


async def test_a_refusal_leaves_no_trace_and_its_neighbours_go_through(doorway, admin, db):
    notes = [Note("a"), Note("b", refuse=Invalid("no")), Note("c")]
    results = await asyncio.gather(*map(doorway.submit, notes), return_exceptions=True)
    assert isinstance(results[1], Invalid)
    assert sorted(await rows(admin)) == ["a", "c"]
    assert len(await said(db)) == 2


async def test_a_set_that_breaks_is_run_one_by_one(doorway, admin):
    notes = [Note("a"), Note("b", fail=RuntimeError("bug")), Note("c")]
    results = await asyncio.gather(*map(doorway.submit, notes), return_exceptions=True)
    assert [type(r).__name__ for r in results] == ["Answer", "RuntimeError", "Answer"]
    assert sorted(await rows(admin)) == ["a", "c"]


async def test_f02_a_retry_gets_the_stored_answer(doorway, admin):
    first = await doorway.submit(Note("a"), idempotency=under("k1"))
    again = await doorway.submit(Note("other"), idempotency=under("k1"))
    assert again.content() == first.content()
    assert again.status == 201
    assert await rows(admin) == ["a"]


async def test_f03_the_same_key_at_once_has_one_effect(doorway, admin):
    results = await asyncio.gather(
        *(doorway.submit(Note("a"), idempotency=under("k1")) for _ in range(20)),
        return_exceptions=True,
    )
    assert await rows(admin) == ["a"]
    for result in results:
        assert isinstance(result, Answer) or (
            isinstance(result, Conflict) and result.code == "in-flight"
        )


async def test_f03_the_same_key_in_two_processes_has_one_effect(db, admin):
    started, go = asyncio.Event(), asyncio.Event()

    async def slow(tx, commands):
        started.set()
        await go.wait()
        await tx.conn.execute(
            "INSERT INTO toy.applied (agency_id, key, event_id) VALUES ('test-city', 'a', 'a')"
        )
        return [Answer(201, {"n": 1}) for _ in commands]

    one, two = (Doorway(db, slow, Wakes(), hash_key=b"k" * 32) for _ in range(2))
    first = asyncio.create_task(one.submit(Note("a"), idempotency=under("k")))
    await started.wait()
    with pytest.raises(Conflict):
        await two.submit(Note("a"), idempotency=under("k"))
    go.set()
    assert (await first).status == 201
    assert (await two.submit(Note("a"), idempotency=under("k"))).status == 201
    assert await rows(admin) == ["a"]
    await one.close()
    await two.close()


async def test_f04_the_same_key_with_another_body_is_refused(doorway, admin):
    await doorway.submit(Note("a"), idempotency=under("k1", b'{"a": 1}'))
    with pytest.raises(IdempotencyMismatch):
        await doorway.submit(Note("b"), idempotency=under("k1", b'{"a": 2}'))
    assert await rows(admin) == ["a"]


async def test_a_key_is_scoped_to_client_and_route(doorway, admin):
    await doorway.submit(Note("a"), idempotency=under("k1"))
    await doorway.submit(Note("b"), idempotency=under("k1", client="b"))
    await doorway.submit(Note("c"), idempotency=under("k1", route="POST /y"))
    assert await rows(admin) == ["a", "b", "c"]


async def test_a_refusal_is_not_stored(doorway, admin):
    with pytest.raises(Invalid):
        await doorway.submit(Note("a", refuse=Invalid("no")), idempotency=under("k1"))
    assert (await doorway.submit(Note("a"), idempotency=under("k1"))).status == 201


async def test_the_stored_hash_does_not_show_the_body(doorway, admin):
    await doorway.submit(Note("a"), idempotency=under("k1", b"resident"))
    import hashlib

    stored = await admin.fetchval("SELECT request_hash FROM toy.idempotency")
    assert stored != hashlib.sha256(b"resident").digest()


async def test_f24_too_many_waiting_are_told_so(db):
    release, served = asyncio.Event(), asyncio.Event()

    async def stuck(tx, commands):
        served.set()
        await release.wait()
        return [Answer(200) for _ in commands]

    doorway = Doorway(db, stuck, Wakes(), hash_key=b"k" * 32, writers=1, queue=2)
    waiting = [asyncio.create_task(doorway.submit(Note("0")))]
    await served.wait()
    waiting += [asyncio.create_task(doorway.submit(Note(str(i)))) for i in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await doorway.submit(Note("x"))
    release.set()
    await asyncio.gather(*waiting)
    await doorway.close()


async def test_f22_backends_terminated_is_unavailable_and_then_works(doorway, admin):
    await doorway.submit(Note("a"))
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'handoff-toy' AND datname = current_database()"
    )
    for _ in range(5):
        try:
            await doorway.submit(Note("b"), idempotency=under("k"))
            break
        except Unavailable:
            await asyncio.sleep(0.1)
    assert await rows(admin) == ["a", "b"]
