"""Issues access tokens. Keys are a private JWK set (RFC 7517) in a file of mode 0600."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from handoff_kit.auth.roles import scopes_of
from handoff_kit.auth.verifier import AUDIENCE

__all__ = ["LIFETIME", "Signer", "create_signing_keys", "read_key_set", "rotate_signing_keys"]

LIFETIME = 600  # seconds; contract.md: ten minutes


class Signer:
    """Signs with the first key of the file; publishes the public half of all of them."""

    def __init__(
        self, path: Path | str, issuer: str, *, now: Callable[[], float] = time.time
    ) -> None:
        """Raises ValueError, naming the file, when it holds no usable key set."""
        self._keys = read_key_set(Path(path))
        private = OKPAlgorithm.from_jwk(self._keys[0])
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path}: the first key is not a private Ed25519 key")  # noqa: TRY004
        self._private = private
        self._kid: str = self._keys[0]["kid"]
        self._now = now
        self.issuer = issuer

    def issue(
        self,
        *,
        subject: str,
        agency: str,
        roles: Iterable[str],
        client_id: str | None = None,
        organization: str | None = None,
        scopes: Iterable[str] | None = None,
        lifetime: int = LIFETIME,
    ) -> str:
        """An access token. `scopes` narrows what the roles give and never widens it.

        Raises KeyError for an unknown role.
        """
        roles = sorted(set(roles))
        granted = scopes_of(roles)
        if scopes is not None:
            granted &= frozenset(scopes)
        issued_at = int(self._now())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": str(uuid.uuid4()),
            "agency": agency,
            "roles": roles,
            "scope": " ".join(sorted(granted)),
        }
        if client_id is not None:
            claims["client_id"] = client_id
        if organization is not None:
            claims["organization"] = organization
        return jwt.encode(
            claims, self._private, "EdDSA", headers={"typ": "at+jwt", "kid": self._kid}
        )

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public JWK set, as served at /oauth/jwks.json."""
        return {"keys": [{k: v for k, v in key.items() if k != "d"} for key in self._keys]}


def create_signing_keys(path: Path | str) -> None:
    """Write a new key set, mode 0600. Raises FileExistsError: a key is never overwritten."""
    _write_new(Path(path), [_new_key()])


def rotate_signing_keys(path: Path | str, *, keep: int = 2) -> str:
    """Put a new key first and keep the `keep` youngest in all; returns the new key's id.

    Tokens of a dropped key end with it, so `keep=2` suits rotations more than LIFETIME apart.
    """
    path = Path(path)
    key = _new_key()
    staged = path.with_name(path.name + ".new")
    staged.unlink(missing_ok=True)
    _write_new(staged, [key, *read_key_set(path)][:keep])
    staged.replace(path)
    kid: str = key["kid"]
    return kid


def read_key_set(path: Path) -> list[dict[str, Any]]:
    """The keys of a JWK set file, at least one. Raises ValueError naming the file."""
    try:
        keys: list[dict[str, Any]] = json.loads(path.read_bytes())["keys"]
        complete = bool(keys) and all(key["kid"] and key["kty"] for key in keys)
    except OSError:
        raise ValueError(f"{path}: the signing keys cannot be read") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: this is not a JWK set") from None
    if not complete:
        raise ValueError(f"{path}: the JWK set has no key")
    return keys


def _new_key() -> dict[str, Any]:
    key: dict[str, Any] = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)
    return {**key, "kid": _thumbprint(key), "use": "sig", "alg": "EdDSA"}


def _thumbprint(key: dict[str, Any]) -> str:
    """RFC 7638, with the members that RFC 8037 names for OKP keys."""
    members = json.dumps(
        {name: key[name] for name in ("crv", "kty", "x")}, sort_keys=True, separators=(",", ":")
    )
    digest = hashlib.sha256(members.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _write_new(path: Path, keys: list[dict[str, Any]]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"keys": keys}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
