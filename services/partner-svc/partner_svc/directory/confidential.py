"""Marks by which feeds say that a place is not to be published. Pure.

A shelter's address that leaks is a danger to life, so in doubt a place counts as confidential.
"""

import re
from collections.abc import Mapping
from typing import Any

_IN_ADDRESS = re.compile(
    r"\b(?:confidential|undisclosed|unlisted|unpublished|withheld|suppressed|secret location"
    r"|not (?:disclosed|published|listed|public)|private (?:address|location))\b"
    r"|\bcall for (?:the |our )?(?:address|location)\b",
    re.IGNORECASE,
)
_IN_PROSE = re.compile(
    r"\b(?:confidential|undisclosed|unpublished|secret) (?:location|address|site|shelter)s?\b"
    r"|\b(?:location|address|site)s? (?:is|are|kept|remains?)(?: kept)? "
    r"(?:strictly )?(?:confidential|private|secret|undisclosed|not (?:disclosed|published))\b",
    re.IGNORECASE,
)
_FLAGS = ("confidential", "is_confidential", "isconfidential", "private", "is_private", "unlisted")
_YES = ("true", "t", "yes", "y", "1")
_NO = ("false", "f", "no", "n", "0")
_HIDDEN = ("private", "confidential", "hidden", "internal", "restricted")


def marked(values: Mapping[str, Any]) -> bool:
    """Whether a record carries a field that says so (``x_handoff`` too)."""
    own = values.get("x_handoff")
    if isinstance(own, Mapping) and marked(own):
        return True
    plain = {str(key).lower(): str(value).strip().lower() for key, value in values.items()}
    return (
        any(plain.get(flag) in _YES for flag in _FLAGS)
        or any(plain.get(flag) in _NO for flag in ("public", "is_public"))
        or any(plain.get(field) in _HIDDEN for field in ("visibility", "privacy", "access"))
    )


def address_says_so(values: Mapping[str, Any]) -> bool:
    """Whether the lines of an address say it in place of a street."""
    lines = ("attention", "address_1", "address_2", "city", "region")
    return any(_IN_ADDRESS.search(str(values.get(line) or "")) for line in lines)


def prose_says_so(values: Mapping[str, Any]) -> bool:
    """Whether name or description say that the place is confidential."""
    fields = ("name", "alternate_name", "description", "transportation", "alert")
    return any(_IN_PROSE.search(str(values.get(field) or "")) for field in fields)


def attribute_says_so(attribute: Mapping[str, Any]) -> bool:
    """Whether an attribute of a place is such a mark ("Confidential address": "yes")."""
    term = attribute.get("taxonomy_term") or {}
    words = " ".join(
        str(text or "") for text in (term.get("name"), term.get("code"), attribute.get("label"))
    )
    value = str(attribute.get("value") or "").strip().lower()
    if value in _NO:
        return False
    return bool(_IN_ADDRESS.search(f"{words} {value}") or _IN_PROSE.search(words))
