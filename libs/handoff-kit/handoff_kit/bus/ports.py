"""Two small ports: who puts records on the log, and who reads them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

log = logging.getLogger(__name__)
# A record larger than this is refused by every log (Kafka's own default).
MAX_RECORD_BYTES = 1_000_000

Place = tuple[str, int]  # topic, partition


class Rejected(ValueError):
    """The log refuses this record for what it is, such as its size; sending again is no help."""


class Record(NamedTuple):
    """One record. ``headers`` hold the CloudEvents attributes as text (``ce_id``, …)."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    value: bytes


class Outgoing(NamedTuple):
    """A record on its way out. ``sequence`` counts per (source, topic, key) from 1, no holes."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: bytes


# Asked when partitions are given to a reader: where does the database say that we stand?
Lookup = Callable[[Sequence[Place]], Awaitable[Mapping[Place, int]]]


def tell_of_lost(topic: str, partition: int, first: int, group: str, offset: int) -> None:
    """Say loudly that retention was faster than a group."""
    log.critical(
        "records of %s/%d before %d are gone from the log; group %s stands at %d",
        topic,
        partition,
        first,
        group,
        offset,
    )


class Reader(Protocol):
    """One member of a consumer group.

    The positions that count are the database's: the reader seeks to them when it is assigned a
    partition and when it is told to, and never goes on from what the log remembers for the group.
    """

    async def fetch(self, limit: int, wait: float, linger: float = 0.0) -> list[Record]:
        """Up to *limit* records of the assigned partitions, in order within each.

        Waits at most *wait* seconds for the first, and with the first news *linger* seconds for
        more. Records come once; ``rewind`` brings them back.
        Raises: Transient when the log is away; a Reader that raised must be closed and made anew.
        """
        ...

    def assigned(self) -> frozenset[Place]:
        """The places that this member owns now, as far as it knows."""
        ...

    async def rewind(self) -> None:
        """Go back to where the database stands, on every assigned partition."""
        ...

    async def told(self, committed: Mapping[Place, int]) -> None:
        """Where the database stands, on places that may no longer be this member's.

        The log may show it to lag tools.
        """
        ...

    async def lag(self) -> dict[Place, int]:
        """Records behind, for each assigned place."""
        ...

    async def close(self) -> None: ...


class Log(Protocol):
    """A log that groups read."""

    async def reader(self, group: str, topics: Sequence[str], lookup: Lookup) -> Reader: ...

    async def close(self) -> None: ...


class Publisher(Protocol):
    """Puts records on the log, in order within a key."""

    async def send(self, records: Sequence[Outgoing]) -> list[BaseException | None]:
        """Send *records*; one entry each: None when durable, else why it is not.

        After the first failure of a key nothing later of that key counts as sent.
        """
        ...

    async def close(self) -> None: ...


__all__ = [
    "MAX_RECORD_BYTES",
    "Log",
    "Lookup",
    "Outgoing",
    "Place",
    "Publisher",
    "Reader",
    "Record",
    "Rejected",
    "tell_of_lost",
]
