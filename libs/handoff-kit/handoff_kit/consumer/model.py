"""What a consumer works with: groups, events, entries of a set, the gate of a key."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from event_schemas.base import Event
from event_schemas.registry import BY_TOPIC_AND_TYPE

from handoff_kit.bus.ports import Record
from handoff_kit.errors import Transient
from handoff_kit.tx import Cause, Tx

Identity = tuple[str, str]  # source, id
GateKey = tuple[str, str, str]  # source, topic, key
BODY_UNREADABLE = "bad-body"
HEADERS_UNREADABLE = "bad-headers"
GAP = "gap-in-sequence"
BEHIND = "behind-a-parked-event"


class Fenced(Transient):
    """Another member of the group committed for this partition; start again from the database."""


class ParkingCap(Transient):
    """Too many events fail: the code is wrong, not the data. The group pauses and tries again."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event as a handler gets it. ``at`` is when it was said; ``cause`` continues its trace."""

    data: Any
    id: str
    source: str
    agency: str
    at: datetime
    topic: str
    key: str
    sequence: int | None
    cause: Cause

    @property
    def identity(self) -> Identity:
        return (self.source, self.id)


Apply = Callable[[Tx, Sequence[Received]], Awaitable[None]]


@dataclass(frozen=True)
class Group:
    """A consumer group: which events, and the one function that takes them as a set.

    ``events`` are the models it reads; other types on its topics are skipped and counted.
    ``topics`` are derived from them unless given. ``after`` is called after each commit.
    ``batch``: events of a set, of which two are in hand at once when much waits. ``linger``:
    seconds in which a set may fill, for a group whose effect nobody waits for: fewer, fuller sets
    leave the time to the others. ``needless`` says of an event that nothing follows from it, ever:
    it is passed like one of a type that the group does not read.
    """

    name: str
    events: frozenset[type[Event]]
    apply: Apply
    topics: tuple[str, ...] = ()
    batch: int = 700
    linger: float = 0.0
    needless: Callable[[Event], bool] | None = None
    after: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        if not self.topics:
            found = {t for (t, _), m in BY_TOPIC_AND_TYPE.items() if m in self.events}
            object.__setattr__(self, "topics", tuple(sorted(found)))


@dataclass(slots=True)
class Entry:
    """A record with what its headers say, and what it turned out to be."""

    record: Record
    source: str = ""
    event_id: str = ""
    type: str = ""
    agency: str = ""
    sequence: int | None = None
    received: Received | None = None
    fault: str | None = None  # Why it cannot be read, as a code.
    detail: str = ""

    @property
    def gate_key(self) -> GateKey:
        return (self.source, self.record.topic, self.record.key)

    @property
    def identity(self) -> Identity:
        return (self.source, self.event_id)


@dataclass(slots=True)
class Gate:
    sequence: int
    blocked: bool
    known: bool = True
    held: frozenset[int] = frozenset()  # Sequences parked and open, if blocked.


@dataclass(slots=True)
class Plan:
    """What is to become of a set: decided before anything runs."""

    deliver: list[Entry] = field(default_factory=list)
    park: list[tuple[Entry, str, str, str]] = field(default_factory=list)  # state, reason, detail
    skipped: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
