"""New ids: UUIDv4, since the time in a UUIDv7 would join what must not be joined."""

import os
from uuid import UUID

from asyncpg.pgproto import pgproto

# The driver's own UUID: a uuid.UUID that is made, written and sent in C.
_UUID = pgproto.UUID
_AHEAD = 4096
# Of the system's generator, eight bytes each, drawn ahead so that an id costs no system call.
# Taking one out of a list is one step: no two threads get the same. For ids alone; keys and nonces
# come from the system one by one.
_drawn: list[bytes] = []
# A child must not draw what its parent draws.
os.register_at_fork(after_in_child=_drawn.clear)


def random8() -> bytes:
    """Eight random bytes."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            raw = os.urandom(_AHEAD)
            _drawn.extend([raw[at : at + 8] for at in range(0, _AHEAD, 8)])


def random16() -> bytes:
    """Sixteen random bytes."""
    return random8() + random8()


def new_id() -> UUID:
    """A random UUID, version 4."""
    raw = bytearray(random16())
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    made: UUID = _UUID(bytes(raw))
    return made
