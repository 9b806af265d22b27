"""What the routes of notify work with."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Request, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.crypto import KeyWrapper
from handoff_kit.db import Database
from handoff_kit.doorway import Answer, Doorway, Idempotency
from handoff_kit.errors import NotVisible
from handoff_kit.http import require_if_match
from handoff_kit.wakes import Wakes

from notify_svc.api.hub import Hub
from notify_svc.domain.audience import manages, owners_of
from notify_svc.handlers.commands import Caller, Command

Self = Annotated[Principal, requires("notify:self")]


@dataclass(frozen=True)
class Parts:
    """``allow_private``: webhooks may go to private addresses and by http."""

    db: Database
    doorway: Doorway[Command]
    keys: KeyWrapper
    hub: Hub
    wakes: Wakes
    allow_private: bool


def owners(caller: Principal) -> list[str]:
    """Every address at which the caller is told something."""
    return owners_of(caller.subject, caller.organization, caller.roles)


def owner(caller: Principal) -> str:
    """The owner of the caller's webhooks."""
    return manages(caller.subject, caller.organization, caller.roles)


def spoken_by(caller: Principal) -> Caller:
    """Whose word a command is."""
    return Caller(caller.subject, caller.client_id)


def delivery_owners(caller: Principal) -> list[str]:
    """Whose deliveries the caller sees: its own mails and the webhooks that it manages."""
    return sorted({owner(caller), owners(caller)[0]})


def idempotency(caller: Principal, route: str, key: str | None, body: bytes) -> Idempotency | None:
    """The use of a key, where there is one."""
    if key is None:
        return None
    return Idempotency(caller.agency, caller.caller, route, key, body)


def version_asked(request: Request, version: int) -> int | None:
    """The version to hold the command to; ``If-Match: *`` takes any.

    Raises PreconditionRequired, StaleVersion, Invalid.
    """
    require_if_match(request, version)
    return None if request.headers.get("if-match", "").strip() == "*" else version


def known_id(text: str) -> UUID:
    """An id of a path. Raises NotVisible: what is no id is nobody's."""
    try:
        return UUID(text)
    except ValueError:
        raise NotVisible from None


def respond(answer: Answer, body: bytes | None = None) -> Response:
    """An answer on the wire, with another body where one is given."""
    content = answer.content() if body is None else body
    return Response(
        content, answer.status, dict(answer.headers), "application/json" if content else None
    )
