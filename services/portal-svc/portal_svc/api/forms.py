"""Forms of our own pages: small, form-encoded, and proven to come from one of them."""

from typing import Final
from urllib.parse import parse_qsl

from handoff_kit.http import BodyRule

FORM: Final = "application/x-www-form-urlencoded"
FORM_BODY: Final = BodyRule(max_bytes=16 * 1024, content_types=frozenset({FORM}))
_MOST_FIELDS: Final = 32


def form_fields(body: bytes) -> dict[str, str]:
    """The fields of a form. Raises: ValueError for what is none, or has a field twice or a NUL."""
    pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise ValueError("a field stands twice")
    if any("\0" in value for value in form.values()):
        raise ValueError("a field holds a NUL character")
    return form
