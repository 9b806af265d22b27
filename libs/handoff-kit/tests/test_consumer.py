"""What a consumer group promises, against real PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from handoff_kit.consumer import Consumer
from handoff_kit.errors import Permanent, Transient, Waiting
from handoff_kit.testing import said
from handoff_kit.tx import Tx


async def applied(admin, key):
    rows = await admin.fetch(
        "SELECT sequence FROM toy.applied WHERE key = $1 ORDER BY id", str(key)
    )
    return [r["sequence"] for r in rows]


async def states(admin):
    rows = await admin.fetch("SELECT sequence, state FROM toy.parked ORDER BY sequence")
    return [(r["sequence"], r["state"]) for r in rows]


async def offsets(admin):
    rows = await admin.fetch(
        "SELECT next_offset FROM toy.consumer_offset ORDER BY topic, partition"
    )
    return [r["next_offset"] for r in rows]


async def open_of(admin, key):
    rows = await admin.fetch(
        "SELECT sequence, state FROM toy.parked WHERE key = $1 AND state <> 'done' ORDER BY 1",
        str(key),
    )
    return [(r["sequence"], r["state"]) for r in rows]


async def test_a_set_is_applied_once_and_in_order(admin, feeder, closed, toy):
    feed, case = feeder(), uuid4()
    await feed.feed(*[closed(case, n) for n in range(1, 6)])
    assert await applied(admin, case) == [1, 2, 3, 4, 5]
    assert toy.sets == [5]


async def test_f21_a_replay_of_everything_has_no_effect(admin, feeder, closed):
    feed, case = feeder(), uuid4()
    records = [feed.record(closed(case, n), source="/s") for n in range(1, 4)]
    await feed.feed_records(records)
    await feed.feed_records([r._replace(offset=r.offset + 100) for r in records])
    assert await applied(admin, case) == [1, 2, 3]
    assert feed.consumer.duplicates == 3


async def test_a_gap_waits_and_is_closed_when_the_missing_event_comes(admin, feeder, closed):
    feed, case = feeder(), uuid4()
    one, two, three = [feed.record(closed(case, n), source="/s") for n in (1, 2, 3)]
    await feed.feed_records([one, three._replace(offset=1)])
    assert await applied(admin, case) == [1]
    assert await states(admin) == [(3, "waiting")]
    await feed.feed_records([two._replace(offset=2)])
    assert await feed.repair() == 1
    assert await applied(admin, case) == [1, 2, 3]
    # The key is free again.
    await feed.feed_records([feed.record(closed(case, 4), source="/s")])
    assert await applied(admin, case) == [1, 2, 3, 4]


@pytest.mark.parametrize("bad", [0, 3, 6])
async def test_f19_one_bad_event_hurts_only_its_own_case(admin, db, feeder, closed, toy, bad):
    toy.refuse["bad"] = Permanent("broken invariant")
    feed, cases = feeder(), [uuid4() for _ in range(7)]
    await feed.feed(*[closed(c, 1, "bad" if i == bad else "ok") for i, c in enumerate(cases)])
    for i, case in enumerate(cases):
        assert await applied(admin, case) == ([] if i == bad else [1])
    (row,) = await admin.fetch("SELECT * FROM toy.parked")
    assert (row["key"], row["state"], row["reason"]) == (str(cases[bad]), "failed", "permanent")
    (event,) = await said(db)
    assert event.type == "handoff.event.parked.v1"
    assert event.data.parked_id == row["id"]


async def test_f20_poison_in_mid_case_then_retried_keeps_the_order(admin, feeder, closed, toy):
    toy.refuse["bad"] = Permanent("broken invariant")
    feed, case, other = feeder(), uuid4(), uuid4()
    await feed.feed(closed(case, 1), closed(case, 2, "bad"), closed(other, 1), closed(case, 3))
    await feed.feed(closed(case, 4), closed(other, 2))
    assert await applied(admin, case) == [1]
    assert await applied(admin, other) == [1, 2]
    assert await states(admin) == [(2, "failed"), (3, "behind"), (4, "behind")]
    assert await feed.repair() == 0  # Nobody asked for it.
    await admin.execute("UPDATE toy.parked SET state = 'retry' WHERE sequence = 2")
    assert await feed.repair() == 0  # Still bad.
    assert (await states(admin))[0] == (2, "failed")
    toy.refuse.clear()
    await admin.execute("UPDATE toy.parked SET state = 'retry' WHERE sequence = 2")
    assert await feed.repair() == 3
    assert await applied(admin, case) == [1, 2, 3, 4]
    await feed.feed(closed(case, 5))
    assert await applied(admin, case) == [1, 2, 3, 4, 5]


async def test_a_dropped_event_lets_the_rest_go_on(admin, feeder, closed, toy):
    toy.refuse["bad"] = Permanent("broken invariant")
    feed, case = feeder(), uuid4()
    await feed.feed(closed(case, 1, "bad"), closed(case, 2))
    await admin.execute("UPDATE toy.parked SET state = 'drop' WHERE sequence = 1")
    assert await feed.repair() == 2
    assert await applied(admin, case) == [2]
    assert await states(admin) == [(1, "dropped"), (2, "done")]


@pytest.mark.parametrize("blind", [False, True])
async def test_waiting_is_retried_by_itself(admin, feeder, closed, toy, blind):
    toy.refuse["early"] = Waiting("needs another event first")
    toy.blind = blind
    feed, case = feeder(), uuid4()
    await feed.feed(closed(case, 1, "early"), closed(case, 2))
    assert await states(admin) == [(1, "waiting"), (2, "behind")]
    toy.refuse.clear()
    await admin.execute("UPDATE toy.parked SET next_try_at = now() WHERE state = 'waiting'")
    assert await feed.repair() == 2
    assert await applied(admin, case) == [1, 2]


async def test_all_that_wait_are_set_aside_at_once_and_taken_up_at_once(admin, feeder, closed, toy):
    toy.refuse["early"] = Waiting("needs another event first")
    feed, cases = feeder(), [uuid4() for _ in range(40)]
    firsts = [closed(c, 1, "early" if i % 2 else "ok") for i, c in enumerate(cases)]
    await feed.feed(*firsts, *[closed(c, 2) for c in cases])
    assert toy.sets == [80, 40]
    assert len(await states(admin)) == 40
    toy.refuse.clear()
    toy.sets.clear()
    await admin.execute("UPDATE toy.parked SET next_try_at = now() WHERE state = 'waiting'")
    assert await feed.repair() == 40
    assert toy.sets == [40]
    for case in cases:
        assert await applied(admin, case) == [1, 2]


async def test_what_still_waits_holds_up_only_its_own_key(admin, feeder, closed, toy):
    toy.refuse["early"] = toy.refuse["later"] = Waiting("needs another event first")
    feed, one, two = feeder(), uuid4(), uuid4()
    await feed.feed(closed(one, 1, "early"), closed(one, 2, "later"), closed(one, 3))
    await feed.feed(closed(two, 1, "early"), closed(two, 2))
    del toy.refuse["early"]
    await admin.execute("UPDATE toy.parked SET next_try_at = now() WHERE state = 'waiting'")
    assert await feed.repair() == 3
    assert await applied(admin, one) == [1]
    assert await applied(admin, two) == [1, 2]
    assert await open_of(admin, one) == [(2, "waiting"), (3, "behind")]
    toy.refuse.clear()
    await admin.execute("UPDATE toy.parked SET next_try_at = now() WHERE state = 'waiting'")
    assert await feed.repair() == 2
    assert await applied(admin, one) == [1, 2, 3]


async def test_a_bad_event_among_parked_ones_hurts_only_its_own_key(admin, feeder, closed, toy):
    toy.refuse["early"] = Waiting("needs another event first")
    toy.refuse["bad"] = Permanent("broken invariant")
    feed, good, bad = feeder(), uuid4(), uuid4()
    await feed.feed(closed(good, 1, "early"), closed(good, 2))
    await feed.feed(closed(bad, 1, "early"), closed(bad, 2, "bad"), closed(bad, 3))
    del toy.refuse["early"]
    await admin.execute("UPDATE toy.parked SET next_try_at = now() WHERE state = 'waiting'")
    assert await feed.repair() == 3
    assert await applied(admin, good) == [1, 2]
    assert await applied(admin, bad) == [1]
    assert await open_of(admin, bad) == [(2, "failed"), (3, "behind")]


async def test_more_of_one_key_than_a_set_holds_is_taken_up_in_order(admin, feeder, closed, toy):
    toy.refuse["early"] = Waiting("needs another event first")
    feed, case = feeder(), uuid4()
    await feed.feed(closed(case, 1, "early"), *[closed(case, n) for n in range(2, 131)])
    toy.refuse.clear()
    await admin.execute("UPDATE toy.parked SET next_try_at = now() WHERE state = 'waiting'")
    assert await feed.repair() == 130
    assert await applied(admin, case) == list(range(1, 131))
    await feed.feed(closed(case, 131))
    assert (await applied(admin, case))[-1] == 131


async def test_a_transient_failure_parks_nothing_and_does_nothing(admin, feeder, closed, toy):
    toy.refuse["away"] = Transient("the database is away")
    feed, case = feeder(), uuid4()
    with pytest.raises(Transient):
        await feed.feed(closed(case, 1), closed(case, 2, "away"))
    assert await applied(admin, case) == []
    assert await states(admin) == []
    toy.refuse.clear()
    await feed.feed_records(
        [feed.record(closed(case, n), source="/handoff/intake", sequence=n) for n in (1, 2)]
    )
    assert await applied(admin, case) == [1, 2]


async def test_f12_who_was_fenced_writes_nothing(admin, feeder, closed):
    feed, case = feeder(), uuid4()
    await feed.feed(closed(case, 1))
    record = feed.record(closed(case, 2), source="/handoff/intake")
    await admin.execute("UPDATE toy.consumer_offset SET next_offset = next_offset + 5")
    with pytest.raises(Transient):
        await feed.consumer.process([record])
    assert await applied(admin, case) == [1]


async def test_f19_bad_json_and_missing_headers_are_parked(admin, feeder, closed):
    feed, case, other = feeder(), uuid4(), uuid4()
    bad = feed.record(closed(case, 1), source="/s")._replace(value=b'{"case_id": 1, "secret": "x"')
    bare = feed.record(closed(other, 1), source="/s")
    bare = bare._replace(headers={"ce_type": bare.headers["ce_type"]})
    good = feed.record(closed(uuid4(), 1), source="/s")
    await feed.feed_records([bad, bare, good])
    rows = await admin.fetch("SELECT reason, detail FROM toy.parked ORDER BY reason")
    assert [r["reason"] for r in rows] == ["bad-body", "bad-headers"]
    assert not any("secret" in r["detail"] for r in rows)
    assert await applied(admin, good.key) == [1]


@pytest.mark.parametrize("byte", [b"x", b" ", b"["])
async def test_f19_two_megabytes_are_parked_and_other_cases_flow(admin, feeder, closed, byte):
    feed, large, good = feeder(), uuid4(), uuid4()
    huge = feed.record(closed(large, 1), source="/s")._replace(value=byte * 2_000_000)
    await feed.feed_records([huge, feed.record(closed(good, 1), source="/s")])
    (row,) = await admin.fetch("SELECT key, reason, detail FROM toy.parked")
    assert (row["key"], row["reason"]) == (str(large), "bad-body")
    assert len(row["detail"]) < 1000
    assert await applied(admin, large) == []
    assert await applied(admin, good) == [1]


def test_f19_an_event_of_two_megabytes_is_never_said(closed):
    """What a handler would say beyond the log's size fails its event, and only that, for good."""
    huge = closed(uuid4()).model_copy(update={"reason": "x" * 2_000_000})
    tx = Tx(None, datetime.now(UTC), "toy")
    with pytest.raises(Permanent, match="larger than the log takes"):
        tx.emit(huge, agency="test-city")
    assert tx.emitted == []


