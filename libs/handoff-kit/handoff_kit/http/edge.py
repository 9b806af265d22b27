"""The outermost middleware: trace, metrics, security headers, and the last word on failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handoff_kit.errors import HandoffError
from handoff_kit.http.problems import problem_response
from handoff_kit.telemetry.metrics import Metrics
from handoff_kit.telemetry.spans import describe_server_span, server_span

__all__ = ["Edge"]

_log = logging.getLogger("handoff.http")

# For answers that are data; a page sets its own policy, and what is set is left alone.
_SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_CLASSES: Final = {n: f"{n}xx" for n in range(1, 6)}


class Edge:
    """Pure ASGI, so that streams stay streams. `templates`: endpoint → its route's template."""

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        metrics: Metrics,
        templates: Mapping[Callable[..., Any], str],
    ) -> None:
        self._app = app
        self._service = service
        self._metrics = metrics
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _secured(message.get("headers", ()))
            await send(message)

        with server_span(scope["method"], _traceparent(scope)):
            try:
                await self._app(scope, receive, guarded)
            except Exception as error:  # noqa: BLE001 - the last place where one can be answered
                route = self._route(scope)
                _log.error("request failed", exc_info=error, extra={"route": route})
                if status:
                    # Too late for an answer: break the connection, without the error's message.
                    raise RuntimeError("response broken off") from None
                await problem_response(HandoffError())(scope, receive, guarded)
            finally:
                self._record(scope, status or 499, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = self._route(scope), scope["method"]
        labels = {"service": self._service, "route": route}
        self._metrics.observe("handoff_http_request_seconds", seconds, **labels)
        self._metrics.count(
            "handoff_http_requests_total",
            service=self._service,
            method=method if method in _METHODS else "other",
            route=route,
            status_class=_CLASSES[status // 100],
        )
        describe_server_span(method, route, status)

    def _route(self, scope: Scope) -> str:
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return "unmatched"
        return self._templates.get(endpoint, "other")


_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def _traceparent(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            text: str = value.decode("latin-1")
            return text
    return None


def _secured(headers: Any) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name for name, _ in given}
    given.extend(header for header in _SECURITY if header[0] not in names)
    return given
