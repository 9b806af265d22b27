"""Clocks are aware, and a fake one moves only when it is told to."""

from datetime import UTC, datetime, timedelta

import pytest
from handoff_kit.clock import FakeClock, SystemClock

NINE = datetime(2026, 6, 1, 9, tzinfo=UTC)


def test_clocks() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    clock = FakeClock(NINE)
    clock.advance(timedelta(hours=2))
    assert clock.now() == NINE + timedelta(hours=2)
    clock.set(NINE)
    assert clock.now() == NINE


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        FakeClock(NINE.replace(tzinfo=None))
    with pytest.raises(ValueError, match="offset"):
        FakeClock(NINE).set(NINE.replace(tzinfo=None))
