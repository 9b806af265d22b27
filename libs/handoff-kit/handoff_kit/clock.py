"""Time: where "now" comes from, and arithmetic in a city's business hours.

Everything here is pure but `SystemClock.now`. Times given and returned are aware; results are in
UTC, since subtracting two times of one zone ignores its changes of offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

__all__ = [
    "Calendar",
    "Clock",
    "FakeClock",
    "SystemClock",
    "add_business_days",
    "add_business_hours",
]

_DAY: Final = timedelta(days=1)
_NOTHING: Final = timedelta(0)


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present time, aware."""
        ...


class SystemClock:
    """The machine's clock. Where consent is decided, the database's clock is used instead."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self._now = _aware(now)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by

    def set(self, now: datetime) -> None:
        self._now = _aware(now)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A city's business hours. `weekdays`: 0 is Monday, as in `date.weekday`.

    `opens` and `closes` are local wall-clock times; `closes` of 00:00 is the end of the day. Raises
    ValueError, naming what to mend, for a calendar that never opens.
    """

    timezone: str = "UTC"
    opens: time = time(9)
    closes: time = time(17)
    weekdays: frozenset[int] = frozenset(range(5))
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError("timezone is no zone of the IANA database") from None
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError("opens and closes are local times, without offset")
        if self.closes != time(0) and self.closes <= self.opens:
            raise ValueError("closes has to be later than opens")
        if not self.weekdays or not self.weekdays <= frozenset(range(7)):
            raise ValueError("weekdays needs at least one day from 0 (Monday) to 6 (Sunday)")

    def is_business_day(self, day: date) -> bool:
        return day.weekday() in self.weekdays and day not in self.holidays

    def hours_of(self, day: date) -> tuple[datetime, datetime]:
        """When this day opens and closes, in UTC, whether or not it is a business day."""
        last = day + _DAY if self.closes == time(0) else day
        return self._instant(day, self.opens), self._instant(last, self.closes)

    def day_of(self, moment: datetime) -> date:
        """The local date of a moment."""
        return _aware(moment).astimezone(ZoneInfo(self.timezone)).date()

    def _instant(self, day: date, at: time) -> datetime:
        # A wall-clock time that a change of offset skips is read with the offset before it.
        return datetime.combine(day, at, ZoneInfo(self.timezone)).astimezone(UTC)


def add_business_hours(start: datetime, hours: float | timedelta, calendar: Calendar) -> datetime:
    """The moment when so many business hours have passed since `start`.

    Hours outside business hours do not count. What is used up just at closing is due at closing,
    not at the next opening. Raises ValueError for negative hours.
    """
    left = hours if isinstance(hours, timedelta) else timedelta(hours=hours)
    if left < _NOTHING:
        raise ValueError("hours cannot be negative")
    moment = _aware(start).astimezone(UTC)
    for opens, closes in _windows(calendar.day_of(moment), calendar):
        if closes < moment:
            continue
        moment = max(moment, opens)
        if left <= closes - moment:
            return moment + left
        left -= closes - moment
    raise AssertionError("unreachable: windows go on for ever")


def add_business_days(start: datetime, days: int, calendar: Calendar) -> datetime:
    """The close of the n-th business day after the day of `start`.

    The day of the event does not count and the last day counts to its end, as deadlines in days are
    counted at law. `days=0` is the close of the same day, or of the first business day after it.
    Raises ValueError for negative days.
    """
    if days < 0:
        raise ValueError("days cannot be negative")
    day = calendar.day_of(start)
    left = days
    while left > 0 or not calendar.is_business_day(day):
        day += _DAY
        if calendar.is_business_day(day):
            left -= 1
    return calendar.hours_of(day)[1]


def _windows(first: date, calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    day = first
    while True:
        if calendar.is_business_day(day):
            yield calendar.hours_of(day)
        day += _DAY


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without offset")
    return moment
