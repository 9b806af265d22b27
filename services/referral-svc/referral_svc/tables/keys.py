"""Keys of rows, and how a set of them is asked for."""

from collections.abc import Iterable
from uuid import UUID

Key = tuple[str, UUID]
"""Agency and id."""

BY_KEYS = "(agency_id, {column}) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))"


def columns(keys: Iterable[Key]) -> tuple[list[str], list[UUID]]:
    """The two arrays of `BY_KEYS`."""
    pairs = list(keys)
    return [agency for agency, _ in pairs], [id_ for _, id_ in pairs]
