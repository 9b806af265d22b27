"""How the caller, or the organization that it acts for, wants to be told."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from handoff_kit.auth import Principal
from handoff_kit.errors import FieldError, Invalid, NotVisible
from handoff_kit.http import TAGGED, IfMatch, etag

from notify_svc.api.models import PreferencesBody, PreferencesView
from notify_svc.api.parts import Parts, Self, owners, spoken_by, version_asked
from notify_svc.domain.audience import manages, subject_owner
from notify_svc.handlers.commands import PutPreference

Of = Annotated[Literal["self", "organization"], Query()]


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(tags=["preferences"])

    @routes.get("/preferences", responses={200: TAGGED})
    async def preferences(caller: Self, response: Response, of: Of = "self") -> PreferencesView:
        """The caller's own, or with ``of=organization`` its organization's."""
        found = await _read(parts, caller, _owner(caller, of))
        response.headers["etag"] = etag(found.version)
        return found

    @routes.put("/preferences")
    async def put_preferences(
        caller: Self,
        body: PreferencesBody,
        request: Request,
        response: Response,
        _if_match: IfMatch = None,
        of: Of = "self",
    ) -> PreferencesView:
        """Replace them. What was never set has version 0."""
        if "email" in body.channels and body.email is None:
            message = "Mail needs an address."
            raise Invalid(errors=[FieldError("email", "missing", message)])
        owner = _owner(caller, of)
        present = await _read(parts, caller, owner)
        await parts.doorway.submit(
            PutPreference(
                agency_id=caller.agency,
                owner=owner,
                by=spoken_by(caller),
                email=body.email,
                language=body.language,
                channels=sorted(set(body.channels)),
                # A person also hears what its organization and its roles are told.
                hears=owners(caller) if of == "self" else [owner],
                if_match=version_asked(request, present.version),
            )
        )
        found = await _read(parts, caller, owner)
        response.headers["etag"] = etag(found.version)
        return found

    return routes


def _owner(caller: Principal, of: Literal["self", "organization"]) -> str:
    """Raises NotVisible where the caller acts for no organization."""
    if of == "self":
        return subject_owner(caller.subject)
    owner = manages(caller.subject, caller.organization, caller.roles)
    if owner == subject_owner(caller.subject):
        raise NotVisible
    return owner


async def _read(parts: Parts, caller: Principal, owner: str) -> PreferencesView:
    async with parts.db.tenant(caller.agency) as connection:
        row: Any = await connection.fetchrow(
            "SELECT email, language, channels, version FROM notify.preference"
            " WHERE agency_id = $1 AND owner = $2",
            caller.agency,
            owner,
        )
    if row is None:
        return PreferencesView(email=None, language="en", channels=["feed"], version=0)
    return PreferencesView(**dict(row))
