"""Signatures of webhooks: Standard Webhooks 1.0.0, "Signature scheme".

``v1``: HMAC-SHA256 with a secret that both sides hold (``whsec_…``). ``v1a``: ed25519, whose
public half (``whpk_…``) is all that a receiver needs.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Scheme = Literal["v1", "v1a"]

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewSecret:
    """``raw`` is what is sealed and signed with; ``shown`` goes to the receiver once."""

    raw: bytes
    shown: str | None
    public_key: str | None


def new_secret(scheme: Scheme) -> NewSecret:
    """A new signing secret for one endpoint."""
    if scheme == "v1":
        raw = os.urandom(_SECRET_BYTES)
        return NewSecret(raw, show_secret(raw), None)
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return NewSecret(key.private_bytes_raw(), None, f"whpk_{public}")


def show_secret(raw: bytes) -> str:
    """A ``v1`` secret as receivers' libraries take it."""
    return f"whsec_{base64.b64encode(raw).decode()}"


def sign(scheme: str, raw: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Value of ``webhook-signature``. *timestamp*: of this attempt, seconds since the epoch."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    if scheme == "v1":
        signature = hmac.digest(raw, content, hashlib.sha256)
    else:
        signature = Ed25519PrivateKey.from_private_bytes(raw).sign(content)
    return f"{scheme},{base64.b64encode(signature).decode()}"
