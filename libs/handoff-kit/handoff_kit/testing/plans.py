"""Which indexes a query takes, told by PostgreSQL for each statement that runs."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson


class Planned:
    """A connection that also asks for the plan of each statement.

    ``indexes``: table → the indexes by which it was read. On the small tables of a test a plan is
    one that was made before the tables had grown, which is the one that may stay.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.indexes: dict[str, set[str]] = {}

    async def _explain(self, query: str, *args: Any) -> None:
        told = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *args)
        plan = (orjson.loads(told) if isinstance(told, str) else told)[0]["Plan"]
        for table, index in _read_by(plan, ""):
            self.indexes.setdefault(table, set()).add(index)

    async def fetch(self, query: str, *args: Any, **more: Any) -> Any:
        await self._explain(query, *args)
        return await self._connection.fetch(query, *args, **more)

    async def fetchrow(self, query: str, *args: Any, **more: Any) -> Any:
        await self._explain(query, *args)
        return await self._connection.fetchrow(query, *args, **more)

    async def fetchval(self, query: str, *args: Any, **more: Any) -> Any:
        await self._explain(query, *args)
        return await self._connection.fetchval(query, *args, **more)

    async def execute(self, query: str, *args: Any, **more: Any) -> Any:
        if not query.startswith("SET"):
            await self._explain(query, *args)
        return await self._connection.execute(query, *args, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _read_by(node: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    """(table, index) of every scan; a bitmap's index is read for the table of the heap scan."""
    table = node.get("Relation Name", above)
    if node["Node Type"] == "Seq Scan":
        yield table, "(all of it)"
    elif "Index Name" in node:
        yield table, node["Index Name"]
    for inner in node.get("Plans", ()):
        yield from _read_by(inner, table)
