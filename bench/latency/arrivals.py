"""When referrals arrive, and how long they took: pure."""

import math
import random
from collections.abc import Sequence


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Moments, in seconds from the start, at which referrals of many independent people arrive.

    The gaps are exponential (a Poisson process), so several come close together as in life, and
    nothing keeps step with somebody's polling. The same seed gives the same moments.
    """
    chance = random.Random(seed)
    moments: list[float] = []
    at = chance.expovariate(rate)
    while at < seconds:
        moments.append(at)
        at += chance.expovariate(rate)
    return moments


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that *share* of all do not exceed (nearest rank). Raises: ValueError."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
