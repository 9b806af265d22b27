"""The checker finds what it is for."""

import pytest
from support.history import Verdict, check_gates, check_log
from support.log import Said


def said(*sequences: int) -> list[Said]:
    return [Said("/s", "t", "k", n, f"event-{n}") for n in sequences]


def test_a_good_history_passes_and_duplicates_on_the_wire_are_allowed():
    verdict = Verdict()
    assert check_log(said(1, 2, 2, 3, 1, 4), verdict) == {("/s", "t", "k"): 4}
    assert verdict


def test_a_hole_or_a_swap_is_found():
    for bad in ((1, 3), (2, 1), (1, 2, 4, 3)):
        verdict = Verdict()
        check_log(said(*bad), verdict)
        assert verdict.disordered
        assert not verdict


def test_two_events_under_one_sequence_are_found():
    verdict = Verdict()
    check_log([*said(1, 2), Said("/s", "t", "k", 2, "another")], verdict)
    assert verdict.doubled
    assert not verdict


def test_a_departments_own_records_have_no_order():
    verdict = Verdict()
    assert check_log([Said("/d", "t", "k", None, e) for e in ("b", "a")], verdict) == {}
    assert verdict


@pytest.mark.parametrize(
    ("gates", "lost"),
    [
        ({("g", "/s", "t", "k"): 4}, 0),
        ({("g", "/s", "t", "k"): 3}, 1),
        ({}, 1),
        ({("another", "/s", "t", "k"): 4}, 1),
    ],
    ids=["all", "not the last", "none", "another group's"],
)
def test_what_a_group_did_not_take_is_found(gates, lost):
    verdict = Verdict()
    check_gates({("/s", "t", "k"): 4, ("/s", "elsewhere", "k"): 1}, {"g": {"t"}}, gates, verdict)
    assert len(verdict.lost) == lost
