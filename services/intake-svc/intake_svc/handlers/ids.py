"""New ids: UUIDv4, since the time in a UUIDv7 would join what must not be joined."""

import os
from uuid import UUID

from asyncpg.pgproto import pgproto

# The driver's own UUID: a uuid.UUID that is made, written and sent in C.
_UUID = pgproto.UUID


def new_id() -> UUID:
    """A random UUID, version 4."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    made: UUID = _UUID(bytes(raw))
    return made
