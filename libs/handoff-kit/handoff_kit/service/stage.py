"""Several services built in one process, with what they share."""

import asyncio
import gc
from collections.abc import Sequence

import httpx

from handoff_kit.auth import FileJwks, HttpJwks, JwksSource, ServiceToken, Verifier
from handoff_kit.clock import SystemClock
from handoff_kit.crypto import BlindIndex, FileKeyWrapper
from handoff_kit.db import Database
from handoff_kit.service.model import Built, Context, Service
from handoff_kit.settings import CoreSettings
from handoff_kit.wakes import Wakes


class Stage:
    """Services built in one process, with what they share."""

    def __init__(self, settings: CoreSettings) -> None:
        self.settings = settings
        self.wakes = Wakes(settings.database_url)
        self.http = httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=50))
        self.contexts: list[Context] = []
        self.built: list[tuple[Context, Built]] = []

    async def build(self, services: Sequence[Service]) -> None:
        """Build every service. Raises: SettingsRefused and what a service's build raises."""
        settings = self.settings
        jwks: JwksSource = (
            FileJwks(settings.jwks_file)
            if settings.jwks_file
            else HttpJwks(self.http, f"{settings.url('portal')}/oauth/jwks.json")
        )
        verifier = Verifier(settings.origin, jwks)
        token = (
            ServiceToken(
                self.http,
                f"{settings.url('portal')}/oauth/token",
                settings.service_client_id,
                settings.service_client_secret,
            )
            if settings.service_client_id
            else None
        )
        keys = FileKeyWrapper(settings.key_file) if settings.key_file else None
        index = BlindIndex.from_file(settings.key_file) if settings.key_file else None
        for service in services:
            context = Context(
                settings=settings,
                service=service.name,
                db=Database(settings.database_url, service.name),
                clock=SystemClock(),
                verifier=verifier,
                wakes=self.wakes,
                http=self.http,
                service_token=token,
                keys=keys,
                index=index,
            )
            self.contexts.append(context)
            self.built.append((context, await service.build(context)))
        # What is built stays; a set makes tens of thousands of short-lived objects, and looking
        # through them every 700 allocations took a third of a worker's time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 50)

    async def check_roles(self) -> None:
        await asyncio.gather(*(context.db.check_roles() for context in self.contexts))

    async def close(self) -> None:
        for context, built in self.built:
            for doorway in context.doorways:
                await doorway.close()
            if built.close is not None:
                await built.close()
        await self.wakes.stop()
        await self.http.aclose()
        for context in self.contexts:
            await context.db.close()
