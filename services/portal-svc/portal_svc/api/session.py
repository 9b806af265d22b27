"""Who looks at a page: the session's cookie, and what the person behind it may do."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from fastapi import Depends, Request
from handoff_kit.auth import mark_scope, scopes_of
from handoff_kit.auth.guards import raise_refusal
from handoff_kit.errors import Unauthenticated
from starlette.responses import Response

from portal_svc.domain.pages import PAGES, PageKey
from portal_svc.domain.people import Person, new_secret
from portal_svc.handlers.signin import SignIn

_SESSION: Final = "handoff_session"
_FORM: Final = "handoff_form"
_LANGUAGE: Final = "handoff_language"
_DEVICE: Final = "handoff_device"
_YEAR: Final = 365 * 24 * 3600


class SignInNeeded(Unauthenticated):
    """Sign in first."""


class PageNotVisible(Exception):
    """There is no such page, or not for this person."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person with a session. ``token`` is the session's secret, and that of its forms."""

    person: Person
    token: str

    @property
    def subject(self) -> str:
        return str(self.person.id)


@dataclass(frozen=True, slots=True)
class Cookies:
    """The names and kinds of our cookies.

    With ``secure`` their names begin with ``__Host-``: a browser then takes them from this host
    alone, over TLS alone, for every path.
    """

    secure: bool

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name

    def session(self, request: Request) -> str | None:
        return request.cookies.get(self._name(_SESSION))

    def form(self, request: Request) -> str | None:
        return request.cookies.get(self._name(_FORM))

    def language(self, request: Request) -> str | None:
        return request.cookies.get(self._name(_LANGUAGE))

    def device(self, request: Request) -> str | None:
        """What this browser kept of an earlier sign-in; it opens nothing by itself."""
        return request.cookies.get(self._name(_DEVICE))

    def set_session(self, response: Response, token: str) -> None:
        self._set(response, _SESSION, token)
        self._delete(response, _FORM)

    def end_session(self, response: Response) -> None:
        self._delete(response, _SESSION)

    def form_secret(self, request: Request) -> str:
        """The secret of a form before there is a session: the one that is there, or a new one."""
        return self.form(request) or new_secret()

    def set_form(self, response: Response, secret: str) -> None:
        self._set(response, _FORM, secret)

    def set_language(self, response: Response, language: str) -> None:
        self._set(response, _LANGUAGE, language, max_age=_YEAR)

    def set_device(self, response: Response, mark: str) -> None:
        self._set(response, _DEVICE, mark, max_age=_YEAR)

    def _set(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        # A session's end is known to the server; the browser forgets the cookie when it is closed.
        response.set_cookie(
            self._name(name),
            value,
            max_age=max_age,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def _delete(self, response: Response, name: str) -> None:
        response.delete_cookie(self._name(name), secure=self.secure, httponly=True, samesite="lax")


class Sessions:
    """Makes the dependencies that stand before pages."""

    def __init__(self, sign_in: SignIn, cookies: Cookies) -> None:
        self.sign_in = sign_in
        self.cookies = cookies

    async def visitor(self, request: Request) -> Visitor | None:
        """Who looks, if anybody is signed in."""
        token = self.cookies.session(request)
        person = await self.sign_in.who(token)
        return Visitor(person, token) if person is not None and token else None

    def of_page(self, key: PageKey) -> Any:
        """The visitor of this page, as a dependency that needs the page's scope.

        Raises, at a request: SignInNeeded; PageNotVisible for another role's page.
        """
        rule = PAGES[key]

        async def visitor(request: Request) -> Visitor:
            found = await self._signed_in(request)
            roles = found.person.roles
            if not rule.roles & set(roles) or rule.scope not in scopes_of(roles):
                raise PageNotVisible
            return found

        return Depends(mark_scope(visitor, rule.scope))

    def of_anybody(self) -> Any:
        """The visitor, of any role, as a dependency. Raises, at a request: SignInNeeded."""

        async def visitor(request: Request) -> Visitor:
            return await self._signed_in(request)

        return Depends(mark_scope(visitor, "notify:self"))

    async def _signed_in(self, request: Request) -> Visitor:
        raise_refusal(request)
        found = await self.visitor(request)
        if found is None:
            raise SignInNeeded
        return found


def local_path(given: str | None) -> str:
    """A page of ours to go to after signing in; anything else is the start."""
    if given is not None and given in {f"/pages/{key}" for key in PageKey}:
        return given
    return "/"


def sign_in_path(wanted: str) -> str:
    wanted = local_path(wanted)
    return "/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='')}"
