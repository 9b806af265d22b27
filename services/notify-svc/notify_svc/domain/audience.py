"""Who may be told, and the most that each may ever be told.

The tables here are the wall: a city's policy chooses among what they allow and cannot widen them
(`policy.faults`). What is told to who referred is a disclosure too, and who enforces housing law
never hears what a household needs.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from event_schemas.codes import Role


class Relation(StrEnum):
    """What somebody is to the case that an event tells of."""

    REFERRER = "referrer"
    TARGET = "target"
    CASE_MANAGEMENT = "case-management"
    CITY_MANAGER = "city-manager"
    COORDINATOR = "coordinator"
    APPROVERS = "approvers"
    # The owner of a webhook hears of the webhook itself. Not for a policy.
    OWNER = "owner"


class Link(StrEnum):
    """An id that a feed item or a webhook may hold."""

    CASE = "case_id"
    NEED = "need_id"
    OFFER = "offer_id"
    ORGANIZATION = "organization_id"


_OWN_OFFER = frozenset({Link.CASE, Link.NEED, Link.OFFER})

MAY_LINK: Final[dict[Relation, frozenset[Link]]] = {
    Relation.REFERRER: frozenset({Link.CASE}),
    Relation.TARGET: _OWN_OFFER,
    Relation.CASE_MANAGEMENT: _OWN_OFFER | {Link.ORGANIZATION},
    # Any id would join a figure to one family.
    Relation.CITY_MANAGER: frozenset(),
    Relation.COORDINATOR: _OWN_OFFER | {Link.ORGANIZATION},
    Relation.APPROVERS: frozenset({Link.CASE, Link.NEED}),
    Relation.OWNER: frozenset(),
}

MAY_READ: Final[dict[Relation, frozenset[str]]] = {
    Relation.REFERRER: frozenset({"help"}),
    Relation.TARGET: frozenset({"help"}),
    Relation.CASE_MANAGEMENT: frozenset({"help", "organization"}),
    Relation.CITY_MANAGER: frozenset(),
    Relation.COORDINATOR: frozenset({"help", "organization"}),
    Relation.APPROVERS: frozenset(),
    Relation.OWNER: frozenset(),
}

TEMPLATE_FAMILY: Final[dict[Relation, str]] = {
    Relation.REFERRER: "referrer",
    Relation.TARGET: "target",
    Relation.CASE_MANAGEMENT: "manager",
    Relation.CITY_MANAGER: "city",
    Relation.COORDINATOR: "coordinator",
    Relation.APPROVERS: "approver",
    Relation.OWNER: "owner",
}

# Of a restricted kind only the target hears, and only that something waits.
RESTRICTED_EVENT: Final = "offer.made"
RESTRICTED_TEMPLATE: Final = "target.offer-waits"

# What says "stop" is told although the consent has ended, or rather because it has.
TOLD_WITHOUT_CONSENT: Final = frozenset({"offer.cancelled", "offer.cancel-requested"})

# The only thing that a referrer hears without a yes to feedback.
RECEIVED_EVENT: Final = "need.requested"
RECEIVED_TEMPLATE: Final = "referrer.received"

# Roles that act for an organization: only they read what is addressed to it. An inspector whose
# department is also a target does not.
TARGET_ROLES: Final = frozenset({Role.CASE_MANAGER, Role.DEPARTMENT, Role.PARTNER})

# Roles that a notice may be addressed to as a whole.
ADDRESSED_ROLES: Final = frozenset({Role.CITY_MANAGER, Role.COORDINATOR, Role.SENIOR_INSPECTOR})

# Not persons or clients that read a feed.
NOBODY: Final = frozenset({Role.SYSTEM, Role.SERVICE, Role.RESIDENT})


def subject_owner(subject: str) -> str:
    """Address of one person or client: ``subject:<id>``."""
    return f"subject:{subject}"


def organization_owner(organization_id: object) -> str:
    """Address of an organization: ``organization:<id>``."""
    return f"organization:{organization_id}"


def role_owner(role: str) -> str:
    """Address of everybody with a role in the agency: ``role:<role>``."""
    return f"role:{role}"


def owners_of(subject: str, organization: str | None, roles: Iterable[str]) -> list[str]:
    """Every address at which a caller is told something; its own first."""
    held = frozenset(roles)
    found = [subject_owner(subject)]
    if organization is not None and held & TARGET_ROLES:
        found.append(organization_owner(organization))
    return found + [role_owner(role) for role in sorted(held & ADDRESSED_ROLES)]


def manages(subject: str, organization: str | None, roles: Iterable[str]) -> str:
    """The owner of what a caller sets up (webhooks): its organization where it acts for one."""
    if organization is not None and frozenset(roles) & TARGET_ROLES:
        return organization_owner(organization)
    return subject_owner(subject)
