"""Business hours, holidays and the nights in which clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referral_svc.domain.calendar import Calendar, NeverOpen, Span

BOSTON = ZoneInfo("America/New_York")
DAY = ((time(9), time(12)), (time(13), time(17)))
WEEK = Calendar(BOSTON, (DAY, DAY, DAY, DAY, DAY, (), ()), frozenset({date(2026, 3, 9)}))
NIGHT = Calendar(BOSTON, (((time(0), time(6)),),) * 7)
HOUR = 3600


def at(text: str) -> datetime:
    """A local time in Boston."""
    return datetime.fromisoformat(text).replace(tzinfo=BOSTON)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-03-03T09:00", 2, "2026-03-03T11:00"),
        ("2026-03-03T09:00", 3, "2026-03-03T12:00"),
        ("2026-03-03T11:00", 2, "2026-03-03T14:00"),  # over the midday break
        ("2026-03-03T16:00", 2, "2026-03-04T10:00"),  # over the night
        ("2026-03-06T16:00", 2, "2026-03-10T10:00"),  # over a weekend and a holiday
        ("2026-03-07T10:00", 1, "2026-03-10T10:00"),  # from a Saturday
        ("2026-03-03T07:00", 1, "2026-03-03T10:00"),  # before opening
        ("2026-03-03T20:00", 7, "2026-03-04T17:00"),
    ],
)
def test_hours_are_counted_while_it_is_open(start: str, hours: int, due: str) -> None:
    assert WEEK.add(at(start), hours * HOUR) == at(due)


def test_the_night_that_loses_an_hour_is_shorter() -> None:
    """2026-03-08: 02:00 becomes 03:00, so midnight to six is five hours."""
    assert NIGHT.between(at("2026-03-08T00:00"), at("2026-03-08T06:00")) == 5 * HOUR
    assert NIGHT.add(at("2026-03-08T00:00"), 4 * HOUR) == at("2026-03-08T05:00")


def test_the_night_that_gains_an_hour_is_longer() -> None:
    """2026-11-01: 02:00 becomes 01:00, so midnight to six is seven hours."""
    assert NIGHT.between(at("2026-11-01T00:00"), at("2026-11-01T06:00")) == 7 * HOUR
    assert NIGHT.add(at("2026-11-01T00:00"), 4 * HOUR) == at("2026-11-01T03:00")


def test_a_window_that_opens_in_the_skipped_hour_opens_after_it() -> None:
    early = Calendar(BOSTON, (((time(2, 30), time(6)),),) * 7)
    assert early.add(at("2026-03-08T00:00"), HOUR) == at("2026-03-08T04:30")


def test_business_days_keep_their_local_hours_over_the_change() -> None:
    due = WEEK.add(at("2026-03-06T16:00"), 8 * HOUR)
    assert due == at("2026-03-10T17:00")
    assert due.astimezone(BOSTON).utcoffset() == timedelta(hours=-4)


def test_wall_time_does_not_know_the_calendar() -> None:
    span = Span(2 * HOUR, business=False)
    start = at("2026-03-07T23:30")
    assert span.after(start, WEEK) - start.astimezone(UTC) == timedelta(hours=2)
    assert span.left(start, span.after(start, WEEK), WEEK) == 2 * HOUR
    assert span.left(span.after(start, WEEK), start, WEEK) == 0


def test_a_calendar_that_never_opens_says_so() -> None:
    with pytest.raises(NeverOpen):
        Calendar(BOSTON, ((),) * 7).add(at("2026-03-03T09:00"), 1)


@given(
    minutes=st.integers(0, 366 * 24 * 60),
    seconds=st.integers(1, 200 * HOUR),
    calendar=st.sampled_from([WEEK, NIGHT]),
)
def test_between_gives_back_what_add_counted(minutes, seconds, calendar) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    due = calendar.add(start, seconds)
    assert calendar.between(start, due) == seconds


@given(minutes=st.integers(0, 366 * 24 * 60), parts=st.lists(st.integers(1, 40 * HOUR), max_size=5))
def test_a_clock_that_pauses_loses_nothing(minutes, parts) -> None:
    """Counting in parts, with the rest carried over a pause in closed hours, is counting once."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    whole = WEEK.add(start, sum(parts) + 1)
    moment, left = start, sum(parts) + 1
    for part in parts:
        moment = WEEK.add(moment, part)
        left = Span(left, business=True).left(moment, WEEK.add(moment, left - part), WEEK)
    assert WEEK.add(moment, left) == whole
