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

from handoff_cli.running import SERVICES, database

if TYPE_CHECKING:
    from handoff_kit.tx import Tx

ACTOR = f"operator:{os.environ.get('SUDO_USER') or os.environ.get('USER') or 'local'}"[:80]


@asynccontextmanager
async def office(service: str) -> AsyncIterator["Tx"]:
    """One transaction as *service*; commits unless the block raises. Raises: NotRunning."""
    from handoff_kit.tx import Tx

    async with database() as connection:
        await _join(connection, service)
        async with connection.transaction():
            await act_for(connection, service)
            now = await connection.fetchval("SELECT clock_timestamp()")
            tx = Tx(connection, now, service)
            yield tx
            await tx.save()


@asynccontextmanager
async def reading(connection: Connection) -> AsyncIterator[None]:
    """A read-only transaction of one moment, in which `act_for` chooses whose rows are seen."""
    for service in SERVICES:
        await _join(connection, service)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield


async def act_for(connection: Connection, service: str) -> None:
    """See *service*'s rows from here on in this transaction: also its owner sees none of them by
    itself, unless it is a superuser."""
    await connection.execute(f'SET LOCAL ROLE "{_role(service)}"')


async def _join(connection: Connection, service: str) -> None:
    """Be a member of the service's role for sets; a superuser is of every role."""
    role = _role(service)
    try:
        async with connection.transaction():
            await connection.execute(f'SET LOCAL ROLE "{role}"')
    except asyncpg.InsufficientPrivilegeError:
        await connection.execute(f'GRANT "{role}" TO CURRENT_USER')


def _role(service: str) -> str:
    return f"handoff_{service}_sets"
