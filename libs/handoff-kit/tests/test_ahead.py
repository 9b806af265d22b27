"""Reading ahead: each partition in its order, the oldest first, and nothing given too early."""

from collections import defaultdict

from handoff_kit.bus.ahead import Ahead
from handoff_kit.bus.ports import Record
from hypothesis import given
from hypothesis import strategies as st


def a_record(place: int, offset: int, said: int) -> Record:
    return Record("t", place, offset, "k", {"ce_time": f"{said:04}"}, b"")


@given(
    st.lists(st.lists(st.integers(0, 30), max_size=12).map(sorted), min_size=1, max_size=5),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_what_is_refilled_in_time_comes_out_in_the_order_it_was_said(logs, limit, share):
    """Times within a partition are in order, as one writer's are; then all of them are."""
    ahead, position, out = Ahead(), defaultdict(int), []
    while True:
        for place, times in enumerate(logs):
            if not ahead.held(("t", place)):
                for said in times[position[place] : position[place] + share]:
                    ahead.add(a_record(place, position[place], said))
                    position[place] += 1
        unfinished = [("t", p) for p, times in enumerate(logs) if position[p] < len(times)]
        taken = ahead.take(limit, unfinished)
        assert len(taken) <= limit
        if not taken:
            break
        out += taken
    assert [r.headers["ce_time"] for r in out] == sorted(f"{t:04}" for ts in logs for t in ts)
    for place, times in enumerate(logs):
        assert [r.offset for r in out if r.partition == place] == list(range(len(times)))


def test_nothing_is_given_while_a_partition_that_has_more_is_empty():
    ahead = Ahead()
    ahead.add(a_record(0, 0, 5))
    assert ahead.take(10, [("t", 1)]) == []
    assert len(ahead.take(10, [])) == 1
    assert len(ahead) == 0


def test_a_restart_forgets_what_was_read_ahead():
    ahead = Ahead()
    ahead.add(a_record(0, 0, 5))
    ahead.clear()
    assert (len(ahead), ahead.held(("t", 0))) == (0, 0)
