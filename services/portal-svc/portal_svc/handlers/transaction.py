"""A transaction of the portal outside doorway and consumer, for the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from handoff_kit.db import Database
from handoff_kit.tx import Tx


@asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[Tx]:
    """A ``Tx`` on *db* that is committed, audit entries included, unless the block raises."""
    async with db.sets() as connection:
        tx = Tx(connection, await connection.fetchval("SELECT clock_timestamp()"), db.service)
        yield tx
        await tx.save()
