"""The sign-in page, and signing out."""

import math
from typing import Annotated

from fastapi import APIRouter, Query, Request
from handoff_kit.auth import PUBLIC
from handoff_kit.http import body_of
from starlette.responses import RedirectResponse, Response

from portal_svc.api.addresses import OriginOf
from portal_svc.api.forms import form_fields
from portal_svc.api.render import Renderer
from portal_svc.api.session import Sessions, local_path
from portal_svc.domain.people import LONGEST_PASSWORD, form_token, form_token_fits
from portal_svc.handlers.signin import SignInRefused

_LONGEST_EMAIL = 254


def sign_in_router(sessions: Sessions, renderer: Renderer, origin_of: OriginOf) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])
    cookies = sessions.cookies

    def form(
        request: Request,
        next_: str,
        *,
        email: str = "",
        problem: str = "",
        status: int = 200,
        wait: int = 0,
    ) -> Response:
        """The form, perhaps with what was wrong the last time."""
        secret = cookies.form_secret(request)
        response = renderer.page(
            "sign-in.html",
            request,
            None,
            status=status,
            csrf=form_token(secret),
            next=next_,
            email=email,
            problem=problem,
            minutes=math.ceil(wait / 60),
        )
        cookies.set_form(response, secret)
        return response

    @router.get("/sign-in")
    async def show(request: Request, next: Annotated[str | None, Query()] = None) -> Response:
        if await sessions.visitor(request) is not None:
            return RedirectResponse(local_path(next), 303)
        return form(request, local_path(next))

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        try:
            given = form_fields(await body_of(request))
        except ValueError:
            given = {}
        next_ = local_path(given.get("next"))
        email = given.get("email", "")[:_LONGEST_EMAIL]
        if not form_token_fits(cookies.form(request), given.get("csrf", "")):
            return form(request, next_, email=email, problem="sign-in.stale", status=403)
        password = given.get("password", "")[: LONGEST_PASSWORD + 1]
        try:
            signed_in = await sessions.sign_in.sign_in(
                email, password, origin_of(request), cookies.device(request)
            )
        except SignInRefused as refused:
            wait = math.ceil(refused.wait)
            if not wait:
                return form(request, next_, email=email, problem="sign-in.refused", status=401)
            response = form(
                request, next_, email=email, problem="sign-in.wait", status=429, wait=wait
            )
            response.headers["retry-after"] = str(wait)
            return response
        response = RedirectResponse(next_, 303)
        cookies.set_session(response, signed_in.token)
        cookies.set_device(response, signed_in.device)
        return response

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        try:
            given = form_fields(await body_of(request))
        except ValueError:
            given = {}
        visitor = await sessions.visitor(request)
        if visitor is not None:
            if not form_token_fits(visitor.token, given.get("csrf", "")):
                return RedirectResponse("/", 303)
            await sessions.sign_in.sign_out(visitor.token, visitor.person)
        response: Response = RedirectResponse("/sign-in", 303)
        cookies.end_session(response)
        return response

    return router
