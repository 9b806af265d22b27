"""Business hours: by hand where a clock changes, by hypothesis everywhere else."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from handoff_kit.clock import (
    Calendar,
    FakeClock,
    SystemClock,
    add_business_days,
    add_business_hours,
)
from hypothesis import given
from hypothesis import strategies as st

NEW_YORK = ZoneInfo("America/New_York")
CITY = Calendar("America/New_York", time(9), time(17), holidays=frozenset({date(2026, 7, 3)}))
ALL_DAY = Calendar("America/New_York", time(0), time(0), weekdays=frozenset(range(7)))


def at(text: str) -> datetime:
    """A wall-clock time in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-06-01T09:00", 8, "2026-06-01T17:00"),  # all of Monday: due at closing
        ("2026-06-01T16:00", 2, "2026-06-02T10:00"),
        ("2026-06-05T16:30", 1, "2026-06-08T09:30"),  # over a weekend
        ("2026-07-02T16:00", 2, "2026-07-06T10:00"),  # over a holiday and a weekend
        ("2026-06-06T12:00", 4, "2026-06-08T13:00"),  # started on a Saturday
        ("2026-06-01T03:00", 1, "2026-06-01T10:00"),  # before opening
        ("2026-06-01T20:00", 1, "2026-06-02T10:00"),  # after closing
        ("2026-06-01T20:00", 0, "2026-06-02T09:00"),
        ("2026-06-01T11:00", 0.5, "2026-06-01T11:30"),
        ("2026-03-06T16:00", 2, "2026-03-09T10:00"),  # the clock went forward on Sunday
    ],
)
def test_business_hours(start: str, hours: float, due: str) -> None:
    assert add_business_hours(at(start), hours, CITY) == at(due)


def test_a_day_has_23_hours_when_the_clock_goes_forward_and_25_when_it_goes_back() -> None:
    assert add_business_hours(at("2026-03-08T00:00"), 23, ALL_DAY) == at("2026-03-09T00:00")
    assert add_business_hours(at("2026-11-01T00:00"), 25, ALL_DAY) == at("2026-11-02T00:00")


def test_opening_in_the_skipped_hour_still_opens() -> None:
    early = Calendar("America/New_York", time(2, 30), time(6), weekdays=frozenset(range(7)))
    opens, closes = early.hours_of(date(2026, 3, 8))
    assert opens == at("2026-03-08T03:30")
    assert closes - opens == timedelta(hours=2.5)


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-06-01T23:30", 1, "2026-06-02T17:00"),
        ("2026-06-05T08:00", 1, "2026-06-08T17:00"),
        ("2026-07-02T12:00", 1, "2026-07-06T17:00"),
        ("2026-06-01T10:00", 5, "2026-06-08T17:00"),
        ("2026-06-01T10:00", 0, "2026-06-01T17:00"),
        ("2026-06-06T10:00", 0, "2026-06-08T17:00"),
    ],
)
def test_business_days(start: str, days: int, due: str) -> None:
    assert add_business_days(at(start), days, CITY) == at(due)


calendars = st.builds(
    Calendar,
    timezone=st.sampled_from(
        ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Australia/Lord_Howe"]
    ),
    opens=st.times(max_value=time(11)),
    closes=st.times(min_value=time(12)),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    holidays=st.frozensets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=5),
)
moments = st.integers(0, 364 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
spans = st.timedeltas(timedelta(0), timedelta(hours=100))


def open_time_between(start: datetime, end: datetime, calendar: Calendar) -> timedelta:
    total, day = timedelta(0), calendar.day_of(start)
    while day <= calendar.day_of(end):
        if calendar.is_business_day(day):
            opens, closes = calendar.hours_of(day)
            total += max(timedelta(0), min(end, closes) - max(start, opens))
        day += timedelta(days=1)
    return total


@given(moments, spans, calendars)
def test_just_so_many_open_hours_lie_between(
    start: datetime, span: timedelta, calendar: Calendar
) -> None:
    due = add_business_hours(start, span, calendar)
    assert due >= start
    assert open_time_between(start, due, calendar) == span
    opens, closes = calendar.hours_of(calendar.day_of(due - timedelta(microseconds=1)))
    assert opens <= due <= closes or due == calendar.hours_of(calendar.day_of(due))[0]


@given(moments, spans, spans, calendars)
def test_hours_add_up(
    start: datetime, first: timedelta, second: timedelta, calendar: Calendar
) -> None:
    there = add_business_hours(add_business_hours(start, first, calendar), second, calendar)
    assert there == add_business_hours(start, first + second, calendar) or not second


@given(moments, st.integers(0, 30), calendars)
def test_days_end_at_the_close_of_a_business_day(
    start: datetime, days: int, calendar: Calendar
) -> None:
    due = add_business_days(start, days, calendar)
    day = calendar.day_of(due)
    assert calendar.is_business_day(day)
    assert due == calendar.hours_of(day)[1]
    counted, at_ = 0, calendar.day_of(start)
    while at_ < day:
        at_ += timedelta(days=1)
        counted += calendar.is_business_day(at_)
    assert counted == days or (days == 0 and not calendar.is_business_day(calendar.day_of(start)))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"timezone": "Nowhere/Atall"}, "timezone"),
        ({"opens": time(17), "closes": time(9)}, "closes"),
        ({"weekdays": frozenset()}, "weekdays"),
        ({"weekdays": frozenset({7})}, "weekdays"),
        ({"opens": time(9, tzinfo=UTC)}, "opens"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Calendar(**wrong)  # type: ignore[arg-type]


def test_negative_spans_and_times_without_offset_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        add_business_hours(at("2026-06-01T09:00"), -1, CITY)
    with pytest.raises(ValueError, match="negative"):
        add_business_days(at("2026-06-01T09:00"), -1, CITY)
    with pytest.raises(ValueError, match="offset"):
        add_business_hours(datetime(2026, 6, 1), 1, CITY)  # noqa: DTZ001


def test_clocks() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)
    clock = FakeClock(at("2026-06-01T09:00"))
    clock.advance(timedelta(hours=2))
    assert clock.now() == at("2026-06-01T11:00")
    clock.set(at("2026-01-01T00:00"))
    assert clock.now() == at("2026-01-01T00:00")
