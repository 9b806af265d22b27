"""Figures that name no family: small numbers are hidden, also from subtraction."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

SMALLEST_SHOWN: Final = 5  # behind a smaller number its families could be known
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Split(Generic[K]):
    """A total and its parts as they may be shown.

    ``shown`` has the parts with a figure; ``hidden`` names the others; ``together`` is what those
    add up to, since it follows from the total anyway. ``total`` None: under five.
    """

    total: int | None
    shown: dict[K, int]
    hidden: list[K]
    together: int | None


def split(parts: Mapping[K, int]) -> Split[K]:
    """Hide what is under five, and as many of the larger parts as are needed, first ones first.

    With the small ones alone hidden, total minus what is shown would give them away: one by
    subtraction, several at the ends of their range (two that make eight are four each). So larger
    parts are hidden with them until every small one could still be anything from none to four.

    The order of *parts* must not come from their sizes: were the smallest of the larger ones
    hidden, those that are shown would tell how large the hidden ones can be at most.
    """
    total = sum(parts.values())
    if total < SMALLEST_SHOWN:
        return Split(None, {}, list(parts), None)
    small = [key for key, count in parts.items() if count < SMALLEST_SHOWN]
    if not small:
        return Split(total, dict(parts), [], None)
    hidden = set(small)
    for key in parts:
        if _safe([parts[k] for k in hidden]):
            break
        hidden.add(key)
    return Split(
        total,
        {key: count for key, count in parts.items() if key not in hidden},
        [key for key in parts if key in hidden],
        sum(parts[key] for key in hidden),
    )


def _safe(hidden: list[int]) -> bool:
    """Whether the sum of these leaves each of the small ones every value from 0 to 4."""
    small = sum(1 for count in hidden if count < SMALLEST_SHOWN)
    large = len(hidden) - small
    return large > 0 and sum(hidden) >= SMALLEST_SHOWN * large + (SMALLEST_SHOWN - 1) * small
