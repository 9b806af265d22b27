"""A city's policy: which event is told to whom, in which words, by which ways.

A rule can only choose among what `audience` and `words` allow; `faults` names everything in which
a policy asks for more, and a policy with a fault is never put in force.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from event_schemas import codes

from notify_svc.domain import audience, words
from notify_svc.domain.audience import Relation


class Channel(StrEnum):
    FEED = "feed"
    EMAIL = "email"
    WEBHOOK = "webhook"


class Once(StrEnum):
    """How often one owner hears one template."""

    EVENT = "event"  # for each event
    MOMENT = "moment"  # for events of one case that happened at the same time
    NEED = "need"
    CASE = "case"


class About(StrEnum):
    """Whose case it is: a household's, or a property's alone."""

    RESIDENT = "resident"
    PROPERTY = "property"


_OFFER = frozenset({"about", "target_kind", "category"})
_ABOUT = frozenset({"about"})

# Events that can be told, and the codes of each that a rule may ask for.
EVENTS: Final[dict[str, frozenset[str]]] = {
    "need.requested": frozenset({"about", "category", "urgency", "encounter"}),
    "need.approval-requested": frozenset({"about", "category"}),
    "need.settled": frozenset({"about", "category", "status", "outcome", "reason"}),
    "clock.due": frozenset({"about", "clock"}),
    "case.opened": _ABOUT,
    "case.need-added": frozenset({"about", "category", "urgency"}),
    "case.assigned": _ABOUT,
    "case.contact-attempted": frozenset({"about", "channel", "result"}),
    "case.closed": frozenset({"about", "reason"}),
    "case.reopened": _ABOUT,
    "offer.made": _OFFER | {"urgency"},
    "offer.cancel-requested": frozenset({"about", "reason", "forced"}),
    "offer.accepted": _OFFER,
    "offer.rejected": _OFFER | {"reason", "party"},
    "offer.question-asked": _OFFER,
    "offer.scheduled": _OFFER,
    "offer.no-show": _OFFER,
    "offer.appointment-cancelled": _OFFER | {"reason"},
    "offer.progressed": _OFFER,
    "offer.held": _OFFER | {"reason"},
    "offer.resumed": _OFFER,
    "offer.completed": _OFFER | {"outcome"},
    "offer.failed": _OFFER | {"reason", "party"},
    "offer.cancelled": _OFFER | {"reason", "party"},
}

CODES: Final[dict[str, frozenset[str]]] = {
    "about": frozenset(About),
    "category": frozenset(codes.NeedCategory),
    "urgency": frozenset(codes.Urgency),
    "encounter": frozenset(codes.EncounterKind),
    "status": frozenset(codes.NeedStatus),
    "outcome": frozenset(codes.Outcome),
    "reason": frozenset(codes.Reason),
    "party": frozenset(codes.Party),
    "clock": frozenset(codes.ClockKind),
    "channel": frozenset(codes.ContactChannel),
    "result": frozenset(codes.ContactResult),
    "target_kind": frozenset(codes.TargetKind),
    "forced": frozenset({"true", "false"}),
}

_WITHOUT_NEED: Final = frozenset(
    {"case.opened", "case.assigned", "case.contact-attempted", "case.closed", "case.reopened"}
)

# Open lists: a case's reason to close may be a city's own.
_OPEN: Final = frozenset({("case.closed", "reason")})

# Events that a webhook can ask for: those of the policy, and what becomes of webhooks themselves.
WEBHOOK_TYPES: Final = frozenset(EVENTS)


@dataclass(frozen=True, slots=True)
class Rule:
    """Tell ``tell`` of ``event`` in the words of ``template``.

    ``feedback``: only where the person said yes to feedback, or no person is in the case.
    """

    event: str
    tell: Relation
    template: str
    channels: frozenset[Channel]
    feedback: bool = False
    once: Once = Once.EVENT
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def fits(self, codes_: Mapping[str, str]) -> bool:
        """Whether the event's codes are among those that the rule asks for."""
        return all(codes_.get(name) in wanted for name, wanted in self.when.items())


@dataclass(frozen=True)
class Policy:
    """All rules of a city, under one version."""

    version: str
    rules: tuple[Rule, ...]

    @cached_property
    def by_event(self) -> dict[str, tuple[Rule, ...]]:
        found: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            found[rule.event].append(rule)
        return {event: tuple(rules) for event, rules in found.items()}


def faults(rule: Rule) -> list[tuple[str, str]]:
    """(field, what to mend) for all that this rule must not ask for; empty when it is fine."""
    found = [*_event_faults(rule), *_template_faults(rule), *_feedback_faults(rule)]
    if not rule.channels:
        found.append(("channels", "name at least one of feed, email, webhook"))
    if rule.once is Once.NEED and rule.event in _WITHOUT_NEED:
        found.append(("once", f"{rule.event} is of a case, not of a need; use case"))
    return found


def _event_faults(rule: Rule) -> list[tuple[str, str]]:
    allowed = EVENTS.get(rule.event)
    if allowed is None:
        return [("event", f"no such event; there are: {', '.join(sorted(EVENTS))}")]
    found = []
    for name, wanted in rule.when.items():
        if name not in allowed:
            there = ", ".join(sorted(allowed))
            found.append((f"when.{name}", f"{rule.event} has no such code; it has: {there}"))
        elif (rule.event, name) not in _OPEN and (unknown := sorted(wanted - CODES[name])):
            found.append((f"when.{name}", f"no such {name}: {', '.join(unknown)}"))
    return found


def _template_faults(rule: Rule) -> list[tuple[str, str]]:
    if rule.template not in words.TEMPLATES:
        return [("template", "no such template")]
    family = audience.TEMPLATE_FAMILY[rule.tell]
    if rule.tell is Relation.OWNER:
        return [("tell", "owner is told by Handoff itself, not by a policy")]
    if rule.template.split(".", 1)[0] != family:
        return [("template", f"{rule.tell} may only be told in the words of {family}.…")]
    return []


def _feedback_faults(rule: Rule) -> list[tuple[str, str]]:
    if rule.tell is not Relation.REFERRER or rule.feedback:
        return []
    if rule.event == audience.RECEIVED_EVENT and rule.template == audience.RECEIVED_TEMPLATE:
        return []
    return [
        (
            "feedback",
            f"needs to be 'required': without it a referrer hears {audience.RECEIVED_TEMPLATE}"
            f" of {audience.RECEIVED_EVENT} and nothing else",
        )
    ]
