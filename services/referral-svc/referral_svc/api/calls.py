"""A command as it comes in: who asks, under which version, under which Idempotency-Key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4, uuid5

from event_schemas.codes import Role
from fastapi import Depends, Request, Response
from handoff_kit.auth import Principal, requires
from handoff_kit.doorway import Idempotency
from handoff_kit.http import IdempotencyKey, IfMatch, check_if_match, json_response

from referral_svc.api.parts import Parts, bundle_of, organization_of
from referral_svc.clients import Author
from referral_svc.handlers.commands import Command

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
class Call:
    """One request that asks for a command."""

    request: Request
    caller: Principal
    if_match: str | None
    key: str | None

    async def submit(self, parts: Parts, command: Callable[..., Command], **given: Any) -> Response:
        """Carry *command* out with what was *given*, once for an Idempotency-Key."""
        caller, request, again = self.caller, self.request, None
        if self.key is not None:
            route = f"{request.method} {request.url.path}"
            body = await request.body()
            again = Idempotency(caller.agency, caller.caller, route, self.key, body)
        made = command(
            agency=caller.agency,
            subject=caller.subject,
            role=next((role for role in _ROLES if role in caller.roles), Role.SYSTEM),
            roles=caller.roles,
            organization=organization_of(caller),
            if_match=self.if_match,
            **given,
        )
        answer = await parts.doorway.submit(made, idempotency=again)
        return json_response(answer.content(), answer.status, answer.headers)

    async def seal(self, parts: Parts, case_id: UUID, kind: str, text: str | None) -> UUID | None:
        """Have intake seal a note before anything is written here; its id, None without a note.

        What can be refused is refused first. Raises NotVisible, StaleVersion, Unavailable. A
        repetition under an Idempotency-Key names the same note, so it is let through.
        """
        if text is None:
            return None
        caller = self.caller
        bundle = await bundle_of(parts, caller, case_id)
        if self.key is None:
            check_if_match(self.if_match, bundle.case.version)
        note_id = self._made_id()
        author = Author(organization_of(caller), tuple(sorted(caller.roles)), caller.subject)
        await parts.intake.seal_note(note_id, case_id, kind, text, author)
        return note_id

    def _made_id(self) -> UUID:
        """The id of what this request makes: its own with an Idempotency-Key, else any."""
        if self.key is None:
            return uuid4()
        caller = self.caller
        name = "\x1f".join((caller.agency, caller.caller, self.request.url.path, self.key))
        return UUID(bytes=uuid5(_MADE, name).bytes, version=4)


def calls(scope: str) -> Any:
    """A request for a command that needs *scope*, as a FastAPI dependency that returns a `Call`."""

    async def call(
        request: Request,
        caller: Annotated[Principal, requires(scope)],
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Call:
        return Call(request, caller, if_match, key)

    return Depends(call)
