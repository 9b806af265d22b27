"""Records that were read ahead of their turn, given out by the time they were said."""

import heapq
from collections import deque
from collections.abc import Iterable

from handoff_kit.bus.ports import Place, Record


class Ahead:
    """A buffer for each partition. A partition's own order is never changed.

    Behind by much, a reader that took one partition after the other would give answers long before
    what they answer, and each would have to wait.
    """

    def __init__(self) -> None:
        self._buffers: dict[Place, deque[Record]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buffers.values()))

    def held(self, place: Place) -> int:
        """How many records of *place* wait here."""
        return len(self._buffers.get(place, ()))

    def add(self, record: Record) -> None:
        self._buffers.setdefault((record.topic, record.partition), deque()).append(record)

    def clear(self) -> None:
        self._buffers.clear()

    def take(self, limit: int, unfinished: Iterable[Place]) -> list[Record]:
        """Up to *limit* records, oldest first.

        *unfinished*: partitions of which the log holds more than is here. It ends when the buffer
        of one of them is empty, since what it lacks may be the oldest.
        """
        more = set(unfinished)
        if any(not self._buffers.get(place) for place in more):
            return []
        heap = [(_said(buffer), place) for place, buffer in self._buffers.items() if buffer]
        heapq.heapify(heap)
        taken: list[Record] = []
        while heap and len(taken) < limit:
            _, place = heap[0]
            buffer = self._buffers[place]
            taken.append(buffer.popleft())
            if buffer:
                heapq.heapreplace(heap, (_said(buffer), place))
                continue
            heapq.heappop(heap)
            if place in more:
                break
        return taken


def _said(buffer: deque[Record]) -> str:
    return buffer[0].headers.get("ce_time", "")
