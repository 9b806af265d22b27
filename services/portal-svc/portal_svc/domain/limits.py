"""A limit on failures by who fails, in the memory of one process."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

_MOST_KEYS = 10_000


@dataclass(slots=True)
class _Window:
    started: float
    failures: int


class FailureLimit:
    """At most ``most`` failures of one key in ``seconds``; times are monotonic seconds.

    Only failures count, so whoever has the right credentials is never slowed down by itself. The
    oldest keys are forgotten when there are too many: this slows down who fails, and guards no
    secret, which is long enough by itself or has a lock-out in the database.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until *key* may try again; 0 when it may now."""
        window = self._windows.get(key)
        if window is None or window.failures < self._most:
            return 0.0
        return max(0.0, window.started + self._seconds - now)

    def failed(self, key: Hashable, now: float) -> None:
        """Count one failure of *key*."""
        window = self._windows.pop(key, None)
        if window is None or now - window.started >= self._seconds:
            window = _Window(now, 0)
        window.failures += 1
        self._windows[key] = window
        while len(self._windows) > _MOST_KEYS:
            self._windows.popitem(last=False)
