"""Roles and scopes."""

import pytest
from handoff_kit.auth import (
    ROLES,
    SCOPES,
    requires,
    scopes_of,
)


def test_every_scope_is_somebodys_and_every_role_has_only_known_ones() -> None:
    assert frozenset().union(*ROLES.values()) == frozenset(SCOPES)


def test_roles_of_the_contract() -> None:
    assert set(ROLES) == {
        "inspector",
        "senior-inspector",
        "ambassador",
        "case-manager",
        "coordinator",
        "department",
        "partner",
        "city-manager",
        "records-officer",
        "it-operator",
        "resident",
        "service",
    }


@pytest.mark.parametrize(
    ("scope", "roles"),
    [
        ("inspections:write", {"department"}),
        ("referrals:write", {"inspector", "senior-inspector", "ambassador", "department"}),
        ("consents:write", {"case-manager"}),
        ("cases:work", {"case-manager"}),
        ("candidates:read", {"case-manager", "coordinator"}),
        ("needs:approve", {"senior-inspector", "coordinator"}),
        ("offers:answer", {"case-manager", "department", "partner"}),
        ("residents:read", {"case-manager", "department", "partner"}),
        ("records:read", {"records-officer"}),
        ("ops:read", {"it-operator"}),
        ("service:disclose", {"service"}),
    ],
)
def test_who_has_a_scope(scope: str, roles: set[str]) -> None:
    assert {role for role, scopes in ROLES.items() if scope in scopes} == roles


def test_scopes_add_up() -> None:
    assert scopes_of([]) == frozenset()
    assert scopes_of(["partner", "inspector"]) == ROLES["partner"] | ROLES["inspector"]


def test_a_scope_that_does_not_exist_cannot_be_required() -> None:
    with pytest.raises(KeyError):
        requires("offers:raed")
