"""Argon2id, off the event loop and never more than two at a time."""

import asyncio
from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's smallest set of parameters: 19 MiB fit into a small machine's idle budget.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE: Final = 2


async def hash_password(password: str) -> str:
    return await asyncio.to_thread(_HASHER.hash, password)


class PasswordCheck:
    """Says whether a password fits, in the same time whether or not there is a hash to check."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def fits(self, password: str, stored: str | None) -> bool:
        """False without a *stored* hash, after as much work as with one."""
        async with self._slots:
            fits = await asyncio.to_thread(_verify, password, stored or _nobody())
        return fits and stored is not None


@lru_cache(maxsize=1)
def _nobody() -> str:
    """The hash that stands in for an unknown person's."""
    return _HASHER.hash("nobody has this password")


def _verify(password: str, stored: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
