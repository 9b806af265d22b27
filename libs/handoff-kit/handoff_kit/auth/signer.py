"""Issues access tokens. Keys are a private JWK set (RFC 7517) in a file of mode 0600."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from handoff_kit import private_file
from handoff_kit.auth.roles import scopes_of
from handoff_kit.auth.verifier import AUDIENCE
from handoff_kit.private_file import Watched

log = logging.getLogger(__name__)

__all__ = [
    "LIFETIME",
    "PUBLISHED_BEFORE",
    "Signer",
    "TooSoon",
    "create_signing_keys",
    "read_key_set",
    "rotate_signing_keys",
]

LIFETIME = 600  # seconds; a token cannot be called back before its end
# Seconds. Longer than a key set is kept by caches on the way (its max-age) and by verifiers.
PUBLISHED_BEFORE = 310
_USE_FROM = "use_from"  # of a key in the file: when it begins to sign, seconds since the epoch


class TooSoon(ValueError):
    """Another key would go whose tokens are good; ``args[0]``: for how many seconds still."""


class Signer:
    """Signs with the newest key of the file that may be used; publishes the public half of all.

    A file that takes the place of the one that was read is read before the next token or set.
    """

    def __init__(
        self, path: Path | str, issuer: str, *, now: Callable[[], float] = time.time
    ) -> None:
        """Raises ValueError, naming the file, when it holds no usable key set."""
        self._path = Path(path)
        self._file = Watched(self._path)
        self._keys: list[_Key] = []
        self._now = now
        self.issuer = issuer
        self._read_anew()

    def _read_anew(self) -> None:
        if not self._file.changed():
            return
        try:
            self._keys = [_Key.of(key, self._path) for key in read_key_set(self._path)]
        except ValueError as error:
            if not self._keys:
                raise
            log.error("%s; the keys from before are used on", error)  # noqa: TRY400

    def _key(self, now: float) -> _Key:
        usable = (key for key in self._keys if key.use_from <= now)
        return next(usable, self._keys[-1])

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
        self._read_anew()
        issued_at = int(self._now())
        key = self._key(issued_at)
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
            claims, key.private, "EdDSA", headers={"typ": "at+jwt", "kid": key.public["kid"]}
        )

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public JWK set, as served at /oauth/jwks.json."""
        self._read_anew()
        return {"keys": [key.public for key in self._keys]}


@dataclass(frozen=True, slots=True)
class _Key:
    private: Ed25519PrivateKey
    public: dict[str, Any]
    use_from: float

    @classmethod
    def of(cls, key: dict[str, Any], path: Path) -> _Key:
        """Raises ValueError, naming the file."""
        private = OKPAlgorithm.from_jwk(key)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path}: {key['kid']} is no private Ed25519 key")  # noqa: TRY004
        public = {k: v for k, v in key.items() if k not in ("d", _USE_FROM)}
        return cls(private, public, float(key.get(_USE_FROM, 0)))


def create_signing_keys(path: Path | str) -> None:
    """Write a new key set, mode 0600. Raises FileExistsError: a key is never overwritten."""
    private_file.write_new(Path(path), {"keys": [_new_key()]})


def rotate_signing_keys(
    path: Path | str, *, drop_old: bool = False, now: Callable[[], float] = time.time
) -> str:
    """Put a new key first; returns its id. The one before stays, so its tokens stay good.

    The new key is published at once and signs `PUBLISHED_BEFORE` seconds later, so that nobody
    meets a token of a key that cannot be had yet. With *drop_old* it is alone and signs now:
    all tokens that are out end.
    Raises: ValueError naming the file; TooSoon while tokens of a key that would go are good.
    """
    path, at = Path(path), int(now())
    key = _new_key()
    with private_file.locked(path):
        known = read_key_set(path)
        if not drop_old:
            key[_USE_FROM] = at + PUBLISHED_BEFORE
            wait = float(known[0].get(_USE_FROM, 0)) + LIFETIME - at
            if len(known) > 1 and wait > 0:
                raise TooSoon(int(wait))
        private_file.replace(path, {"keys": [key, *([] if drop_old else known[:1])]})
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
