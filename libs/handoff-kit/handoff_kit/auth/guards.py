"""What stands before a route: its scope, or the statement that it is public.

`create_app` refuses a route that has neither, so nothing is open by oversight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Depends, Request, Security, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.security import OAuth2, SecurityScopes
from starlette.routing import BaseRoute

from handoff_kit.auth.roles import SCOPES, Principal
from handoff_kit.auth.verifier import Verifier
from handoff_kit.errors import HandoffError

__all__ = [
    "PUBLIC",
    "REFUSAL",
    "SCHEME_NAME",
    "Operation",
    "is_public",
    "mark_scope",
    "operations",
    "raise_refusal",
    "required_scope",
    "requires",
]

# Key in the ASGI scope under which the body guard leaves what is wrong with the body. It is raised
# after the caller is known, so that a stranger reads 401 whatever he sent.
REFUSAL: Final = "handoff.refusal"
SCHEME_NAME: Final = "access_token"
_MARK: Final = "__handoff_scope__"

_SCHEME = OAuth2(
    scheme_name=SCHEME_NAME,
    description="JWT access token (RFC 9068), ten minutes",
    flows={"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": SCOPES}},
    auto_error=False,
)


def raise_refusal(request: Request) -> None:
    """Raises what the body guard found wrong: TooLarge, WrongContentType, Invalid."""
    refusal = request.scope.get(REFUSAL)
    if isinstance(refusal, HandoffError):
        raise refusal


async def _principal(
    request: Request, needed: SecurityScopes, _header: str | None = Security(_SCHEME)
) -> Principal:
    verifier: Verifier = request.app.state.verifier
    principal = await verifier.principal_of(request.scope["headers"], needed.scopes[0])
    raise_refusal(request)
    return principal


async def _public(request: Request) -> None:
    raise_refusal(request)


def requires(scope: str) -> Any:
    """The one scope of an operation, as a FastAPI dependency that returns the Principal.

    Use as `caller: Annotated[Principal, requires("offers:read")]`, first among the parameters, or
    in `dependencies=[…]` where the caller itself is not needed. Raises KeyError for a scope that is
    not in the table.
    """
    if scope not in SCOPES:
        raise KeyError(scope)
    return Security(_principal, scopes=[scope])


PUBLIC: Final[params.Depends] = Depends(_public)

_Call = TypeVar("_Call", bound=Callable[..., Any])


def mark_scope(call: _Call, scope: str) -> _Call:
    """Declare that a dependency of another make (a portal's session) enforces this scope."""
    setattr(call, _MARK, scope)
    return call


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path of an application."""

    method: str
    path: str
    scope: str | None
    public: bool
    in_schema: bool
    endpoint: Callable[..., Any]


def operations(routes: Sequence[BaseRoute | RouteContext]) -> Iterator[Operation]:
    """Every operation of an application's routes (`operations(app.routes)`)."""
    for context in iter_route_contexts(routes):
        if not isinstance(context.original_route, APIRoute):
            continue
        for method in sorted(context.methods or ()):
            yield Operation(
                method=method,
                path=context.path or "",
                scope=required_scope(context),
                public=is_public(context),
                in_schema=bool(context.include_in_schema),
                endpoint=context.original_route.endpoint,
            )


def required_scope(route: BaseRoute | RouteContext) -> str | None:
    """The scope that a route needs; None when it has none. Raises ValueError when it has two."""
    found = {scope for dependant in _dependants(route) for scope in _scopes(dependant)}
    if len(found) > 1:
        raise ValueError(f"{getattr(route, 'path', route)} needs several scopes: {sorted(found)}")
    return found.pop() if found else None


def is_public(route: BaseRoute | RouteContext) -> bool:
    """True where the route carries PUBLIC."""
    return any(dependant.call is _public for dependant in _dependants(route))


def _scopes(dependant: Dependant) -> list[str]:
    if dependant.call is _principal:
        return list(dependant.own_oauth_scopes or ())
    marked = getattr(dependant.call, _MARK, None)
    return [marked] if marked else []


def _dependants(route: BaseRoute | RouteContext) -> Iterator[Dependant]:
    waiting: list[Dependant] = [route.dependant] if hasattr(route, "dependant") else []
    while waiting:
        dependant = waiting.pop()
        yield dependant
        waiting.extend(dependant.dependencies)
