"""Rows moved as sets: one statement and one round trip, however many rows and tables.

A table is declared once, as a SQLModel class; the statement for a set is made from its columns on
first use and kept. Rows may be any objects that have the columns as attributes, or mappings.
The rows of a table are one JSON parameter, which PostgreSQL takes apart by the types of the
columns; bytes have no JSON, so each such column is an array that goes alongside.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

import orjson
from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import LargeBinary
from sqlmodel import SQLModel

from handoff_kit.db import Connection

Row = Any
OnConflict = Literal["fail", "nothing", "update"]
_PARAMETER = re.compile(r"\$(\d+)")
_DIALECT: Dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a statement that writes: one or more common table expressions.

    With a ``name``, ``sql`` is a statement by itself. Its parameters count from $1; `write` numbers
    those of several parts anew.
    """

    sql: str
    arguments: Sequence[Any]
    name: str = ""


def table_of(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def _type(table: Table, column: str) -> str:
    name = table.c[column].type.compile(dialect=_DIALECT)
    return {"VARCHAR": "text", "FLOAT": "double precision", "DATETIME": "timestamptz"}.get(
        name, name.lower()
    )


def _name(table: Table) -> str:
    return f'"{table.schema}"."{table.name}"'


def _quoted(columns: Iterable[str]) -> str:
    return ", ".join(f'"{c}"' for c in columns)


@lru_cache(maxsize=512)
def _columns(model: type[SQLModel]) -> tuple[str, ...]:
    return tuple(c.name for c in table_of(model).columns if c.identity is None)


@lru_cache(maxsize=512)
def _key(model: type[SQLModel]) -> tuple[str, ...]:
    return tuple(c.name for c in table_of(model).primary_key.columns)


@lru_cache(maxsize=512)
def _split(
    model: type[SQLModel], columns: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that go as JSON, and those of bytes."""
    table = table_of(model)
    sealed = tuple(c for c in columns if isinstance(table.c[c].type, LargeBinary))
    return tuple(c for c in columns if c not in sealed), sealed


def _given(model: type[SQLModel], columns: tuple[str, ...]) -> str:
    """The rows as a table ``v``; see `_arguments`."""
    table = table_of(model)
    plain, sealed = _split(model, columns)
    typed = ", ".join(f'"{c}" {_type(table, c)}' for c in plain)
    arrays = "".join(f", unnest(${i}::bytea[])" for i in range(2, 2 + len(sealed)))
    rows = f"ROWS FROM (json_to_recordset($1::json) AS ({typed}){arrays})"
    return f"{rows} AS v({_quoted(plain + sealed)})"


def _arguments(
    model: type[SQLModel], rows: Sequence[Row], columns: tuple[str, ...]
) -> list[str | list[bytes | None]]:
    """Parameters of `_given`: the rows as JSON, and an array for each column of bytes."""
    plain, sealed = _split(model, columns)
    if isinstance(rows[0], Mapping):
        kept = [{c: row[c] for c in plain} for row in rows]
        arrays = [[row[c] for row in rows] for c in sealed]
    else:
        if len(plain) > 1:
            of = attrgetter(*plain)
            kept = [dict(zip(plain, of(row), strict=True)) for row in rows]
        else:
            kept = [{c: getattr(row, c) for c in plain} for row in rows]
        arrays = [list(map(attrgetter(c), rows)) for c in sealed]
    return [orjson.dumps(kept, default=_text).decode(), *arrays]


def _text(value: Any) -> str:
    """The driver's own UUIDs. Raises: TypeError for anything else that JSON has no word for."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


@lru_cache(maxsize=512)
def _insert_sql(model: type[SQLModel], on_conflict: OnConflict) -> str:
    table, columns, key = table_of(model), _columns(model), _key(model)
    values = ", ".join(f'v."{c}"' for c in columns)
    sql = f"INSERT INTO {_name(table)} ({_quoted(columns)}) SELECT {values}"
    sql += f" FROM {_given(model, columns)}"
    if on_conflict == "nothing":
        sql += " ON CONFLICT DO NOTHING"
    elif on_conflict == "update":
        changed = ", ".join(f'"{c}" = EXCLUDED."{c}"' for c in columns if c not in key)
        sql += f" ON CONFLICT ({_quoted(key)}) DO UPDATE SET {changed}"
    return sql


@lru_cache(maxsize=512)
def _update_sql(model: type[SQLModel], columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    changed = ", ".join(f'"{c}" = v."{c}"' for c in columns)
    rows = _given(model, (*key, *columns))
    return f"UPDATE {_name(table_of(model))} t SET {changed} FROM {rows} WHERE {_same(key)}"


@lru_cache(maxsize=512)
def _delete_sql(model: type[SQLModel], key: tuple[str, ...]) -> str:
    return f"DELETE FROM {_name(table_of(model))} t USING {_given(model, key)} WHERE {_same(key)}"


def _same(key: Sequence[str]) -> str:
    return " AND ".join(f't."{c}" = v."{c}"' for c in key)


def inserting(
    model: type[SQLModel], rows: Sequence[Row], on_conflict: OnConflict = "fail"
) -> Part | None:
    """A part that inserts *rows*; None without any. Generated columns are left out.

    With ``update`` a row of the same primary key is replaced; a key may stand once in a set.
    """
    if not rows:
        return None
    arguments = _arguments(model, rows, _columns(model))
    return Part(_insert_sql(model, on_conflict), arguments, f"insert {table_of(model).name}")


def updating(model: type[SQLModel], rows: Sequence[Row], columns: Sequence[str]) -> Part | None:
    """A part that writes *columns* of *rows*, found by their primary key."""
    if not rows:
        return None
    by, changed = _key(model), tuple(columns)
    arguments = _arguments(model, rows, (*by, *changed))
    return Part(_update_sql(model, changed, by), arguments, f"update {table_of(model).name}")


async def write(connection: Connection, parts: Sequence[Part]) -> None:
    """Run *parts* as one statement: all see the database as it was before it.

    So none may depend on what another writes, and a row may be written by one of them alone.
    Raises: asyncpg.UniqueViolationError when a row is there already; then nothing was written.
    """
    if parts:
        sql = _together(tuple((part.name, part.sql, len(part.arguments)) for part in parts))
        await connection.execute(sql, *[a for part in parts for a in part.arguments])


@lru_cache(maxsize=512)
def _together(parts: tuple[tuple[str, str, int], ...]) -> str:
    numbered, at = [], 0
    for n, (name, sql, count) in enumerate(parts):
        renumbered = _renumbered(sql, at)
        numbered.append(f'"{name} {n}" AS ({renumbered})' if name else renumbered)
        at += count
    return f"WITH {', '.join(numbered)} SELECT"


def _renumbered(sql: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", sql)


async def insert(
    connection: Connection,
    model: type[SQLModel],
    rows: Sequence[Row],
    *,
    on_conflict: OnConflict = "fail",
) -> int:
    """Insert *rows* now; returns how many were written. See `inserting`.

    Raises: asyncpg.UniqueViolationError with ``fail`` when a row is there already.
    """
    if not rows:
        return 0
    arguments = _arguments(model, rows, _columns(model))
    return _count(await connection.execute(_insert_sql(model, on_conflict), *arguments))


async def insert_new(
    connection: Connection, model: type[SQLModel], rows: Sequence[Row]
) -> set[tuple[Any, ...]]:
    """Insert *rows* now unless they are there; the primary keys of those that were not."""
    if not rows:
        return set()
    sql = f"{_insert_sql(model, 'nothing')} RETURNING {_quoted(_key(model))}"
    found = await connection.fetch(sql, *_arguments(model, rows, _columns(model)))
    return {tuple(row) for row in found}


async def upsert(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> int:
    """Insert *rows* now, or replace those of the same primary key; how many were written."""
    return await insert(connection, model, rows, on_conflict="update")


async def update(
    connection: Connection,
    model: type[SQLModel],
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    key: Sequence[str] | None = None,
) -> int:
    """Write *columns* of *rows* now; how many were found. See `updating`."""
    if not rows:
        return 0
    by, changed = tuple(key) if key else _key(model), tuple(columns)
    arguments = _arguments(model, rows, (*by, *changed))
    return _count(await connection.execute(_update_sql(model, changed, by), *arguments))


async def delete(
    connection: Connection,
    model: type[SQLModel],
    rows: Sequence[Row],
    *,
    key: Sequence[str] | None = None,
) -> int:
    """Delete the rows with the keys of *rows*; returns how many were there."""
    if not rows:
        return 0
    by = tuple(key) if key else _key(model)
    return _count(await connection.execute(_delete_sql(model, by), *_arguments(model, rows, by)))


async def fetch(
    connection: Connection, model: type[SQLModel], tail: str, *arguments: Any
) -> list[Any]:
    """``SELECT`` every column of *model* ``FROM`` its table, then *tail*.

    *tail* starts with an alias or with ``WHERE``/``ORDER BY``: ``"c WHERE c.id = $1"``. The
    records give columns by name and by attribute.
    """
    return list(await connection.fetch(_select_sql(model) + tail, *arguments))


@lru_cache(maxsize=512)
def _select_sql(model: type[SQLModel]) -> str:
    table = table_of(model)
    return f"SELECT {_quoted(c.name for c in table.columns)} FROM {_name(table)} "


def _count(status: str) -> int:
    return int(status.rsplit(" ", 1)[-1])
