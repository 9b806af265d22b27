"""What stands between the wire and a route: size, kind and well-formedness of a body.

Bodies are small, so each is read whole, judged once, and handed on. What is wrong is not answered
here but left in the scope, and raised after the caller is known (`auth.guards`): a stranger reads
401 and a wrong path 404 whatever the body was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handoff_kit.auth.guards import REFUSAL, raise_refusal
from handoff_kit.errors import HandoffError, Invalid, TooLarge, WrongContentType

__all__ = ["BODY_LIMIT", "BodyGuard", "BodyRule", "body_of", "malformed"]

BODY_LIMIT: Final = 256 * 1024  # bytes
_BODY: Final = "handoff.body"
_JSON: Final = "application/json"
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# An escaped NUL, but not an escaped backslash before "u0000".
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class BodyRule:
    """What bodies a path takes. `content_types` without parameters, in lower case."""

    max_bytes: int = BODY_LIMIT
    content_types: frozenset[str] = frozenset({_JSON})


_DEFAULT: Final = BodyRule()


def malformed(detail: str) -> Invalid:
    """422 for what cannot be read at all."""
    return Invalid(detail, code="malformed")


def refusal_of(body: bytes, content_type: str | None, rule: BodyRule) -> HandoffError | None:
    """What is wrong with this body; None when nothing is. Pure."""
    if not body:
        return None
    kind, _, parameters = (content_type or "").partition(";")
    kind = kind.strip().lower()
    if kind not in rule.content_types:
        return WrongContentType(
            f"The body has to be sent as {' or '.join(sorted(rule.content_types))}."
        )
    if kind != _JSON:
        return None
    if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
        return WrongContentType("JSON has to be sent in UTF-8.")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return malformed(f"The body is not valid JSON (line {error.lineno}, column {error.colno}).")
    if b"\\u0000" in body and _ESCAPED_NUL.search(body):
        return malformed("The body holds a NUL character.")
    return None


class BodyGuard:
    """ASGI middleware. `rules`: exceptions to the default by path prefix."""

    def __init__(self, app: ASGIApp, rules: Mapping[str, BodyRule] | None = None) -> None:
        self._app = app
        self._rules = sorted((rules or {}).items(), key=lambda rule: -len(rule[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if b"%00" in scope["query_string"] or "\x00" in scope["path"]:
            scope[REFUSAL] = malformed("The address holds a NUL character.")
        if scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        rule = self._rule(scope["path"])
        refusal: HandoffError | None
        try:
            body = await _read(scope, receive, rule.max_bytes)
            refusal = refusal_of(body, _header(scope, b"content-type"), rule)
        except ClientDisconnect:
            return
        except TooLarge as too_large:
            refusal = too_large
        if refusal is not None:
            scope.setdefault(REFUSAL, refusal)
            body = b""
        scope[_BODY] = body
        await self._app(scope, _replay(body, receive), send)

    def _rule(self, path: str) -> BodyRule:
        for prefix, rule in self._rules:
            if path.startswith(prefix):
                return rule
        return _DEFAULT


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as that is known, ClientDisconnect."""
    declared = _header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit=limit)
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLarge(limit=limit)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


async def body_of(request: Request) -> bytes:
    """The judged body, for routes that parse by hand; JSON that is well-formed, or empty.

    Raises TooLarge, WrongContentType, Invalid. Call it after the caller is known.
    """
    raise_refusal(request)
    judged: bytes | None = request.scope.get(_BODY)
    return await request.body() if judged is None else judged
