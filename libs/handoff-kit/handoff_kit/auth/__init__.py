"""Who calls, and what they may do: JWT access tokens (RFC 9068), roles, scopes.

A route states its scope once:

    @router.get("/offers")
    async def offers(caller: Annotated[Principal, requires("offers:read")]) -> Page[Offer]: ...

and a public one says so, alone or for its router: `dependencies=[PUBLIC]`.
"""

from typing import TYPE_CHECKING, Any

from handoff_kit.auth.client import ServiceToken
from handoff_kit.auth.jwks import FileJwks, HttpJwks, JwksSource, StaticJwks
from handoff_kit.auth.roles import ROLES, SCOPES, SERVICE_ROLE, Principal, scopes_of
from handoff_kit.auth.signer import Signer, create_signing_keys, rotate_signing_keys
from handoff_kit.auth.verifier import AUDIENCE, Verifier

if TYPE_CHECKING:
    from handoff_kit.auth.guards import (
        PUBLIC,
        Operation,
        is_public,
        mark_scope,
        operations,
        required_scope,
        requires,
    )

__all__ = [
    "AUDIENCE",
    "PUBLIC",
    "ROLES",
    "SCOPES",
    "SERVICE_ROLE",
    "FileJwks",
    "HttpJwks",
    "JwksSource",
    "Operation",
    "Principal",
    "ServiceToken",
    "Signer",
    "StaticJwks",
    "Verifier",
    "create_signing_keys",
    "is_public",
    "mark_scope",
    "operations",
    "required_scope",
    "requires",
    "rotate_signing_keys",
    "scopes_of",
]


def __getattr__(name: str) -> Any:
    """What guards routes brings FastAPI, a third of the start of a command that serves none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from handoff_kit.auth import guards

    return getattr(guards, name)
