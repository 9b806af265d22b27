"""Every operation has a scope or says that it is public; every promised operation is there."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from handoff_kit.auth import SCOPES
from handoff_kit.settings import SERVICES

# The contract's table of HTTP operations, by service. A parameter's name is open.
PROMISED: dict[str, tuple[str, ...]] = {
    "portal": (
        "POST /oauth/token",
        "GET /oauth/jwks.json",
    ),
    "intake": (
        "POST /intake/v1/inspections",
        "GET /intake/v1/inspections",
        "GET /intake/v1/inspections/{}",
        "GET /intake/v1/inbound/rejected",
        "POST /intake/v1/referrals",
        "GET /intake/v1/referrals/{}",
        "POST /intake/v1/consents",
        "GET /intake/v1/consents/{}",
        "POST /intake/v1/consents/{}/withdraw",
        "GET /intake/v1/receipts/{}",
        "POST /intake/v1/receipts/{}/withdraw",
        "POST /intake/v1/receipts/{}/consents",
    ),
    "referral": (
        "GET /referral/v1/cases",
        "GET /referral/v1/cases/{}",
        "GET /referral/v1/cases/{}/timeline",
        *(
            f"POST /referral/v1/cases/{{}}/{command}"
            for command in ("assign", "contact-attempts", "needs", "notes", "close", "reopen")
        ),
        "GET /referral/v1/needs/{}/candidates",
        *(
            f"POST /referral/v1/needs/{{}}/{command}"
            for command in ("offers", "hold", "resume", "withdraw", "approve")
        ),
    ),
    "partner": (
        "GET /partner/v1/offers",
        "GET /partner/v1/offers/{}",
        *(
            f"POST /partner/v1/offers/{{}}/{transition}"
            for transition in (
                "accept",
                "decline",
                "ask",
                "schedule",
                "no-show",
                "cancel-appointment",
                "progress",
                "hold",
                "resume",
                "complete",
                "fail",
                "confirm-cancel",
                "undo-accept",
            )
        ),
        "GET /partner/v1/offers/{}/resident",
        "GET /partner/v1/offers/{}/property",
        "GET /partner/v1/organizations",
        "GET /partner/v1/organizations/{}",
        "PUT /partner/v1/organizations/{}",
        "GET /partner/v1/services",
        "GET /partner/v1/services/{}",
        "PUT /partner/v1/services/{}",
        "PUT /partner/v1/services/{}/capacity",
        "POST /partner/v1/directory/imports",
    ),
    "notify": (
        "GET /notify/v1/feed",
        "GET /notify/v1/stream",
        "GET /notify/v1/preferences",
        "PUT /notify/v1/preferences",
        "GET /notify/v1/webhooks",
        "POST /notify/v1/webhooks",
        "GET /notify/v1/webhooks/{}",
        "PUT /notify/v1/webhooks/{}",
        "DELETE /notify/v1/webhooks/{}",
        "GET /notify/v1/deliveries",
        "POST /notify/v1/deliveries/{}/redeliver",
    ),
}
# In the contract and not in this release; an entry goes when the operation comes.
LATER: dict[str, tuple[str, ...]] = {
    "partner": (
        "GET /a/{}",
        "GET /hsds",
        "GET /hsds/services",
        "GET /hsds/services/{}",
    ),
}
# Between services alone (docs/architecture.md): a service's own token and no other.
BETWEEN_SERVICES = (
    "POST /intake/v1/disclosures",
    "POST /intake/v1/notes",
    "POST /intake/v1/notes/read",
    "POST /intake/v1/links",
    "POST /intake/v1/properties/read",
)
# Whoever holds the secret in the path, or has yet to prove who they are. Nothing else is open.
PUBLIC = {
    "POST /oauth/token",
    "GET /oauth/jwks.json",
    "GET /intake/v1/receipts/{}",
    "POST /intake/v1/receipts/{}/withdraw",
    "POST /intake/v1/receipts/{}/consents",
    *(
        f"GET {prefix}/{check}"
        for prefix in ("", *(f"/{service}" for service in SERVICES))
        for check in ("healthz", "readyz", "metrics")
    ),
}
# The portal's pages answer with a sign-in page; what they show needs a session's scope.
PUBLIC_PAGES = re.compile(r"GET /static/|GET /sign-in|POST /sign-in|POST /sign-out|GET /$")


def key(operation: Any) -> str:
    return f"{operation.method} {re.sub(r'{[^}]*}', '{}', operation.path)}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_a_scope_or_is_known_to_be_public(
    surfaces: Mapping[str, Any], service: str
) -> None:
    assert surfaces[service].operations
    for operation in surfaces[service].operations:
        where = key(operation)
        if operation.public:
            assert operation.scope is None, where
            assert where in PUBLIC or PUBLIC_PAGES.match(where), f"{where} is open to everybody"
        else:
            assert operation.scope in SCOPES, where


@pytest.mark.parametrize("service", SERVICES)
def test_what_was_promised_is_there(surfaces: Mapping[str, Any], service: str) -> None:
    there = {key(operation) for operation in surfaces[service].operations}
    assert set(PROMISED[service]) - there == set()
    assert set(LATER.get(service, ())) & there == set(), "no longer later: move it to PROMISED"


def test_calls_between_services_need_a_service_token(surfaces: Mapping[str, Any]) -> None:
    scopes = {key(o): o.scope or "" for o in surfaces["intake"].operations}
    assert {c: scopes[c] for c in BETWEEN_SERVICES if not scopes[c].startswith("service:")} == {}
    others = {
        key(o)
        for surface in surfaces.values()
        for o in surface.operations
        if (o.scope or "").startswith("service:")
    }
    assert others == set(BETWEEN_SERVICES)


def test_every_scope_is_needed_somewhere_or_kept_for_later(surfaces: Mapping[str, Any]) -> None:
    used = {o.scope for surface in surfaces.values() for o in surface.operations if o.scope}
    later = {"reports:read", "ops:read"}
    assert set(SCOPES) - used <= later


def test_paths_lie_under_their_service(surfaces: Mapping[str, Any]) -> None:
    # Whoever serves at another root needs a route in deploy/proxy/Caddyfile too.
    roots = {"portal": ("/",)}
    for service, surface in surfaces.items():
        own = (f"/{service}/", "/healthz", "/readyz", "/metrics", *roots.get(service, ()))
        strangers = [o.path for o in surface.operations if not o.path.startswith(own)]
        assert strangers == [], service