async def test_an_unknown_type_is_skipped_and_moves_the_sequence_on(admin, feeder, closed):
    feed, case = feeder(), uuid4()
    one = feed.record(closed(case, 1), source="/s")
    one = one._replace(headers={**one.headers, "ce_type": "handoff.case.unheard-of.v9"})
    two = feed.record(closed(case, 2), source="/s")
    await feed.feed_records([one, two])
    assert await applied(admin, case) == [2]
    assert feed.consumer.skipped == 1


async def test_what_is_of_no_concern_is_passed_with_what_is(admin, feeder, closed, toy):
    """No transaction for it alone, unless nothing comes after it."""
    feed, case = feeder(), uuid4()
    one, two, three = [feed.record(closed(case, n), source="/s") for n in (1, 2, 3)]
    strange = {**one.headers, "ce_type": "handoff.case.unheard-of.v9"}
    consumer = feed.consumer
    await consumer.lookup([(one.topic, 0)])
    assert not await consumer.process([one._replace(headers=strange)])
    assert await offsets(admin) == [0]
    assert await consumer.process([two])
    assert await offsets(admin) == [2]
    assert await applied(admin, case) == [2]
    third = three._replace(headers={**three.headers, "ce_type": "handoff.case.unheard-of.v9"})
    assert not await consumer.process([third])
    assert await consumer.settle()
    assert not await consumer.settle()
    assert await offsets(admin) == [3]
    assert (consumer.skipped, toy.sets) == (2, [1])


