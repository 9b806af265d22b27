"""/healthz (the process answers), /readyz (it can work), /metrics, at the root and per service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from handoff_kit.auth.guards import PUBLIC
from handoff_kit.http.responses import json_response
from handoff_kit.telemetry.metrics import Metrics

__all__ = ["ReadyCheck", "health_router"]

_log = logging.getLogger("handoff.http")

# Returns when it can work; raises when it cannot. The name is shown, the error is logged.
ReadyCheck = Callable[[], Awaitable[None]]

_TIMEOUT: Final = 2.0  # seconds for each check
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


def health_router(service: str, metrics: Metrics, readiness: Mapping[str, ReadyCheck]) -> APIRouter:
    """The three paths under / and under /{service}; not part of the OpenAPI document."""
    router = APIRouter(dependencies=[PUBLIC], include_in_schema=False)

    async def healthz() -> Response:
        return json_response({"status": "ok", "service": service})

    async def readyz() -> Response:
        results = await asyncio.gather(*(_run(name, check) for name, check in readiness.items()))
        checks = dict(zip(readiness, results, strict=True))
        ready = all(checks.values())
        content = {
            "status": "ready" if ready else "not-ready",
            "service": service,
            "checks": {name: "ok" if fine else "failed" for name, fine in checks.items()},
        }
        return json_response(content, 200 if ready else 503)

    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=_TEXT)

    for prefix in ("", f"/{service}"):
        router.add_api_route(f"{prefix}/healthz", healthz, methods=["GET"])
        router.add_api_route(f"{prefix}/readyz", readyz, methods=["GET"])
        router.add_api_route(f"{prefix}/metrics", exposition, methods=["GET"])
    return router


async def _run(name: str, check: ReadyCheck) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready"
        _log.warning("not ready", exc_info=error, extra={"reason": name})
        return False
    return True
