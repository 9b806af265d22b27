"""What a member has read and not yet committed, and the sets of it that are in hand."""

import asyncio
from collections.abc import Iterable

from handoff_kit.bus.ports import Record
from handoff_kit.consumer.applying import ABREAST, Consumer, share_of

# Records that make a second transaction worth its price.
_WORTH = 200


class InHand:
    """Little goes as one set. Much is divided by partition, so that while one set waits for the
    database another is decided; what has one key has one partition, so its order stays.
    """

    def __init__(self, consumer: Consumer, batch: int) -> None:
        self._consumer = consumer
        self._batch = batch
        self._waiting: list[list[Record]] = [[] for _ in range(ABREAST)]
        self._running: dict[int, asyncio.Task[bool]] = {}

    @property
    def busy(self) -> bool:
        """Whether sets are under way."""
        return bool(self._running)

    @property
    def room(self) -> int:
        """How many records may be read now; never a few, which are not worth a round trip."""
        room = ABREAST * self._batch - sum(map(len, self._waiting))
        return room if room >= self._batch // 2 else 0

    def give(self, records: Iterable[Record]) -> None:
        """Take *records*, each partition's in order, following on what was given before."""
        for record in records:
            self._waiting[share_of(record)].append(record)
        if self._running:
            self._begin()

    async def work(self) -> bool:
        """Go on until a set has ended, if anything waits; whether anything was committed.

        Raises: what a set raised, after all have ended and what waited is forgotten.
        """
        if not self._running:
            if sum(map(len, self._waiting)) < ABREAST * _WORTH:
                return await self._all()
            self._begin()
        if self._running:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
        return await self._ended()

    async def finish(self) -> bool:
        """Wait for the sets in hand and begin no other. Like `work`."""
        if self._running:
            await asyncio.wait(self._running.values())
        return await self._ended()

    async def forget(self) -> None:
        """Wait for the sets in hand, whose outcome `work` tells, and drop what waits."""
        for waiting in self._waiting:
            waiting.clear()
        if self._running:
            await asyncio.wait(self._running.values())

    async def _all(self) -> bool:
        records = [record for waiting in self._waiting for record in waiting]
        for waiting in self._waiting:
            waiting.clear()
        return bool(records) and await self._consumer.process(records)

    def _begin(self) -> None:
        for share, waiting in enumerate(self._waiting):
            if share not in self._running and len(waiting) >= _WORTH:
                records, self._waiting[share] = waiting[: self._batch], waiting[self._batch :]
                work = self._consumer.process(records, share)
                self._running[share] = asyncio.create_task(work)

    async def _ended(self) -> bool:
        ended = [share for share, task in self._running.items() if task.done()]
        failed = next((e for s in ended if (e := self._running[s].exception())), None)
        if failed is not None:
            await self.forget()
            self._running.clear()
            raise failed
        results = [self._running.pop(share).result() for share in ended]
        return any(results)
