"""Wiring: the only place where referral's parts meet."""

import asyncio
import logging
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from handoff_kit.cities import city_folder
from handoff_kit.http import create_app
from handoff_kit.outbox import pause
from handoff_kit.service import Built, Context, Periodic, Service
from handoff_kit.settings import read
from handoff_kit.yamlfile import FileRefused

from referral_svc.api import routers
from referral_svc.clients import Intake
from referral_svc.consumers import groups
from referral_svc.handlers.again import try_again
from referral_svc.handlers.clocks import run_clocks
from referral_svc.handlers.obey import obey
from referral_svc.handlers.world import World
from referral_svc.settings import Settings
from referral_svc.settings.policy import changed_at, load_policy

log = logging.getLogger(__name__)
CLOCKS_EVERY = 1.0
AGAIN_EVERY = 1.0


async def build(context: Context) -> Built:
    """Raises `FileRefused` for a faulty policy, `CityNotFound`, `SettingsRefused`."""
    settings = read(Settings)
    folder = city_folder(context.settings.city)
    world = World(load_policy(folder))
    intake = Intake(context.http, context.url("intake"), context.service_token)
    doorway = context.doorway(partial(obey, world))

    def make_app() -> FastAPI:
        return create_app(
            "referral",
            title="Referral",
            verifier=context.verifier,
            routers=routers(context.db, world, doorway, intake),
            readiness={"database": context.ready},
        )

    stop = asyncio.Event()
    # In the doorway's process too: both decide by the policy in force.
    following = asyncio.create_task(follow_policy(world, folder, settings.policy_reload, stop))

    async def close() -> None:
        stop.set()
        await following

    return Built(
        make_app=make_app,
        groups=groups(world),
        periodics=[
            Periodic("clocks", CLOCKS_EVERY, partial(run_clocks, world)),
            Periodic("again", AGAIN_EVERY, partial(try_again, world)),
        ],
        close=close,
    )


async def follow_policy(world: World, folder: Path, every: float, stop: asyncio.Event) -> None:
    """Put a changed policy into force; a faulty one is logged and the old one stays."""
    seen = changed_at(folder)
    while not await pause(stop, every):
        found = changed_at(folder)
        if found == seen:
            continue
        seen = found
        try:
            policy = load_policy(folder)
        except FileRefused as refused:
            log.error("the changed policy is faulty, the old one stays: %s", refused)  # noqa: TRY400
            continue
        world.put_in_force(policy)
        log.info("policy %s is in force", policy.version)


SERVICE = Service(name="referral", package="referral_svc", build=build)
