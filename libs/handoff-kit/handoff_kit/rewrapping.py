"""Owners' keys under the current key-encryption key: which are not yet, and wrapping them anew.

A service's tables of owners are those with the columns ``agency_id``, ``id`` and ``wrapped_key``;
the key is of the owner ``id``. What is sealed with an owner's key stays as it is.
"""

from collections.abc import Mapping
from uuid import UUID

from handoff_kit.crypto import KeyWrapper, rewrap_owner_key, unwrap_owner_key
from handoff_kit.db import Connection

Place = tuple[UUID, str]  # id, agency

_TABLES = """
SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'wrapped_key' AND NOT a.attisdropped
WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY 1
"""
# The version stands after the format's own byte; an empty key is of somebody who was erased.
_VERSION_OF = "substring(wrapped_key FROM 2 FOR 4)"
_THERE = "length(wrapped_key) > 0"
# Before every row in the order of the primary key.
FIRST: Place = (UUID(int=0), "")


async def tables(connection: Connection, schema: str) -> list[str]:
    """The tables of owners of a service."""
    return [row["name"] for row in await connection.fetch(_TABLES, schema)]


async def versions(connection: Connection, schema: str, table: str) -> Mapping[int, int]:
    """{version of the key-encryption key: owners whose key it wraps}."""
    rows = await connection.fetch(
        f"SELECT {_VERSION_OF} AS version, count(*) AS n FROM {schema}.{table} WHERE {_THERE}"
        " GROUP BY 1 ORDER BY 1"
    )
    return {int.from_bytes(row["version"], "big"): row["n"] for row in rows}


async def check(connection: Connection, schema: str, table: str, wrapper: KeyWrapper) -> None:
    """Open one key of each version. Raises: Tampered for another service's; KeyServiceAway."""
    rows = await connection.fetch(
        f"SELECT DISTINCT ON ({_VERSION_OF}) id, wrapped_key FROM {schema}.{table} WHERE {_THERE}"
    )
    for row in rows:
        unwrap_owner_key(wrapper, row["id"], row["wrapped_key"])


async def rewrap(
    connection: Connection,
    schema: str,
    table: str,
    wrapper: KeyWrapper,
    current: int,
    after: Place,
    most: int = 1000,
) -> tuple[Place | None, int]:
    """Wrap up to *most* keys anew that *current* does not wrap, in the order of ids *after* one.

    Where it ended (None: at the end), and how many it was. Rows that somebody works on are left
    for another round. To be run in a transaction. Raises: Tampered, KeyServiceAway.
    """
    rows = await connection.fetch(
        f"SELECT id, agency_id, wrapped_key FROM {schema}.{table}"
        f" WHERE (id, agency_id) > ($1, $2) AND {_THERE} AND {_VERSION_OF} <> $3"
        " ORDER BY id, agency_id LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED",
        *after,
        current.to_bytes(4, "big"),
        most,
    )
    if not rows:
        return None, 0
    anew = [rewrap_owner_key(wrapper, row["id"], row["wrapped_key"]) for row in rows]
    await connection.execute(
        f"UPDATE {schema}.{table} t SET wrapped_key = v.key"
        " FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS v(id, agency_id, key)"
        " WHERE t.id = v.id AND t.agency_id = v.agency_id",
        [row["id"] for row in rows],
        [row["agency_id"] for row in rows],
        anew,
    )
    last = rows[-1]["id"], rows[-1]["agency_id"]
    return (last if len(rows) == most else None), len(rows)
