"""Opaque cursors of lists: the sort key and id of the last item, in base64url.

A cursor is not signed: it holds nothing that its reader did not see, and the query that it
continues has its own predicate of what the caller may see.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

import orjson

from handoff_kit.errors import FieldError, Invalid

__all__ = ["decode_cursor", "encode_cursor"]

SortKey = str | int | datetime
_LONGEST: Final = 1024
_Key = TypeVar("_Key", str, int, datetime)


def encode_cursor(key: SortKey, id_: UUID | str) -> str:
    """A text safe in a query string."""
    value = key.isoformat() if isinstance(key, datetime) else key
    return base64.urlsafe_b64encode(orjson.dumps([value, str(id_)])).rstrip(b"=").decode()


def decode_cursor(text: str, key_type: type[_Key]) -> tuple[_Key, str]:
    """(key, id). Raises Invalid for what `encode_cursor` did not make for this type of key."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value, id_ = orjson.loads(raw)
        read: Callable[[object], object] = _READERS[key_type]
        key = read(value)
        if not isinstance(id_, str) or not isinstance(key, key_type) or "\x00" in id_:
            raise ValueError
        return key, id_
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise _foreign() from None


def cursor_id(id_: str) -> UUID:
    """The id of a cursor of a list whose ids are UUIDs. Raises Invalid."""
    try:
        return UUID(id_)
    except ValueError:
        raise _foreign() from None


def _foreign() -> Invalid:
    return Invalid(
        errors=[FieldError("cursor", "invalid-cursor", "This is no cursor of this list.")]
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError
    return time.astimezone(UTC)  # At the calendar's ends there is none: OverflowError.


_READERS: Final[dict[type, Callable[[object], object]]] = {
    str: _text,
    int: _whole,
    datetime: _time,
}
