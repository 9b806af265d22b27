"""What the routes work with, and who the caller is to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
from event_schemas.codes import Role
from handoff_kit.auth import Principal
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.errors import NotVisible
from handoff_kit.http import check_if_match, json_response
from starlette.requests import Request
from starlette.responses import Response

from referral_svc import tables
from referral_svc.clients import Author, Intake
from referral_svc.domain.records import Bundle
from referral_svc.handlers.commands import Command
from referral_svc.handlers.views import REFERRERS, TARGETS, WORKERS, Viewer, visible
from referral_svc.handlers.world import World

# Names what a request makes by the request, so that a repeated one makes it once.
_MADE = UUID("b5a0c1de-7a3c-4a53-9a0e-5b1a2f0d7c11")
_ROLES = (
    Role.CASE_MANAGER,
    Role.COORDINATOR,
    Role.SENIOR_INSPECTOR,
    Role.INSPECTOR,
    Role.AMBASSADOR,
    Role.DEPARTMENT,
    Role.PARTNER,
)


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


def asked(caller: Principal, if_match: str | None) -> dict[str, Any]:
    """The part of a command that says who asks."""
    return {
        "agency": caller.agency,
        "subject": caller.subject,
        "role": next((role for role in _ROLES if role in caller.roles), Role.SYSTEM),
        "roles": caller.roles,
        "organization": organization_of(caller),
        "if_match": if_match,
    }


def author_of(caller: Principal) -> Author:
    return Author(organization_of(caller), tuple(sorted(caller.roles)), caller.subject)


def made_id(request: Request, caller: Principal, key: str | None) -> UUID:
    """The id of what this request makes: its own with an Idempotency-Key, else any."""
    if key is None:
        return uuid4()
    name = "\x1f".join((caller.agency, caller.caller, request.url.path, key))
    return UUID(bytes=uuid5(_MADE, name).bytes, version=4)


async def submit(
    parts: Parts, request: Request, caller: Principal, command: Command, key: str | None
) -> Response:
    """Carry *command* out, once for an Idempotency-Key."""
    again = None
    if key is not None:
        route = f"{request.method} {request.url.path}"
        again = Idempotency(caller.agency, caller.caller, route, key, await request.body())
    return answered(await parts.doorway.submit(command, idempotency=again))


def answered(answer: Answer) -> Response:
    return json_response(answer.content(), answer.status, answer.headers)


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


async def seal(
    parts: Parts,
    request: Request,
    caller: Principal,
    case_id: UUID,
    kind: str,
    text: str | None,
    if_match: str | None,
    key: str | None,
) -> UUID | None:
    """Have intake seal a note before anything is written here; its id, None without a note.

    What can be refused is refused first. Raises NotVisible, StaleVersion, Unavailable. A
    repetition under an Idempotency-Key names the same note, so it is let through.
    """
    if text is None:
        return None
    bundle = await bundle_of(parts, caller, case_id)
    if key is None:
        check_if_match(if_match, bundle.case.version)
    note_id = made_id(request, caller, key)
    await parts.intake.seal_note(note_id, case_id, kind, text, author_of(caller))
    return note_id
