"""Roles, scopes and the caller. The two tables here are the only place that joins them.

A scope says which operation may be tried; which rows exist for the caller (its agency, its
organization, its own cases) is the service's own predicate, and what it may not see is a 404.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ROLES", "SCOPES", "SERVICE_ROLE", "Principal", "scopes_of"]

SCOPES: Final[dict[str, str]] = {
    "inspections:write": "Report inspections with their findings",
    "inspections:read": "Read own inspections and what was rejected of them",
    "referrals:write": "Refer a resident or a property",
    "referrals:read": "Read own referrals",
    "consents:write": "Record, extend and withdraw consents",
    "consents:read": "Read consents",
    "cases:read": "Read cases and their timelines, each role its own projection",
    "cases:work": "Work cases: assign, attempts, needs, notes, offers, close, reopen",
    "candidates:read": "Read the candidates for a need, with verdict and reasons",
    "needs:approve": "Approve contacts that the policy reserves",
    "offers:read": "Read offers",
    "offers:answer": "Answer offers and report their progress",
    "residents:read": "Read the consented facts of an accepted offer's resident",
    "properties:read": "Read the property of an offer",
    "directory:read": "Read the directory of organizations and services",
    "directory:write": "Change organizations, services and capacity",
    "directory:import": "Import a directory",
    "notify:self": "Own feed, preferences, webhooks and deliveries",
    "reports:read": "Read figures that name no family",
    "records:read": "Read disclosures and audit records",
    "ops:read": "Read lag, parked events and deliveries",
    "clients:admin": "Create, rotate and revoke clients and users",
    "service:disclose": "Between services: ask for consented facts for a target",
    "service:seal": "Between services: have a note sealed",
    "service:link": "Between services: ask for a case's property and inspection",
}

SERVICE_ROLE: Final = "service"

_EVERYONE = frozenset({"notify:self"})
_REFERRER = frozenset({"referrals:write", "referrals:read", "cases:read"})
_TARGET = frozenset(
    {
        "cases:read",
        "offers:read",
        "offers:answer",
        "residents:read",
        "properties:read",
        "directory:read",
    }
)

ROLES: Final[dict[str, frozenset[str]]] = {
    "inspector": _EVERYONE | _REFERRER | {"directory:read"},
    "senior-inspector": _EVERYONE | _REFERRER | {"directory:read", "needs:approve"},
    "ambassador": _EVERYONE | _REFERRER,
    "case-manager": _EVERYONE
    | _TARGET
    | {"consents:write", "consents:read", "cases:work", "candidates:read"},
    "coordinator": _EVERYONE
    | {
        "cases:read",
        "candidates:read",
        "needs:approve",
        "offers:read",
        "directory:read",
        "directory:write",
        "directory:import",
        "reports:read",
    },
    "department": _EVERYONE | _REFERRER | _TARGET | {"inspections:write", "inspections:read"},
    "partner": _EVERYONE | _TARGET | {"directory:write"},
    "city-manager": _EVERYONE | {"directory:read", "reports:read"},
    "records-officer": _EVERYONE | {"records:read"},
    "it-operator": _EVERYONE | {"ops:read", "clients:admin"},
    # A resident comes by link or receipt and holds no access token.
    "resident": frozenset(),
    SERVICE_ROLE: frozenset({"service:disclose", "service:seal", "service:link"}),
}


def scopes_of(roles: Iterable[str]) -> frozenset[str]:
    """All scopes of these roles. Raises KeyError for a role that does not exist."""
    return frozenset[str]().union(*(ROLES[role] for role in roles))


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request, as its access token states it, and until when (Unix seconds)."""

    subject: str
    agency: str
    client_id: str | None = None
    organization: str | None = None
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)
    expires_at: float = field(default=math.inf, compare=False)

    @property
    def caller(self) -> str:
        """Whose Idempotency-Keys these are: the client, or the person where there is none."""
        return self.client_id or self.subject

    def has(self, scope: str) -> bool:
        return scope in self.scopes
