"""The Idempotency-Key header: its shape and its place in OpenAPI. Storing keys is `doorway`'s."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from handoff_kit.errors import FieldError, Invalid

__all__ = ["IdempotencyKey", "idempotency_header", "parse_idempotency_key"]

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


def parse_idempotency_key(values: list[str]) -> str | None:
    """The key of a request's header values; None without one. Raises Invalid."""
    if not values:
        return None
    if len(values) > 1 or not _VISIBLE.fullmatch(values[0]):
        message = "One key of 1 to 255 visible ASCII characters is needed."
        raise Invalid(errors=[FieldError("Idempotency-Key", "invalid-key", message)])
    return values[0]


def idempotency_header(
    request: Request,
    _key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Makes a repetition of this request safe for seven days.",
            json_schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        ),
    ] = None,
) -> str | None:
    """The request's Idempotency-Key, or None. Raises Invalid."""
    return parse_idempotency_key(request.headers.getlist("idempotency-key"))


IdempotencyKey = Annotated[str | None, Depends(idempotency_header)]
