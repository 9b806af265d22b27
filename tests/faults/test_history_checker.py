"""The checker finds what it is for."""

from support.history import Verdict, check_sequences


def rows(*sequences: int) -> list[tuple[str, str, str, int]]:
    return [("/s", "t", "k", n) for n in sequences]


def test_a_good_history_passes_and_duplicates_on_the_wire_are_allowed():
    verdict = Verdict()
    check_sequences(rows(1, 2, 2, 3, 1, 4), verdict)
    assert verdict


def test_a_hole_or_a_swap_is_found():
    for bad in ((1, 3), (2, 1), (1, 2, 4, 3)):
        verdict = Verdict()
        check_sequences(rows(*bad), verdict)
        assert verdict.disordered
