"""Who sees which page, and how much of a need each may know."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from event_schemas.codes import NEED_SETTLED, NeedStatus, Role


class PageKey(StrEnum):
    """The part of the path after ``/pages/``."""

    INSPECTOR = "inspector"
    QUEUE = "case-manager"
    OFFERS = "partner"
    FIGURES = "city-manager"
    FLOWS = "it"


@dataclass(frozen=True, slots=True)
class PageRule:
    """``scope`` is what the page's list needs, as the same reading by the API would."""

    key: PageKey
    scope: str
    roles: frozenset[Role]


PAGES: Final[dict[PageKey, PageRule]] = {
    rule.key: rule
    for rule in (
        PageRule(
            PageKey.INSPECTOR,
            "referrals:read",
            frozenset({Role.INSPECTOR, Role.SENIOR_INSPECTOR, Role.AMBASSADOR}),
        ),
        PageRule(PageKey.QUEUE, "cases:work", frozenset({Role.CASE_MANAGER})),
        PageRule(
            PageKey.OFFERS,
            "offers:answer",
            frozenset({Role.PARTNER, Role.DEPARTMENT, Role.CASE_MANAGER}),
        ),
        PageRule(PageKey.FIGURES, "reports:read", frozenset({Role.CITY_MANAGER, Role.COORDINATOR})),
        PageRule(PageKey.FLOWS, "ops:read", frozenset({Role.IT_OPERATOR})),
    )
}


def pages_of(roles: list[str]) -> list[PageKey]:
    """The pages of somebody with these roles; the first one is home."""
    return [key for key, rule in PAGES.items() if rule.roles & set(roles)]


class Coarse(StrEnum):
    """All that who referred may know of a need."""

    RECEIVED = "received"
    REACHED = "reached"
    IN_HAND = "in-hand"
    CLOSED = "closed"


def coarse(status: str, *, reached: bool, feedback: bool) -> Coarse:
    """Without a yes to feedback it is "received", whatever happened."""
    if not feedback:
        return Coarse.RECEIVED
    if status in NEED_SETTLED:
        return Coarse.CLOSED
    if status == NeedStatus.IN_SERVICE:
        return Coarse.IN_HAND
    return Coarse.REACHED if reached else Coarse.RECEIVED


def need_status(said: str, *, taken: bool, asked: bool) -> str:
    """What referral said of the need, with what its offers add: somebody has it, or is asked."""
    if said in NEED_SETTLED:
        return said
    if taken:
        return NeedStatus.IN_SERVICE
    return NeedStatus.OFFERED if asked else said
