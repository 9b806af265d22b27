"""What all of intake's operations share: the doorways, the caller, the way a command goes in."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from event_schemas.codes import Role
from fastapi import Request
from handoff_kit.auth.roles import Principal
from handoff_kit.cursor import cursor_id
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.http import (
    MAY_MATCH,
    body_of,
    json_body,
    json_response,
    parse_idempotency_key,
)
from handoff_kit.telemetry import current_traceparent
from handoff_kit.tx import Cause
from pydantic import BaseModel
from starlette.responses import Response

from intake_svc.handlers.city import Office
from intake_svc.handlers.consents import GrantConsent
from intake_svc.handlers.disclosures import Reading
from intake_svc.handlers.inspections import Command
from intake_svc.handlers.needs import Refer
from intake_svc.handlers.notes import SealNote
from intake_svc.handlers.showing import Actor
from intake_svc.handlers.withdrawals import Withdraw


@dataclass(frozen=True, slots=True)
class Parts:
    """Doorways, one a kind of command, so that a withdrawal never shares a set with others."""

    db: Database
    office: Office
    inspections: Doorway[Command]
    referrals: Doorway[Refer]
    grants: Doorway[GrantConsent]
    withdrawals: Doorway[Withdraw]
    readings: Doorway[Reading]
    notes: Doorway[SealNote]


_REFERRERS = (
    Role.SENIOR_INSPECTOR,
    Role.INSPECTOR,
    Role.AMBASSADOR,
    Role.DEPARTMENT,
    Role.CASE_MANAGER,
    Role.COORDINATOR,
)
_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repetition of this request safe for seven days.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


# OpenAPI of an operation without a body that takes an Idempotency-Key.
REPEATABLE: dict[str, Any] = {"parameters": [_HEADER]}
# The same of one that changes what the caller has read, and honours If-Match.
VERSIONED: dict[str, Any] = {"parameters": [_HEADER, MAY_MATCH]}


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of an operation that parses its body and takes an Idempotency-Key."""
    return json_body(model) | REPEATABLE


def role_of(caller: Principal) -> Role:
    """In which role somebody refers; the first that fits."""
    return next((role for role in _REFERRERS if role.value in caller.roles), Role.DEPARTMENT)


@lru_cache(maxsize=1024)
def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def organization_of(caller: Principal) -> UUID | None:
    return _uuid(caller.organization) if caller.organization else None


def id_after(after: tuple[Any, str] | None) -> UUID | None:
    """The id in a cursor. Raises: Invalid, for one that is of another list."""
    return None if after is None else cursor_id(after[1])


def actor_of(caller: Principal) -> Actor:
    return Actor(caller.subject, organization_of(caller))


def cause() -> Cause | None:
    """The trace of the present request."""
    traceparent = current_traceparent()
    return Cause(traceparent) if traceparent else None


async def idempotency(request: Request, agency: str, client: str, route: str) -> Idempotency | None:
    """The use of an Idempotency-Key, if the request has one. Raises: Invalid."""
    key = parse_idempotency_key(request.headers.getlist("idempotency-key"))
    if key is None:
        return None
    return Idempotency(agency, client, route, key, await body_of(request))


def respond(answer: Answer) -> Response:
    if answer.status == 204:
        return Response(status_code=204)
    return json_response(answer.content(), answer.status, answer.headers)
