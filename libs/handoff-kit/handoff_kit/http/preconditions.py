"""ETag and If-Match (RFC 9110, 8.8.3 and 13.1.1): nobody overwrites what he has not read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import Header, Request

from handoff_kit.errors import FieldError, Invalid, PreconditionRequired, StaleVersion

__all__ = [
    "ENTITY_TAG",
    "ETAG",
    "MAY_MATCH",
    "TAGGED",
    "IfMatch",
    "check_if_match",
    "etag",
    "require_if_match",
]

ENTITY_TAG: Final = r'^(\*|"[0-9]+")$'

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")
_TAGS = re.compile(_TAG)

# Declares the header in OpenAPI; a route that takes it also gets 412 and 428 there.
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The version last read, as the ETag gave it: "3". Required.',
    ),
]

# The same in OpenAPI for a route that reads the header itself and does without it.
MAY_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": 'The version last read, as the ETag gave it: "3". Honoured where it is sent.',
    "schema": {"type": "string", "pattern": ENTITY_TAG},
}

ETAG: Final[dict[str, Any]] = {
    "ETag": {
        "description": "The version, for If-Match",
        "schema": {"type": "string", "pattern": r'^"[0-9]+"$'},
    }
}
# `responses={200: TAGGED}` of a route that reads; where If-Match is needed it is declared anyway.
TAGGED: Final[dict[str, Any]] = {"headers": ETAG}


def etag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def check_if_match(header: str | None, version: int) -> None:
    """Hold an If-Match header against the present version.

    Raises PreconditionRequired (absent), StaleVersion (another version), Invalid (no list of tags).
    """
    if header is None:
        raise PreconditionRequired
    if header.strip() == "*":
        return
    if not _LIST.fullmatch(header):
        message = 'An entity tag in quotes is needed, such as "3".'
        raise Invalid(errors=[FieldError("If-Match", "invalid-etag", message)])
    # Strong comparison: a weak tag never matches.
    if etag(version) not in _TAGS.findall(header):
        raise StaleVersion


def require_if_match(request: Request, version: int) -> None:
    """`check_if_match` on a request's header; several headers count as one list."""
    values = request.headers.getlist("if-match")
    check_if_match(", ".join(values) if values else None, version)
