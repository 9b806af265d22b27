"""What the routes work with, and who the caller is to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from event_schemas.codes import Role
from handoff_kit.auth import Principal
from handoff_kit.db import Database
from handoff_kit.doorway import Doorway
from handoff_kit.errors import NotVisible
from handoff_kit.http import json_response
from starlette.responses import Response

from referral_svc import tables
from referral_svc.clients import Intake
from referral_svc.domain.records import Bundle
from referral_svc.handlers.commands import Command
from referral_svc.handlers.views import REFERRERS, TARGETS, WORKERS, Viewer, visible
from referral_svc.handlers.world import World


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's database, what the process knows, its doorway and its one neighbour."""

    db: Database
    world: World
    doorway: Doorway[Command]
    intake: Intake


def organization_of(caller: Principal) -> UUID | None:
    """The caller's own organization; None for one that has none."""
    try:
        return UUID(caller.organization) if caller.organization else None
    except ValueError:
        return None


def viewer_of(caller: Principal) -> Viewer:
    return Viewer(
        caller.subject,
        organization_of(caller),
        works=not WORKERS.isdisjoint(caller.roles),
        manages=Role.CASE_MANAGER in caller.roles,
        refers=not REFERRERS.isdisjoint(caller.roles),
        targets=not TARGETS.isdisjoint(caller.roles),
    )


def respond(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """JSON of rows as the database gives them."""
    return json_response(orjson.dumps(content, default=_plain), headers=headers)


def _plain(value: Any) -> str:
    """asyncpg's UUIDs are UUIDs that orjson does not know. Raises TypeError for all else."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


async def bundle_of(parts: Parts, caller: Principal, case_id: UUID) -> Bundle:
    """The case, if it is there for the caller. Raises NotVisible."""
    key = (caller.agency, case_id)
    async with parts.db.tenant(caller.agency) as connection:
        bundle = (await tables.read_bundles(connection, [key])).get(key)
    if bundle is None or not visible(viewer_of(caller), bundle):
        raise NotVisible
    return bundle
