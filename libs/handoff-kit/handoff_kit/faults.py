"""Named fault points, for tests that kill and delay real processes.

`HANDOFF_FAULTS` holds a list such as `outbox.after_send=kill@3, relay.loop=sleep:0.5`:

    name=kill            the process gets SIGKILL
    name=raise           InjectedFault is raised
    name=sleep:SECONDS   a pause
    ...@n                only at the n-th passage, counted from 1

It is read when this module is imported; unset, a fault point costs one look at an empty table.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from handoff_kit.errors import Transient

__all__ = ["InjectedFault", "activate", "async_fault", "fault"]

VARIABLE = "HANDOFF_FAULTS"


class InjectedFault(Transient):
    """A fault was injected here by a test."""

    default_code = "injected-fault"


@dataclass(slots=True)
class _Point:
    action: str
    seconds: float
    nth: int | None
    passages: int = 0

    def due(self) -> bool:
        self.passages += 1
        return self.nth is None or self.passages == self.nth


def _parse(text: str) -> dict[str, _Point]:
    """Raises ValueError naming the entry that is not understood."""
    points: dict[str, _Point] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, rest = entry.partition("=")
        action, _, nth = rest.partition("@")
        action, _, seconds = action.partition(":")
        timed = action == "sleep"
        if not name or action not in ("kill", "raise", "sleep") or timed != bool(seconds):
            raise ValueError(f"{VARIABLE}: not understood: {entry}")
        try:
            points[name] = _Point(action, float(seconds or 0), int(nth) if nth else None)
        except ValueError:
            raise ValueError(f"{VARIABLE}: not understood: {entry}") from None
    return points


_points: dict[str, _Point] = _parse(os.environ.get(VARIABLE, ""))


def fault(name: str) -> None:
    """Pass the fault point `name`. Raises InjectedFault where a test asked for it."""
    if _points and (seconds := _pass(name)):
        time.sleep(seconds)


async def async_fault(name: str) -> None:
    """`fault` for coroutines: a pause does not block the event loop."""
    if _points and (seconds := _pass(name)):
        await asyncio.sleep(seconds)


def _pass(name: str) -> float:
    """Seconds to pause."""
    point = _points.get(name)
    if point is None or not point.due():
        return 0.0
    if point.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if point.action == "raise":
        raise InjectedFault(f"A fault was injected at {name}.")
    return point.seconds


@contextmanager
def activate(text: str) -> Iterator[None]:
    """Turn fault points on in this process for a while; for tests alone."""
    before = dict(_points)
    _points.clear()
    _points.update(_parse(text))
    try:
        yield
    finally:
        _points.clear()
        _points.update(before)
