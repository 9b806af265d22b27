"""Pages from templates, with their words and their headers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from handoff_kit.auth import PUBLIC
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import Response

from portal_svc.api.session import Cookies, Visitor
from portal_svc.api.words import LANGUAGES, Words, language_of
from portal_svc.domain.pages import pages_of
from portal_svc.domain.people import form_token

_HERE: Final = Path(__file__).resolve().parent
# Nothing from elsewhere, nothing inline, in no frame, forms to nowhere else.
_POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file; ``url`` changes with its content, so that it may be kept for ever."""

    url: str
    content: bytes
    media_type: str


def load_assets(folder: Path = _HERE / "static") -> dict[str, Asset]:
    """``{name: asset}`` of every file that a page may ask for."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        version = hashlib.sha256(content).hexdigest()[:12]
        url = f"/static/{path.name}?v={version}"
        found[path.name] = Asset(url, content, _TYPES[path.suffix])
    return found


def static_router(assets: Mapping[str, Asset]) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[PUBLIC])

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise HTTPException(404)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(asset.content, 200, headers, asset.media_type)

    return router


class Renderer:
    """Renders templates for one city."""

    def __init__(
        self, city: str, timezone: str, assets: Mapping[str, Asset], cookies: Cookies
    ) -> None:
        self._city = city
        self._timezone = ZoneInfo(timezone)
        self._cookies = cookies
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["static"] = {name: asset.url for name, asset in assets.items()}

    def words(self, request: Request, visitor: Visitor | None) -> Words:
        """The language asked for in the address, chosen before, the person's, the browser's."""
        language = language_of(
            request.query_params.get("lang"),
            self._cookies.language(request),
            visitor.person.language if visitor else None,
            accept=request.headers.get("accept-language", ""),
        )
        return Words(language, self._timezone)

    def page(
        self,
        template: str,
        request: Request,
        visitor: Visitor | None,
        *,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """A whole page."""
        words = self.words(request, visitor)
        content = self._environment.get_template(template).render(
            city=self._city,
            w=words,
            languages=LANGUAGES,
            path=request.url.path,
            visitor=visitor,
            menu=pages_of(visitor.person.roles) if visitor else [],
            sign_out_token=form_token(visitor.token) if visitor else "",
            **values,
        )
        response = _html(content, status, words)
        if request.query_params.get("lang") in LANGUAGES:
            self._cookies.set_language(response, words.language)
        return response

    def fragment(
        self, template: str, request: Request, visitor: Visitor, **values: Any
    ) -> Response:
        """A part of a page."""
        words = self.words(request, visitor)
        content = self._environment.get_template(template).render(w=words, **values)
        return _html(content, 200, words)


def _html(content: str, status: int, words: Words) -> Response:
    headers = {
        "content-security-policy": _POLICY,
        "cache-control": "no-store",
        "content-language": words.language,
        "vary": "Cookie, Accept-Language",
    }
    return Response(content, status, headers, "text/html")
