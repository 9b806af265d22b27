"""What an operator changes through the database itself: as a service's own set, audited.

The change runs under the service's role for sets, so row-level security and insert-only audit hold
for the command line too.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from handoff_kit.db import Connection

from handoff_cli.running import database

if TYPE_CHECKING:
    from handoff_kit.tx import Tx

ACTOR = f"operator:{os.environ.get('SUDO_USER') or os.environ.get('USER') or 'local'}"[:80]


@asynccontextmanager
async def office(service: str) -> AsyncIterator["Tx"]:
    """One transaction as *service*; commits unless the block raises. Raises: NotRunning."""
    from handoff_kit.tx import Tx, flush

    async with database() as connection, connection.transaction():
        await take_role(connection, f"handoff_{service}_sets")
        now = await connection.fetchval("SELECT clock_timestamp()")
        tx = Tx(connection, now, service)
        yield tx
        await flush(tx)


async def take_role(connection: Connection, role: str) -> None:
    """Act as *role* until the transaction's end; an owner that is no superuser joins it first."""
    try:
        async with connection.transaction():
            await connection.execute(f'SET LOCAL ROLE "{role}"')
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute(f'GRANT "{role}" TO CURRENT_USER')
        await connection.execute(f'SET LOCAL ROLE "{role}"')
