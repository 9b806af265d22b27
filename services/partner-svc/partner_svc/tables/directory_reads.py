"""Reads of the directory: for one caller, and of what a change needs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from handoff_kit import sets
from handoff_kit.db import Connection
from sqlmodel import SQLModel

from partner_svc.tables.base import SCHEMA
from partner_svc.tables.directory import (
    ImportReportRow,
    OrganizationRow,
    ServiceRow,
)


async def read_standing(connection: Connection, agency: str, id_: UUID) -> Any | None:
    """``kind`` and ``enforcement`` of an organization, None where it is not in the directory."""
    return await connection.fetchrow(
        f"SELECT kind, enforcement FROM {SCHEMA}.organization WHERE agency_id = $1 AND id = $2",
        agency,
        id_,
    )


async def read_named(
    connection: Connection,
    table: type[SQLModel],
    agency: str,
    *,
    filters: Mapping[str, Any],
    after: tuple[str, UUID] | None,
    limit: int,
) -> list[Any]:
    """Up to *limit* organizations or services by name, after the (sort name, id) seen last.

    *filters*: a column and its value; ``needs`` is held to contain the value.
    """
    where = ["agency_id = $1"]
    values: list[Any] = [agency]
    for column, value in filters.items():
        values.append(value)
        operator = "?" if column == "needs" else "="
        where.append(f"{column} {operator} ${len(values)}")
    if after is not None:
        values.extend(after)
        where.append(f"(sort_name, id) > (${len(values) - 1}, ${len(values)})")
    return await sets.fetch(
        connection,
        table,
        f"WHERE {' AND '.join(where)} ORDER BY sort_name, id LIMIT {limit:d}",
        *values,
    )


async def read_entry(
    connection: Connection, table: type[SQLModel], agency: str, id_: UUID, *, lock: bool = False
) -> Any | None:
    """One organization or service."""
    tail = "WHERE agency_id = $1 AND id = $2" + (" FOR NO KEY UPDATE" if lock else "")
    rows = await sets.fetch(connection, table, tail, agency, id_)
    return rows[0] if rows else None


async def read_public_locations(
    connection: Connection, agency: str, ids: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Documents of those of these places that are not confidential, by id."""
    rows = await connection.fetch(
        f"SELECT id, document FROM {SCHEMA}.location"
        " WHERE agency_id = $1 AND id = ANY($2::uuid[]) AND public",
        agency,
        sorted({UUID(id_) for id_ in ids}),
    )
    return {str(row["id"]): row["document"] for row in rows}


async def read_report(
    connection: Connection, agency: str, import_id: UUID, *, after: int, limit: int
) -> list[Any]:
    """Report rows of an import, after the number seen last."""
    return await sets.fetch(
        connection,
        ImportReportRow,
        f"WHERE agency_id = $1 AND import_id = $2 AND n > $3 ORDER BY n LIMIT {limit:d}",
        agency,
        import_id,
        after,
    )


async def import_exists(connection: Connection, agency: str, import_id: UUID) -> bool:
    return bool(
        await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {SCHEMA}.directory_import"
            " WHERE agency_id = $1 AND id = $2)",
            agency,
            import_id,
        )
    )


async def lock_directory(connection: Connection, agency: str) -> int:
    """Take the lock of an agency's directory: changes come one by one. The present version."""
    return int(
        await connection.fetchval(
            f"INSERT INTO {SCHEMA}.directory_head AS h (agency_id, version) VALUES ($1, 0)"
            " ON CONFLICT (agency_id) DO UPDATE SET version = h.version RETURNING version",
            agency,
        )
    )


async def advance_directory(connection: Connection, agency: str, version: int) -> None:
    """Write the version that a set of changes made."""
    await connection.execute(
        f"UPDATE {SCHEMA}.directory_head SET version = $2 WHERE agency_id = $1", agency, version
    )


_WHERE = "WHERE agency_id = $1 AND id = ANY($2::uuid[])"


async def count_held(
    connection: Connection, agency: str, ids: Sequence[UUID]
) -> list[tuple[str, int, int, int]]:
    """Of each source: (its name, how many of these services it holds, how many active ones it has,
    how many of those are not among these)."""
    rows = await connection.fetch(
        f"SELECT source, count(*) FILTER (WHERE there), count(*) FILTER (WHERE active),"
        " count(*) FILTER (WHERE active AND NOT there)"
        " FROM (SELECT source, status = 'active' AS active, id = ANY($2::uuid[]) AS there"
        f" FROM {SCHEMA}.service WHERE agency_id = $1) AS service GROUP BY source",
        agency,
        ids,
    )
    return [tuple(row) for row in rows]


async def known_organizations(
    connection: Connection, agency: str, ids: Sequence[UUID]
) -> dict[UUID, Any]:
    rows = await sets.fetch(connection, OrganizationRow, _WHERE, agency, ids)
    return {row.id: row for row in rows}


async def known_services(
    connection: Connection, agency: str, ids: Sequence[UUID]
) -> dict[UUID, Any]:
    rows = await sets.fetch(connection, ServiceRow, _WHERE, agency, ids)
    return {row.id: row for row in rows}


async def known_locations(
    connection: Connection, agency: str, ids: Sequence[UUID]
) -> dict[UUID, Any]:
    rows = await connection.fetch(
        f"SELECT id, hash, version, source FROM {SCHEMA}.location {_WHERE}", agency, ids
    )
    return {row["id"]: row for row in rows}


_ABSENT = (
    "agency_id = $1 AND source = $2"
    " AND NOT EXISTS (SELECT FROM unnest($3::uuid[]) AS there(id) WHERE there.id = t.id)"
)
_OFFERED = "status = 'active' AND left_at IS NULL"


async def absent_services(
    connection: Connection, agency: str, source: str, ids: Sequence[UUID]
) -> tuple[list[Any], int]:
    """Active services of a source that are none of *ids*, and how many active ones it has.

    One that left before and was made active by hand is not among them.
    """
    rows = await sets.fetch(
        connection, ServiceRow, f"t WHERE {_ABSENT} AND {_OFFERED} ORDER BY id", agency, source, ids
    )
    active = await connection.fetchval(
        f"SELECT count(*) FROM {SCHEMA}.service"
        f" WHERE agency_id = $1 AND source = $2 AND {_OFFERED}",
        agency,
        source,
    )
    return rows, int(active)


async def count_absent(
    connection: Connection, table: type[SQLModel], agency: str, source: str, ids: Sequence[UUID]
) -> int:
    """How many organizations or locations of a source are none of *ids*."""
    name = sets.table_of(table).name
    query = f"SELECT count(*) FROM {SCHEMA}.{name} t WHERE {_ABSENT}"
    return int(await connection.fetchval(query, agency, source, ids))
