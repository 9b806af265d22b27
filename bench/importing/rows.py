"""B5's peer and limit: the file's own rows, into one table with the file's own columns."""

import time
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import create_model
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.importing.files import rows

TABLE = "imported"


async def by_row(*, url: str, path: str) -> dict[str, Any]:
    """The usual script: read the CSV, one SQLModel object a row, add, commit."""
    header, _ = rows(Path(path))
    model = _model(header)
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(model.metadata.create_all)
    began = time.perf_counter()
    header, found = rows(Path(path))
    async with AsyncSession(engine) as session:
        for row in found:
            session.add(model(**dict(zip(header, row, strict=True))))
            await session.commit()
    seconds = time.perf_counter() - began
    await engine.dispose()
    return {"seconds": seconds, "rows": len(found)}


def _model(header: list[str]) -> Any:
    """A table of text columns beside the row's number. A column ``id`` is the feed's own."""
    columns: dict[str, Any] = {name: (str, Field()) for name in header}
    columns["row_number"] = (int | None, Field(default=None, primary_key=True))
    return create_model(TABLE, __base__=SQLModel, __cls_kwargs__={"table": True}, **columns)


async def copy(*, url: str, path: str) -> dict[str, Any]:
    """``COPY`` of the file's bytes into the same columns."""
    header, found = rows(Path(path))
    connection = await asyncpg.connect(url)
    columns = ", ".join(f'"{name}" text' for name in header)
    await connection.execute(f"CREATE TABLE {TABLE} ({columns})")
    began = time.perf_counter()
    await connection.copy_to_table(
        TABLE, source=path, columns=header, format="csv", header=True, encoding="utf-8"
    )
    seconds = time.perf_counter() - began
    copied = await connection.fetchval(f"SELECT count(*) FROM {TABLE}")
    await connection.close()
    assert copied == len(found), f"{copied} of {len(found)} rows were copied"
    return {"seconds": seconds, "rows": copied}
