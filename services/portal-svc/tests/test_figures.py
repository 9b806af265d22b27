"""No small number is shown, nor one that can be worked out."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portal_svc.domain.figures import SMALLEST_SHOWN, Split, split

parts_ = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), min_size=1)


def test_large_numbers_are_shown_whole() -> None:
    assert split({"a": 5, "b": 9}) == Split(14, {"a": 5, "b": 9}, [], None)


def test_a_small_total_shows_nothing() -> None:
    assert split({"a": 3, "b": 1}) == Split(None, {}, ["a", "b"], None)
    assert split({}) == Split(None, {}, [], None)


def test_a_small_part_takes_the_first_larger_one_along() -> None:
    assert split({"a": 12, "b": 2, "c": 40}) == Split(54, {"c": 40}, ["a", "b"], 14)


def test_two_of_four_are_not_given_away_by_their_sum() -> None:
    found = split({"a": 10, "b": 4, "c": 4, "d": 40})
    assert found.shown == {"d": 40}
    assert found.together == 18


def test_where_nothing_larger_is_left_only_the_total_is_told() -> None:
    assert split({"a": 4, "b": 4}) == Split(8, {}, ["a", "b"], 8)


@given(parts_)
def test_what_is_shown_is_true_and_large(parts: dict[str, int]) -> None:
    found = split(parts)
    assert all(parts[k] == n >= SMALLEST_SHOWN for k, n in found.shown.items())
    assert set(found.shown) | set(found.hidden) == set(parts)
    assert not set(found.shown) & set(found.hidden)
    total = sum(parts.values())
    assert found.total == (total if total >= SMALLEST_SHOWN else None)
    if found.hidden and found.total is not None:
        assert found.together == total - sum(found.shown.values())
        assert found.together >= SMALLEST_SHOWN


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), min_size=2))
def test_nobody_can_work_out_a_small_number(parts: dict[str, int]) -> None:
    """Of all worlds that look the same from outside, each small part has every small value."""
    seen = split(parts)
    small = [k for k, n in parts.items() if n < SMALLEST_SHOWN]
    if seen.total is None or not small:
        return
    worlds = (
        parts | dict(zip(seen.hidden, values, strict=True))
        for values in product(range(seen.together + 1), repeat=len(seen.hidden))
        if sum(values) == seen.together
    )
    same = [world for world in worlds if split(world) == seen]
    for key in small:
        assert {world[key] for world in same} >= set(range(SMALLEST_SHOWN))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_none_and_few_look_alike(count: int) -> None:
    assert split({"a": 9, "b": count, "c": 30}).hidden == ["a", "b"]
