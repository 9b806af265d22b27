"""What the routes work with, and who the caller is to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from event_schemas.codes import Role
from handoff_kit.auth import Principal
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.errors import NotVisible
from handoff_kit.http import json_response
from starlette.requests import Request
from starlette.responses import Response

from partner_svc.clients import Intake, Reader
from partner_svc.handlers.answer import Command
from partner_svc.handlers.directory import Change

_TARGETS = (Role.CASE_MANAGER, Role.DEPARTMENT, Role.PARTNER)


@dataclass(frozen=True, slots=True)
class Parts:
    """The service's database, its doorways and its one neighbour."""

    db: Database
    offers: Doorway[Command]
    directory: Doorway[Change]
    intake: Intake


def organization_of(caller: Principal) -> UUID | None:
    """The caller's own organization; None for one that has none."""
    try:
        return UUID(caller.organization) if caller.organization else None
    except ValueError:
        return None


def target(caller: Principal) -> UUID:
    """The organization whose offers these are. Raises NotVisible for a caller without one."""
    organization = organization_of(caller)
    if organization is None:
        raise NotVisible
    return organization


def sees_all(caller: Principal) -> bool:
    """A coordinator sees every offer of its agency but restricted ones."""
    return Role.COORDINATOR in caller.roles


def role_of(caller: Principal) -> Role:
    """In which of its roles a target answers."""
    return next((role for role in _TARGETS if role in caller.roles), Role.PARTNER)


def reader_of(caller: Principal, organization: UUID) -> Reader:
    return Reader(organization, tuple(sorted(caller.roles)), caller.subject)


async def idempotency(request: Request, caller: Principal, key: str | None) -> Idempotency | None:
    """How a repetition of this request is known; None without an Idempotency-Key."""
    if key is None:
        return None
    route = f"{request.method} {request.url.path}?{request.url.query}"
    return Idempotency(caller.agency, caller.caller, route, key, await request.body())


def respond(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """JSON of rows as the database gives them."""
    return json_response(orjson.dumps(content, default=_plain), headers=headers)


def _plain(value: Any) -> str:
    """asyncpg's UUIDs are UUIDs that orjson does not know. Raises TypeError for all else."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


def answered(answer: Answer) -> Response:
    """A doorway's answer on the wire."""
    if answer.status == 204:
        return Response(status_code=204, headers=dict(answer.headers))
    return json_response(answer.content(), answer.status, answer.headers)
