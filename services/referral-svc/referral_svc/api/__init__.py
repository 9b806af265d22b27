"""Referral's HTTP interface, under /referral/v1."""

from fastapi import APIRouter
from handoff_kit.db import Database
from handoff_kit.doorway import Doorway

from referral_svc.api.cases import cases_router
from referral_svc.api.needs import needs_router
from referral_svc.api.parts import Parts
from referral_svc.api.reads import reads_router
from referral_svc.clients import Intake
from referral_svc.handlers.commands import Command
from referral_svc.handlers.world import World


def routers(
    db: Database, world: World, doorway: Doorway[Command], intake: Intake
) -> list[APIRouter]:
    """All routes: what is read, commands on a case, commands on a need."""
    parts = Parts(db, world, doorway, intake)
    return [reads_router(parts), cases_router(parts), needs_router(parts)]


__all__ = ["routers"]