async def test_an_event_from_which_nothing_follows_takes_no_transaction(
    db, built, admin, feeder, closed, toy
):
    """But its sequence counts: what follows is not a gap."""
    feed, case = feeder(), uuid4()
    reasonless = replace(built.groups[0], needless=lambda event: event.reason == "nothing")
    consumer = Consumer(db, reasonless)
    one, two = (
        feed.record(closed(case, n, reason), source="/s")
        for n, reason in ((1, "nothing"), (2, "x"))
    )
    await consumer.lookup([(one.topic, 0)])
    assert not await consumer.process([one])
    assert await offsets(admin) == [0]
    assert await consumer.process([two])
    assert (await applied(admin, case), await offsets(admin)) == ([2], [2])
    assert (consumer.skipped, toy.sets, await states(admin)) == (1, [1], [])


async def test_what_was_held_is_read_again_by_who_takes_over(admin, feeder, closed):
    feed, case = feeder(), uuid4()
    one, two = [feed.record(closed(case, n), source="/s") for n in (1, 2)]
    strange = one._replace(headers={**one.headers, "ce_type": "handoff.case.unheard-of.v9"})
    await feed.consumer.lookup([(one.topic, 0)])
    assert not await feed.consumer.process([strange])
    # The reader goes back to what the database says, and brings both once more.
    assert await feed.consumer.lookup([(one.topic, 0)]) == {(one.topic, 0): 0}
    assert await feed.consumer.process([strange, two])
    assert await applied(admin, case) == [2]
    assert (await offsets(admin), feed.consumer.skipped) == ([2], 1)


async def test_events_without_a_sequence_are_known_by_their_id(admin, feeder, closed):
    feed, case = feeder(), uuid4()
    record = feed.record(closed(case, 1), source="/dept", event_id="a-1")
    headers = {k: v for k, v in record.headers.items() if k != "ce_sequence"}
    once = record._replace(headers=headers)
    await feed.feed_records([once, once._replace(offset=once.offset + 1)])
    await feed.feed_records([once._replace(offset=50)])
    assert await applied(admin, case) == [None]


async def test_parking_is_capped(admin, feeder, closed, toy):
    toy.refuse["bad"] = Permanent("the code is wrong")
    feed = feeder()
    feed.consumer._cap = 3
    with pytest.raises(Transient, match="more than 3"):
        await feed.feed(*[closed(uuid4(), 1, "bad") for _ in range(10)])
    assert len(await states(admin)) == 3
