"""The routing table: what a need is, decides who is asked, by which clocks and with whose leave.

The first rule that fits counts. A condition names a fact and the codes that fit; a fact that is
not known fits no condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from event_schemas.codes import ClockKind, Reason, Severity, TargetKind, Urgency

from referral_svc.domain.calendar import Calendar, Span

_URGENT_FIRST = (Urgency.EMERGENCY, Urgency.URGENT, Urgency.ROUTINE)
_BY_SEVERITY = {
    Severity.LIFE_THREATENING: Urgency.EMERGENCY,
    Severity.SEVERE: Urgency.URGENT,
}

Facts = Mapping[str, frozenset[str]]
"""Fact (`CONDITIONS`) → the codes that are true of this need; empty: not known."""

CONDITIONS = (
    "category",
    "subject",  # resident or property
    "restricted",  # yes or no
    "urgency",
    "severity",
    "source",  # encounter
    "referrer_role",
    "tenure",
    "household",  # age bands
    "language",
    "property_type",
    "occupancy",
    "owner_type",
    "owner_location",
    "owner_portfolio",
    "owner_history",
    "owner_ability",
    "rent_band",
    "market",
    "block_condition",
)


@dataclass(frozen=True)
class Clock:
    """``every`` is the time between reminders; ``source`` the text or agreement it comes from."""

    within: Span
    source: str
    reminders: int = 0
    every: Span | None = None


Clocks = Mapping[ClockKind, Clock]


@dataclass(frozen=True)
class Rule:
    """One row of the table, compiled.

    ``organizations`` are asked in this order where the target is a department or a case manager;
    ``serves`` are the kinds of need that a service must serve, the need's own where empty.
    ``otherwise`` is the kind of target that is asked when nobody of the first kind remains.
    """

    name: str
    when: Mapping[str, frozenset[str]]
    unless: Mapping[str, frozenset[str]]
    target: TargetKind
    organizations: tuple[UUID, ...]
    serves: frozenset[str]
    otherwise: TargetKind | None
    clocks: Clocks
    approval: tuple[str, ...]
    max_tries: int

    def fits(self, facts: Facts) -> bool:
        return all(facts[fact] & codes for fact, codes in self.when.items()) and not any(
            facts[fact] & codes for fact, codes in self.unless.items()
        )


class Then(StrEnum):
    """Consequence of a reason."""

    TRY_NEXT = "try-next"
    ASK_RESIDENT = "ask-resident"
    NEEDS_PERSON = "needs-person"
    STOP = "stop"
    SAME_TARGET = "same-target"


@dataclass(frozen=True)
class Consequence:
    """``cool_off`` days before the target may be asked again for this need; None: never again.

    ``until_capacity``: until the service says its capacity anew.
    """

    then: Then
    cool_off: int | None = None
    until_capacity: bool = False


@dataclass(frozen=True)
class Matching:
    """How candidates are judged and ranked; ``spoken`` are languages that everybody speaks."""

    ranking: tuple[str, ...]
    capacity_fresh_seconds: int
    spoken: frozenset[str]
    older_adult_from: int


@dataclass(frozen=True)
class Policy:
    """A city's policy in force. ``version`` names what was decided by it."""

    version: str
    calendar: Calendar
    rules: tuple[Rule, ...]
    reasons: Mapping[Reason, Consequence]
    matching: Matching
    case_management: tuple[UUID, ...]
    attempts_to_close: int

    def rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.name == name), None)


def choose(policy: Policy, facts: Facts) -> Rule:
    """The rule in force for these facts. The last rule of a valid policy fits everything."""
    return next(rule for rule in policy.rules if rule.fits(facts))


def effective_urgency(urgency: str, severity: str | None) -> Urgency:
    """Social urgency and severity are two axes; the higher one wins."""
    stated = Urgency(urgency)
    implied = _BY_SEVERITY.get(Severity(severity)) if severity else None
    return min(stated, implied, key=_URGENT_FIRST.index) if implied else stated
