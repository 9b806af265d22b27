"""The doorway's short way: an endpoint called without routing and dependency injection.

    @router.post("/referrals", status_code=201, openapi_extra=json_body(ReferralIn))
    @direct
    async def refer(
        request: Request, caller: Annotated[Principal, requires("referrals:write")]
    ) -> Response:
        command = parse(ReferralIn, await body_of(request))

It stays an ordinary route: scope, judged body, failures and document are those of any other, and it
behaves the same where it is reached through the router. Its path has no parameters.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from handoff_kit.auth.guards import raise_refusal, required_scope
from handoff_kit.auth.roles import Principal
from handoff_kit.auth.verifier import Verifier
from handoff_kit.errors import HandoffError, Invalid
from handoff_kit.http.problems import field_errors, problem_response

__all__ = ["Application", "Direct", "direct", "direct_endpoints", "json_body", "parse"]

Endpoint = Callable[[Request, Principal], Awaitable[Response]]
Model = TypeVar("Model", bound=BaseModel)

_MARK: Final = "__handoff_direct__"


def direct(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint of exactly (request, caller) that answers with a Response."""
    setattr(endpoint, _MARK, True)
    return endpoint


def parse(model: type[Model], body: bytes) -> Model:
    """The body as a model. Raises Invalid with the fields that have to be mended."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise Invalid(errors=field_errors(found)) from None


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` for a route that parses its body by hand."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def direct_endpoints(app: FastAPI) -> dict[tuple[str, str], tuple[Endpoint, str]]:
    """{(method, path): (endpoint, scope)}. Raises ValueError for one that cannot be direct."""
    found: dict[tuple[str, str], tuple[Endpoint, str]] = {}
    for context in iter_route_contexts(app.routes):
        endpoint = context.endpoint
        if not isinstance(context.original_route, APIRoute) or not hasattr(endpoint, _MARK):
            continue
        path, scope = context.path or "", required_scope(context)
        if "{" in path or scope is None or endpoint is None:
            raise ValueError(f"{path} cannot be direct: it needs a scope and no parameters")
        for method in context.methods or ():
            found[method, path] = endpoint, scope
    return found


class Application(FastAPI):
    """FastAPI, but direct endpoints are reached by `short_way`, around its own middleware.

    `short_way` has to do for them what that does: it answers every failure itself.
    """

    direct: frozenset[tuple[str, str]] = frozenset()  # (method, path)
    short_way: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) in self.direct:
            scope["app"] = self
            await self.short_way(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Direct:
    """The inmost part of the short way: ASGI, inside of the body guard."""

    def __init__(
        self,
        verifier: Verifier,
        endpoints: dict[tuple[str, str], tuple[Endpoint, str]],
    ) -> None:
        self._verifier = verifier
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint, needed = self._endpoints[scope["method"], scope["path"]]
        scope["endpoint"] = endpoint
        request = Request(scope, receive)
        try:
            caller = await self._verifier.principal_of(scope["headers"], needed)
            raise_refusal(request)
            response = await endpoint(request, caller)
        except HandoffError as error:
            response = problem_response(error)
        await response(scope, receive, send)
