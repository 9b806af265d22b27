"""Rows moved as sets: one statement and one round trip, however many rows.

A table is declared once, as a SQLModel class; the statement for a set is made from its columns on
first use and kept. Rows may be any objects that have the columns as attributes, or mappings.
Every column becomes one array parameter of ``unnest``; lists and objects are JSONB, since an array
of arrays cannot be unnested, and travel as text, since a driver takes a list in a list for one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Literal

import orjson
from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import Select
from sqlmodel import SQLModel

from handoff_kit.db import Connection

Row = Any
_dumps = orjson.dumps
_PARAMETER = re.compile(r"\$(\d+)")
_DIALECT: Dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]


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


def _columns(model: type[SQLModel]) -> tuple[str, ...]:
    return tuple(c.name for c in table_of(model).columns if c.identity is None)


def _key(model: type[SQLModel]) -> tuple[str, ...]:
    return tuple(c.name for c in table_of(model).primary_key.columns)


def _unnest(table: Table, columns: Sequence[str], first: int = 1) -> str:
    arrays = ", ".join(
        f"${i}::{'text' if _is_json(table, c) else _type(table, c)}[]"
        for i, c in enumerate(columns, first)
    )
    return f"unnest({arrays}) AS v({_quoted(columns)})"


def _is_json(table: Table, column: str) -> bool:
    return isinstance(table.c[column].type, postgresql.JSONB)


def _value(table: Table, column: str) -> str:
    return f'v."{column}"' + ("::jsonb" if _is_json(table, column) else "")


@lru_cache(maxsize=512)
def _json_columns(model: type[SQLModel], columns: tuple[str, ...]) -> tuple[int, ...]:
    table = table_of(model)
    return tuple(i for i, c in enumerate(columns) if _is_json(table, c))


@lru_cache(maxsize=512)
def _insert_sql(model: type[SQLModel], columns: tuple[str, ...], on_conflict: str) -> str:
    table = table_of(model)
    values = ", ".join(_value(table, c) for c in columns)
    sql = f"INSERT INTO {_name(table)} ({_quoted(columns)}) SELECT {values}"
    sql += f" FROM {_unnest(table, columns)}"
    key = _key(model)
    if on_conflict == "nothing":
        sql += " ON CONFLICT DO NOTHING"
    elif on_conflict == "update":
        changed = ", ".join(f'"{c}" = EXCLUDED."{c}"' for c in columns if c not in key)
        sql += f" ON CONFLICT ({_quoted(key)}) DO UPDATE SET {changed}"
    return sql


@lru_cache(maxsize=512)
def _update_sql(model: type[SQLModel], columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    table = table_of(model)
    given = (*key, *columns)
    changed = ", ".join(f'"{c}" = {_value(table, c)}' for c in columns)
    match = " AND ".join(f't."{c}" = v."{c}"' for c in key)
    return f"UPDATE {_name(table)} t SET {changed} FROM {_unnest(table, given)} WHERE {match}"


@lru_cache(maxsize=512)
def _delete_sql(model: type[SQLModel], key: tuple[str, ...]) -> str:
    table = table_of(model)
    match = " AND ".join(f't."{c}" = v."{c}"' for c in key)
    return f"DELETE FROM {_name(table)} t USING {_unnest(table, key)} WHERE {match}"


def columns_of(rows: Sequence[Row], columns: Sequence[str]) -> list[list[Any]]:
    """Turn rows into one list a column."""
    if isinstance(rows[0], Mapping):
        return [[row[c] for row in rows] for c in columns]
    return [list(map(attrgetter(c), rows)) for c in columns]


def _arrays(
    model: type[SQLModel], rows: Sequence[Row], columns: tuple[str, ...]
) -> list[list[Any]]:
    """Like `columns_of`, with JSONB as text."""
    found = columns_of(rows, columns)
    for i in _json_columns(model, columns):
        found[i] = [None if v is None else _dumps(v, default=str).decode() for v in found[i]]
    return found


async def insert(
    connection: Connection,
    model: type[SQLModel],
    rows: Sequence[Row],
    *,
    on_conflict: Literal["fail", "nothing"] = "fail",
) -> int:
    """Insert *rows*; returns how many were written. Generated columns are left out.

    Raises: asyncpg.UniqueViolationError with ``fail`` when a row is there already.
    """
    if not rows:
        return 0
    columns = _columns(model)
    return _count(
        await connection.execute(
            _insert_sql(model, columns, on_conflict), *_arrays(model, rows, columns)
        )
    )


async def upsert(connection: Connection, model: type[SQLModel], rows: Sequence[Row]) -> int:
    """Insert *rows* or replace those of the same primary key. A key may stand once in a set."""
    if not rows:
        return 0
    columns = _columns(model)
    return _count(
        await connection.execute(
            _insert_sql(model, columns, "update"), *_arrays(model, rows, columns)
        )
    )


async def update(
    connection: Connection,
    model: type[SQLModel],
    rows: Sequence[Row],
    *,
    columns: Sequence[str],
    key: Sequence[str] | None = None,
) -> int:
    """Write *columns* of *rows*, found by *key* (the primary key unless given); how many were."""
    if not rows:
        return 0
    by = tuple(key) if key else _key(model)
    sql = _update_sql(model, tuple(columns), by)
    return _count(await connection.execute(sql, *_arrays(model, rows, (*by, *columns))))


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
    return _count(await connection.execute(_delete_sql(model, by), *_arrays(model, rows, by)))


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


async def select(connection: Connection, statement: "Select[Any]") -> list[Any]:
    """Run a SQLModel/SQLAlchemy ``select`` on the same connection, for reads with filters."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    names = compiled.positiontup or ()
    parameters = compiled.construct_params()
    return list(await connection.fetch(str(compiled), *[parameters[n] for n in names]))


def _count(status: str) -> int:
    return int(status.rsplit(" ", 1)[-1])


@dataclass(frozen=True, slots=True)
class Part:
    """Common table expressions that go along with an insert; parameters count from $1."""

    sql: str
    arguments: Sequence[Any]


@lru_cache(maxsize=512)
def _insert_all_sql(
    models: tuple[type[SQLModel], ...], more: tuple[str, ...], counts: tuple[int, ...]
) -> str:
    parts, at = [], 1
    for n, model in enumerate(models):
        table, columns = table_of(model), _columns(model)
        values = ", ".join(_value(table, c) for c in columns)
        parts.append(
            f"i{n} AS (INSERT INTO {_name(table)} ({_quoted(columns)})"
            f" SELECT {values} FROM {_unnest(table, columns, at)})"
        )
        at += len(columns)
    for sql, count in zip(more, counts, strict=True):
        parts.append(_renumbered(sql, at - 1))
        at += count
    return f"WITH {', '.join(parts)} SELECT"


def _renumbered(sql: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", sql)


async def insert_all(
    connection: Connection,
    given: Sequence[tuple[type[SQLModel], Sequence[Row]]],
    more: Sequence[Part] = (),
) -> None:
    """Insert rows of several tables in one round trip. A model may stand once; empty ones do not.

    Raises: asyncpg.UniqueViolationError when a row is there already; then nothing was inserted.
    """
    filled = [(model, rows) for model, rows in given if rows]
    if not filled and not more:
        return
    arguments = [
        column for model, rows in filled for column in _arrays(model, rows, _columns(model))
    ]
    for part in more:
        arguments += part.arguments
    sql = _insert_all_sql(
        tuple(model for model, _ in filled),
        tuple(part.sql for part in more),
        tuple(len(part.arguments) for part in more),
    )
    await connection.execute(sql, *arguments)
