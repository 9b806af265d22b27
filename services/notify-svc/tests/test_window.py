"""How many webhooks an endpoint gets at once."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st
from notify_svc.domain.window import FEW, SOON, Windows

exchanges = st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=60)


def test_one_that_keeps_up_gets_more_and_no_more_than_the_most():
    windows, endpoint = Windows(16), uuid4()
    seen = []
    for _ in range(20):
        windows.note(endpoint, succeeded=True, seconds=0.01)
        seen.append(windows.of(endpoint))
    assert seen[:3] == [5, 6, 7]
    assert seen[-1] == 16
    assert windows.known() == {endpoint}


def test_a_slow_answer_or_a_failure_brings_it_back_to_few():
    windows, slow, failing = Windows(16), uuid4(), uuid4()
    for endpoint in (slow, failing):
        windows.note(endpoint, succeeded=True, seconds=0.01)
    windows.note(slow, succeeded=True, seconds=SOON * 2)
    windows.note(failing, succeeded=False, seconds=0.01)
    assert windows.of(slow) == windows.of(failing) == FEW
    assert not windows.known()


@given(st.integers(1, 64), exchanges)
def test_a_window_is_never_empty_nor_larger_than_the_most(most, story):
    windows, endpoint = Windows(most), uuid4()
    for succeeded, seconds in story:
        windows.note(endpoint, succeeded=succeeded, seconds=seconds)
        assert 1 <= windows.of(endpoint) <= most
