"""Events that wait for another writer's: named by the handler, set aside by the consumer."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from handoff_kit.consumer.model import Identity, Received
from handoff_kit.errors import Waiting

T = TypeVar("T")


def each(events: Iterable[Received], take: Callable[[Received], None]) -> None:
    """Give each event to *take*, in order, and name all that must wait at once.

    An event of the same key as one that waits is not tried: the consumer keeps it behind that one.
    Raises: Waiting for the set, after *take* raised it for an event.
    """
    waits: dict[Identity, str] = {}
    keys: set[tuple[str, str]] = set()
    for event in events:
        if (event.topic, event.key) in keys:
            continue
        try:
            take(event)
        except Waiting as error:
            waits[event.identity] = error.detail
            keys.add((event.topic, event.key))
    if waits:
        raise Waiting(next(iter(waits.values())), events=waits)


async def setting_aside(attempt: Callable[[Mapping[Identity, str]], Awaitable[T]]) -> T:
    """Try a set, and anew without those that must wait, until nobody names any more of them.

    *attempt* gets those known so far, and for what each waits. Raises: what it raises; Waiting when
    that names nobody new.
    """
    waits: dict[Identity, str] = {}
    while True:
        try:
            return await attempt(waits)
        except Waiting as error:
            known = len(waits)
            waits |= error.events
            if len(waits) == known:
                raise
