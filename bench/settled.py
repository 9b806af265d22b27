"""When nothing is under way any more in a running system on the embedded log."""

import asyncio
import time

import asyncpg
from support.history import unsettled

EVERY = 0.02


async def settled(url: str, patience: float = 300.0) -> float:
    """Wait until outboxes are empty and every group is at its topics' heads; the moment
    (monotonic) of the look that found it so. Each look sees one snapshot.

    Raises: TimeoutError with what is left.
    """
    until = time.monotonic() + patience
    connection = await asyncpg.connect(url)
    try:
        while True:
            now = time.monotonic()
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                left = await unsettled(connection)
            if not left:
                return now
            if now > until:
                raise TimeoutError("; ".join(left))
            await asyncio.sleep(EVERY)
    finally:
        await connection.close()
