"""The APIs of one or several services on one port."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI

from handoff_kit.service.model import Service
from handoff_kit.service.stage import Stage
from handoff_kit.settings import CoreSettings

Receive = Callable[[], Awaitable[Any]]


def dispatcher(apps: dict[str, FastAPI], root: str) -> Any:
    """One origin for several services: the first part of the path chooses, *root* has the rest."""

    async def dispatch(scope: dict[str, Any], receive: Receive, send: Any) -> None:
        path: str = scope.get("path", "/")
        app = apps.get(path.split("/", 2)[1] if path.startswith("/") else "")
        await (app or apps[root])(scope, receive, send)

    return dispatch


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def serve(app: Any, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve *app* until *stop*; what is in flight gets five seconds.

    Raises: OSError when the port is taken.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        server_header=False,
        proxy_headers=False,  # Who calls is who is connected, whatever headers say.
        date_header=False,
        backlog=1024,
    )
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        stopping.cancel()


async def run_api(services: Sequence[Service], settings: CoreSettings, stop: asyncio.Event) -> None:
    """Serve the APIs of *services* on one port until *stop*."""
    stage = Stage(settings)
    try:
        await stage.build(services)
        await stage.check_roles()
        for _, built in stage.built:
            if built.start is not None:
                await built.start()
        await stage.wakes.start(listen=True)
        apps = {context.service: built.app for context, built in stage.built}
        root = "portal" if "portal" in apps else next(iter(apps))
        app = dispatcher(apps, root) if len(apps) > 1 else apps[root]
        await serve(app, settings.host, settings.port, stop)
    finally:
        await stage.close()
