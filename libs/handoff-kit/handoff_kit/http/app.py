"""One application per service, all the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.telemetry import TelemetryConfig
from starlette.routing import compile_path

from handoff_kit.auth.guards import operations
from handoff_kit.auth.verifier import Verifier
from handoff_kit.http.body import BodyGuard, BodyRule
from handoff_kit.http.direct import Application, Direct, direct_endpoints
from handoff_kit.http.edge import Edge
from handoff_kit.http.health import ReadyCheck, health_router
from handoff_kit.http.openapi import install_openapi
from handoff_kit.http.problems import add_problem_handlers
from handoff_kit.telemetry.metrics import Metrics, process_metrics

__all__ = ["create_app"]

# FastAPI's own telemetry exports exceptions' messages and rejected input; ours is in `edge`.
_NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    service: str,
    *,
    title: str,
    verifier: Verifier,
    routers: Sequence[APIRouter],
    root_routers: Sequence[APIRouter] = (),
    readiness: Mapping[str, ReadyCheck] | None = None,
    body_rules: Mapping[str, BodyRule] | None = None,
    lifespan: Lifespan | None = None,
    metrics: Metrics | None = None,
    version: str = "1.0.0",
    description: str = "",
) -> FastAPI:
    """The application of `service` (intake, referral, partner, notify, portal).

    `routers` lie under /{service}/v1, `root_routers` at the root (/oauth, pages).
    `readiness`: checks by name for /readyz. `body_rules`: path prefix → other limit or content
    types than 256 KiB of JSON. Raises ValueError for a route with neither a scope nor PUBLIC.
    """
    metrics = metrics or process_metrics()
    app = Application(
        title=title,
        version=version,
        description=description,
        openapi_url=f"/{service}/openapi.json",
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        lifespan=lifespan,
    )
    app.state.verifier = verifier
    add_problem_handlers(app)
    for router in routers:
        app.include_router(router, prefix=f"/{service}/v1")
    app.include_router(health_router(service, metrics, readiness or {}))
    for router in root_routers:
        app.include_router(router)
    _refuse_open_routes(app)
    app.state.methods = _methods(app)
    install_openapi(app)
    templates, endpoints = _templates(app), direct_endpoints(app)
    # The last one added is the outermost.
    app.add_middleware(BodyGuard, rules=body_rules)
    app.add_middleware(Edge, service=service, metrics=metrics, templates=templates)
    app.direct = frozenset(endpoints)
    guarded = BodyGuard(Direct(verifier, endpoints), rules=body_rules)
    app.short_way = Edge(guarded, service, metrics, templates)
    return app


def _refuse_open_routes(app: FastAPI) -> None:
    for operation in operations(app.routes):
        if (operation.scope is None) != operation.public:
            raise ValueError(f"{operation.method} {operation.path} needs either a scope or PUBLIC")


def _templates(app: FastAPI) -> dict[Callable[..., Any], str]:
    """Endpoint → path template, so that metrics never see an id."""
    return {
        context.endpoint: context.path or ""
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute) and context.endpoint is not None
    }


def _methods(app: FastAPI) -> list[tuple[re.Pattern[str], frozenset[str]]]:
    """(pattern of the path, methods) of every route, for the Allow header of a 405."""
    return [
        (compile_path(context.path)[0], frozenset(context.methods))
        for context in iter_route_contexts(app.routes)
        if context.path is not None and context.methods
    ]
