"""What a service is to the kit, and what the kit gives it to build with."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from handoff_kit.auth import ServiceToken, Verifier
from handoff_kit.clock import Clock
from handoff_kit.consumer import Group
from handoff_kit.crypto import BlindIndex, KeyWrapper
from handoff_kit.db import Database
from handoff_kit.doorway import Apply, Doorway
from handoff_kit.errors import Unavailable
from handoff_kit.settings import CoreSettings
from handoff_kit.tx import Tx
from handoff_kit.wakes import Wakes

C = TypeVar("C")


@dataclass(frozen=True)
class Periodic:
    """Something a worker does by the clock, in a transaction of its own, one worker at a time.

    ``run`` returns how many things it did; when it did some it is run again at once.
    """

    name: str
    every: float
    run: Callable[[Tx], Awaitable[int]]
    snapshot: bool = False  # See one moment throughout (repeatable read).


@dataclass(frozen=True)
class Loop:
    """Something a worker does until told to stop, such as sending what is due."""

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]


@dataclass
class Built:
    """What a service is made of in one process.

    ``app`` is made when it is first asked for, which a worker never does.
    """

    make_app: Callable[[], FastAPI]
    groups: Sequence[Group] = ()
    periodics: Sequence[Periodic] = ()
    loops: Sequence[Loop] = ()
    # Before the API serves its first request, and after all is served.
    start: Callable[[], Awaitable[None]] | None = None
    close: Callable[[], Awaitable[None]] | None = None

    @cached_property
    def app(self) -> FastAPI:
        return self.make_app()


@dataclass(frozen=True)
class Service:
    """``build`` wires the service; it is the only place where its parts meet."""

    name: str
    package: str
    build: Callable[["Context"], Awaitable[Built]]
    history: Path | None = None

    @property
    def migrations(self) -> Path:
        """Folder of the service's Alembic history: ``history``, else beside its package."""
        if self.history is not None:
            return self.history
        module = import_module(self.package)
        return Path(str(module.__file__)).resolve().parents[1] / "migrations"


@dataclass
class Context:
    """What the kit gives a service to build with."""

    settings: CoreSettings
    service: str
    db: Database
    clock: Clock
    verifier: Verifier
    wakes: Wakes
    http: httpx.AsyncClient
    service_token: ServiceToken | None
    keys: KeyWrapper | None
    index: BlindIndex | None
    doorways: list[Doorway[Any]] = field(default_factory=list)

    def url(self, service: str) -> str:
        return self.settings.url(service)

    def doorway(self, apply: Apply[C], *, writers: int = 2, linger: float = 0.0) -> Doorway[C]:
        """A doorway on this service's database."""
        hash_key = self.index("", "idempotency", self.service) if self.index else os.urandom(32)
        made = Doorway(
            self.db, apply, self.wakes, hash_key=hash_key, writers=writers, linger=linger
        )
        self.doorways.append(made)
        return made

    async def ready(self) -> None:
        """Readiness check: the database answers. Raises: Unavailable."""
        if not await self.db.ready():
            raise Unavailable("the database cannot be reached")
