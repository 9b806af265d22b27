"""Two sets in hand at once: when there are two, what may not overtake, what a failure leaves."""

import asyncio
from collections import defaultdict
from uuid import uuid4

import pytest
from handoff_kit.bus.ports import Record
from handoff_kit.consumer import Fenced, InHand
from handoff_kit.errors import Invalid, Transient
from hypothesis import given
from hypothesis import strategies as st


class Sets:
    """Stands for a consumer: a set goes on until it is let go, or fails."""

    def __init__(self) -> None:
        self.begun: list[tuple[int | None, list[Record]]] = []
        self.gates: list[asyncio.Future[bool]] = []

    async def process(self, records, share=None):
        self.begun.append((share, list(records)))
        self.gates.append(asyncio.get_running_loop().create_future())
        return await self.gates[-1]


def records(number, first=0):
    return [Record("t", n % 12, n, str(n % 12), {}, b"") for n in range(first, first + number)]


async def turn():
    for _ in range(3):
        await asyncio.sleep(0)


async def test_little_goes_as_one_set():
    sets = Sets()
    hands = InHand(sets, 300)
    hands.give(records(399))
    work = asyncio.create_task(hands.work())
    await turn()
    assert [(share, len(taken)) for share, taken in sets.begun] == [(None, 399)]
    sets.gates[0].set_result(True)
    assert await work
    assert not hands.busy


async def test_much_goes_as_two_sets_and_a_third_begins_when_one_has_ended():
    sets = Sets()
    hands = InHand(sets, 300)
    hands.give(records(600))
    work = asyncio.create_task(hands.work())
    await turn()
    assert [(share, len(taken)) for share, taken in sets.begun] == [(0, 300), (1, 300)]
    assert hands.room == 600
    hands.give(records(600, 600))
    assert hands.room == 0
    sets.gates[0].set_result(True)
    assert await work
    hands.give(())
    await turn()
    assert [share for share, _ in sets.begun] == [0, 1, 0]
    for gate in sets.gates[1:]:
        gate.set_result(True)
    assert await hands.finish()


async def test_a_few_records_wait_for_the_set_in_hand_and_go_as_one():
    sets = Sets()
    hands = InHand(sets, 300)
    hands.give(records(400))
    work = asyncio.create_task(hands.work())
    await turn()
    hands.give(records(20, 400))
    for gate in sets.gates:
        gate.set_result(True)
    await work
    await hands.finish()
    last = asyncio.create_task(hands.work())
    await turn()
    assert [(share, len(taken)) for share, taken in sets.begun[2:]] == [(None, 20)]
    sets.gates[2].set_result(False)
    assert not await last


async def test_a_failure_is_told_when_nothing_is_under_way_and_nothing_waits():
    sets = Sets()
    hands = InHand(sets, 300)
    hands.give(records(900))
    work = asyncio.create_task(hands.work())
    await turn()
    sets.gates[0].set_exception(Fenced("elsewhere"))
    await turn()
    assert not work.done()  # The other set may commit yet.
    sets.gates[1].set_result(True)
    with pytest.raises(Fenced):
        await work
    assert not hands.busy
    assert hands.room == 600


@given(st.lists(st.integers(0, 450), max_size=8), st.randoms(use_true_random=False))
def test_whatever_comes_when_all_is_taken_once_and_each_partition_in_order(sizes, random):
    async def story():
        sets = Sets()
        hands = InHand(sets, 250)
        given_, working = 0, None
        for size in sizes:
            count = min(size, hands.room)
            hands.give(records(count, given_))
            given_ += count
            working = working or asyncio.create_task(hands.work())
            await turn()
            open_ = [gate for gate in sets.gates if not gate.done()]
            busy = [sets.begun[i][0] for i, gate in enumerate(sets.gates) if not gate.done()]
            assert len(busy) == len(set(busy))
            assert None not in busy or len(busy) == 1
            if open_:
                random.choice(open_).set_result(True)
            await turn()
            if working.done():
                working.result()
                working = None
        while True:
            for gate in sets.gates:
                if not gate.done():
                    gate.set_result(True)
            if working is None:
                working = asyncio.create_task(hands.work())
            await turn()
            if working.done():
                if not working.result() and not hands.busy:
                    break
                working = None
        taken = defaultdict(list)
        for _, part in sets.begun:
            for record in part:
                taken[record.partition].append(record.offset)
        assert sorted(n for offsets in taken.values() for n in offsets) == list(range(given_))
        assert all(offsets == sorted(offsets) for offsets in taken.values())

    asyncio.run(story())


async def send(bus, outgoing, closed, cases, versions):
    await bus.publisher.send(
        [outgoing(closed(c, n), n) for n in versions for c in cases],
    )


@pytest.fixture
def cases():
    return [uuid4() for _ in range(300)]


async def test_much_is_taken_in_two_transactions_at_once_with_each_key_in_order(
    bus, group, closed, outgoing, start_member, whole, cases
):
    inner, inside, most = group.apply, 0, 0

    async def apply(tx, events):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await inner(tx, events)
        await asyncio.sleep(0.02)
        inside -= 1

    object.__setattr__(group, "apply", apply)
    await send(bus, outgoing, closed, cases, (1, 2, 3, 4, 5))
    start_member()
    await whole(cases, 5)
    assert most == 2


async def test_a_bad_event_of_one_of_two_sets_is_parked_alone(
    bus, admin, toy, closed, outgoing, start_member, until, cases
):
    toy.refuse["bad"] = Invalid("never")
    await send(bus, outgoing, closed, cases, (1, 2))
    bad = uuid4()
    await bus.publisher.send([outgoing(closed(bad, 1, "bad"), 1)])
    start_member()

    async def whole_and_parked():
        applied = await admin.fetchval("SELECT count(*) FROM toy.applied")
        return applied == 600 and await admin.fetchval("SELECT count(*) FROM toy.parked")

    # The set with the bad event may be the last to commit: each good one is there before it is.
    await until(whole_and_parked)
    assert await admin.fetch("SELECT key, state FROM toy.parked") == [(str(bad), "failed")]


async def test_when_one_of_two_sets_fails_for_a_time_nothing_is_lost_or_done_twice(
    bus, group, closed, outgoing, start_member, whole, cases
):
    inner, failed = group.apply, []

    async def apply(tx, events):
        await inner(tx, events)
        if len(failed) < 3 and tx.shard == 1:
            failed.append(len(events))
            raise Transient("away")

    object.__setattr__(group, "apply", apply)
    await send(bus, outgoing, closed, cases, (1, 2, 3))
    start_member()
    await whole(cases, 3)
    assert failed
    assert max(failed) > 1


async def test_both_sets_in_hand_are_finished_before_a_member_ends(
    bus, group, admin, closed, outgoing, start_member, until, cases
):
    inner, go_on, inside = group.apply, asyncio.Event(), []

    async def apply(tx, events):
        if len(events) > 150:  # The log may begin with a few.
            inside.append(len(events))
            await go_on.wait()
        await inner(tx, events)

    object.__setattr__(group, "apply", apply)
    await send(bus, outgoing, closed, cases, (1, 2, 3, 4, 5))
    member = start_member()

    async def two():
        return len(inside) == 2

    await until(two)
    member.stop.set()
    go_on.set()
    await member.end()
    applied = await admin.fetchval("SELECT count(*) FROM toy.applied")
    assert sum(inside) <= applied < 1500
    stands = await admin.fetchval(
        "SELECT sum(next_offset) FROM toy.consumer_offset WHERE group_name = $1", group.name
    )
    assert stands - sum(bus.ends.values()) == applied
