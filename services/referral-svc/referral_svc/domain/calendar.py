"""Business hours of a city, and the arithmetic of clocks in them. Daylight saving included.

An open window is said in local time and measured in real time: a window over the night in which
clocks change is an hour shorter or longer, as it is for those who work in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_LONGEST_SEARCH = 3 * 366  # days; a calendar that opens on no day of three years never opens


class NeverOpen(ValueError):
    """The calendar has no open hour within three years."""


@dataclass(frozen=True)
class Calendar:
    """``hours``: for each weekday (Monday is 0) its open windows, local, in order, apart."""

    zone: ZoneInfo
    hours: tuple[tuple[tuple[time, time], ...], ...]
    holidays: frozenset[date] = field(default_factory=frozenset)

    def add(self, start: datetime, seconds: int) -> datetime:
        """When *seconds* of open time will have passed since *start* (aware); UTC.

        Raises `NeverOpen`.
        """
        left = timedelta(seconds=seconds)
        for opens, closes in self._windows(start):
            if closes - opens >= left:
                return opens + left
            left -= closes - opens
        raise NeverOpen

    def between(self, start: datetime, end: datetime) -> int:
        """Open seconds from *start* to *end*; 0 where *end* is not later."""
        total = timedelta()
        for opens, closes in self._windows(start):
            if opens >= end:
                break
            total += min(closes, end) - opens
        return int(total.total_seconds())

    def _windows(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Open windows from *start* on, the first one cut at it; UTC."""
        start = start.astimezone(UTC)
        day = start.astimezone(self.zone).date()
        for _ in range(_LONGEST_SEARCH):
            if day not in self.holidays:
                for opens, closes in self.hours[day.weekday()]:
                    begin = datetime.combine(day, opens, self.zone).astimezone(UTC)
                    end = datetime.combine(day, closes, self.zone).astimezone(UTC)
                    if end > start and end > begin:
                        yield max(begin, start), end
            day += timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """A length of a clock: seconds of wall time, or of the calendar's open time."""

    seconds: int
    business: bool

    def after(self, start: datetime, calendar: Calendar) -> datetime:
        if self.business:
            return calendar.add(start, self.seconds)
        return start + timedelta(seconds=self.seconds)

    def left(self, now: datetime, due: datetime, calendar: Calendar) -> int:
        """What remains of a clock that is due at *due*, in seconds of this span's time."""
        if self.business:
            return calendar.between(now, due)
        return max(0, int((due - now).total_seconds()))
