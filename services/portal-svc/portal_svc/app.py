"""Wiring of the portal; its commands are ``api``, ``worker`` and ``migrate``."""

import os
from functools import partial
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from handoff_kit.auth import Signer
from handoff_kit.cities import city_folder
from handoff_kit.city import load_city
from handoff_kit.doorway import Doorway
from handoff_kit.http import create_app
from handoff_kit.service import Built, Context, Periodic, Service
from handoff_kit.settings import SettingsRefused, read
from handoff_kit.tx import Tx

from portal_svc.api.addresses import origins
from portal_svc.api.admin import admin_router
from portal_svc.api.forms import FORM_BODY
from portal_svc.api.live import live_router
from portal_svc.api.oauth import oauth_router
from portal_svc.api.pages import add_page_failures, pages_router, reads_of
from portal_svc.api.render import Renderer, load_assets, static_router
from portal_svc.api.session import Cookies, Sessions
from portal_svc.api.signin import sign_in_router
from portal_svc.api.streams import Streams
from portal_svc.consumers import groups
from portal_svc.handlers.clients import ensure_service_client
from portal_svc.handlers.commands import apply_commands
from portal_svc.handlers.follow import CHANGED
from portal_svc.handlers.signin import SignIn, tidy
from portal_svc.handlers.tokens import TokenIssuer
from portal_svc.settings import PortalSettings


async def build(context: Context) -> Built:
    """Raises: SettingsRefused; yamlfile.FileRefused and cities.CityNotFound for the city."""
    settings = read(PortalSettings)
    city = load_city(city_folder(context.settings.city))
    token_url = f"{context.settings.origin}/oauth/token"
    try:
        signer = Signer(settings.signing_keys_file, context.settings.origin)
    except ValueError as error:
        raise SettingsRefused(f"HANDOFF_SIGNING_KEYS_FILE: {error}") from None
    doorway: Doorway[object] = context.doorway(apply_commands, writers=1)
    issuer = TokenIssuer(context.db, signer, context.clock, token_url=token_url)

    async def start() -> None:
        """Services call each other as the client that the environment names."""
        core = context.settings
        if core.service_client_id:
            async with context.db.sets() as connection:
                now = await connection.fetchval("SELECT clock_timestamp()")
                tx = Tx(connection, now, context.service)
                await ensure_service_client(
                    tx,
                    agency=city.agency,
                    client_id=core.service_client_id,
                    secret=core.service_client_secret,
                )
                await tx.save()

    cookies = Cookies(secure=context.settings.origin.startswith("https://"))
    index = context.index
    device_key = index("", "known-device", context.service) if index else os.urandom(32)
    sign_in = SignIn(context.db, doorway, city.agency, device_key=device_key)
    sessions = Sessions(sign_in, cookies)
    streams = Streams(context.wakes, sign_in.standing)
    origin_of = origins(settings.proxies)
    assets = load_assets()
    renderer = Renderer(city.name, city.timezone, assets, cookies)
    reads = reads_of(context.db, context.clock, ZoneInfo(city.timezone))

    def make_app() -> FastAPI:
        app = create_app(
            "portal",
            title="Handoff portal",
            description="Sign-in, credentials, and one page for each role.",
            verifier=context.verifier,
            routers=[admin_router(context.db, doorway, city, token_url)],
            root_routers=[
                oauth_router(issuer, signer, origin_of),
                sign_in_router(sessions, renderer, origin_of),
                pages_router(sessions, renderer, reads),
                live_router(sessions, streams),
                static_router(assets),
            ],
            readiness={"database": context.ready},
            body_rules=dict.fromkeys(("/oauth/token", "/sign-in", "/sign-out"), FORM_BODY),
        )
        add_page_failures(app, sessions, renderer)
        return app

    return Built(
        make_app=make_app,
        start=start,
        close=streams.close,
        groups=groups(partial(context.wakes.wake, CHANGED)),
        periodics=[Periodic("portal-tidy", 600, tidy)],
    )


SERVICE = Service(name="portal", package="portal_svc", build=build)
