"""One plain page for each role. ``/pages/<role>`` is the page, ``…/list`` its part that changes."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI, Request
from handoff_kit.auth import PUBLIC
from handoff_kit.clock import Clock
from handoff_kit.db import Database
from handoff_kit.http import on_http_exception, problem_response
from starlette.responses import RedirectResponse, Response

from portal_svc.api.render import Renderer
from portal_svc.api.session import (
    PageNotVisible,
    Sessions,
    SignInNeeded,
    Visitor,
    sign_in_path,
)
from portal_svc.domain.pages import PAGES, PageKey, pages_of
from portal_svc.handlers import reading
from portal_svc.tables.lists import MOST_ROWS

_PROGRAMS = ("/portal/", "/oauth/", "/static/")
Read = Callable[[Visitor], Awaitable[dict[str, Any]]]


def reads_of(db: Database, clock: Clock, timezone: ZoneInfo) -> dict[PageKey, Read]:
    """What each page's list template is given."""

    async def inspector(visitor: Visitor) -> dict[str, Any]:
        return {"referrals": await reading.my_referrals(db, visitor.person)}

    async def queue(visitor: Visitor) -> dict[str, Any]:
        return {"queue": await reading.my_queue(db, visitor.person)}

    async def offers(visitor: Visitor) -> dict[str, Any]:
        found = await reading.our_offers(db, visitor.person, clock.now())
        return {"offers": found, "belongs": visitor.person.organization_id is not None}

    async def figures(visitor: Visitor) -> dict[str, Any]:
        found = await reading.city_figures(db, visitor.person, clock.now(), timezone)
        return {"figures": found}

    async def flows(visitor: Visitor) -> dict[str, Any]:
        return {"flows": await reading.city_flows(db, visitor.person)}

    return {
        PageKey.INSPECTOR: inspector,
        PageKey.QUEUE: queue,
        PageKey.OFFERS: offers,
        PageKey.FIGURES: figures,
        PageKey.FLOWS: flows,
    }


def pages_router(sessions: Sessions, renderer: Renderer, reads: dict[PageKey, Read]) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/", dependencies=[PUBLIC])
    async def start(request: Request) -> Response:
        """To the first page of one's role."""
        visitor = await sessions.visitor(request)
        if visitor is None:
            return RedirectResponse("/sign-in", 303)
        pages = pages_of(visitor.person.roles)
        if not pages:
            return renderer.page(
                "message.html", request, visitor, message="no-page", way_home=False
            )
        return RedirectResponse(f"/pages/{pages[0]}", 303)

    for key in PAGES:
        _add_page(router, sessions, renderer, key, reads[key])
    return router


def _add_page(
    router: APIRouter, sessions: Sessions, renderer: Renderer, key: PageKey, read: Read
) -> None:
    template = f"lists/{key}.html"
    caller = Annotated[Visitor, sessions.of_page(key)]

    async def page(request: Request, visitor: caller) -> Response:
        values = await read(visitor)
        return renderer.page(
            "page.html", request, visitor, key=key, list_template=template, most=MOST_ROWS, **values
        )

    async def part(request: Request, visitor: caller) -> Response:
        values = await read(visitor)
        return renderer.fragment(template, request, visitor, most=MOST_ROWS, **values)

    router.add_api_route(f"/pages/{key}", page, methods=["GET"])
    router.add_api_route(f"/pages/{key}/list", part, methods=["GET"])


def add_page_failures(app: FastAPI, sessions: Sessions, renderer: Renderer) -> None:
    """Answer people with pages: sign in first, or nothing here; a program gets its problem+json."""

    async def sign_in_needed(request: Request, error: Exception) -> Response:
        assert isinstance(error, SignInNeeded)
        if request.url.path.startswith("/pages/") and not request.url.path.endswith("/list"):
            return RedirectResponse(sign_in_path(request.url.path), 303)
        return problem_response(error)

    async def not_visible(request: Request, _error: Exception) -> Response:
        visitor = await sessions.visitor(request)
        return renderer.page(
            "message.html", request, visitor, status=404, message="not-found", way_home=True
        )

    async def no_such_path(request: Request, error: Exception) -> Response:
        asked = request.method in {"GET", "HEAD"} and not request.url.path.startswith(_PROGRAMS)
        if asked and "text/html" in request.headers.get("accept", ""):
            return await not_visible(request, error)
        return await on_http_exception(request, error)

    app.add_exception_handler(404, no_such_path)
    app.add_exception_handler(SignInNeeded, sign_in_needed)
    app.add_exception_handler(PageNotVisible, not_visible)
