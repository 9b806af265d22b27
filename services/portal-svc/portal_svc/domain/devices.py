"""Which failed tries are counted together: those of a browser that is known, or of strangers."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

TRIES_BEFORE_BACKOFF: Final = 5
# Of one account by strangers from wherever: fewer than the hundred of NIST SP 800-63B, 3.2.2.
TRIES_OF_STRANGERS: Final = 50


@dataclass(frozen=True, slots=True)
class Counter:
    """Where failures are added up, by its hash, and how many have no consequence."""

    key: bytes
    free: int


def device_mark(key: bytes, email_hash: bytes) -> str:
    """What a browser keeps once somebody has signed in with it: random, and bound to them."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_proof(key, email_hash, nonce)}"


def known_device(key: bytes, email_hash: bytes, mark: str | None) -> str | None:
    """Which of this person's browsers *mark* is from; None for a stranger's, or another's."""
    nonce, _, proof = (mark or "").partition(".")
    right = _proof(key, email_hash, nonce)
    return nonce if hmac.compare_digest(right.encode(), proof.encode()) else None


def counters(email_hash: bytes, origin: str, device: str | None) -> tuple[Counter, ...]:
    """What a try of this account counts against.

    A known browser stands for itself: no failure of a stranger holds it up. Strangers are counted
    by *origin*, so that one holds up nobody elsewhere, and all together by a higher bound.
    """
    if device is not None:
        return (Counter(_hash(email_hash, "device", device), TRIES_BEFORE_BACKOFF),)
    return (
        Counter(_hash(email_hash, "origin", origin), TRIES_BEFORE_BACKOFF),
        Counter(email_hash, TRIES_OF_STRANGERS),
    )


def _proof(key: bytes, email_hash: bytes, nonce: str) -> str:
    digest = hmac.digest(key, email_hash + nonce.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _hash(email_hash: bytes, kind: str, value: str) -> bytes:
    return hashlib.sha256(email_hash + f"{kind}:{value}".encode()).digest()
