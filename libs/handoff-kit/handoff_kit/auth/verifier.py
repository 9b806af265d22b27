"""Checks access tokens (RFC 9068, RFC 8725) and remembers the good ones for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import jwt

from handoff_kit.auth.jwks import JwksSource
from handoff_kit.auth.roles import Principal
from handoff_kit.errors import ScopeMissing, Unauthenticated

__all__ = ["AUDIENCE", "Verifier"]

AUDIENCE = "handoff"
_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_LONGEST = 4096  # characters; ours have about 700
_REMEMBERED = 300  # seconds
_SKEW = 60  # seconds that an issuer's clock may be ahead
_REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti"]


class Verifier:
    """Turns a token into a Principal.

    A token that was good is looked up by its text for five minutes, until it expires at most. A
    source of keys may keep a key for as long. So a key that is taken away ends its tokens, whatever
    they say of their own end, within ten minutes.
    """

    def __init__(
        self,
        issuer: str,
        jwks: JwksSource,
        *,
        now: Callable[[], float] = time.time,
        cache_size: int = 4096,
    ) -> None:
        self._issuer = issuer
        self._jwks = jwks
        self._now = now
        self._cache_size = cache_size
        self._cache: OrderedDict[str, tuple[Principal, float]] = OrderedDict()  # and until when

    async def verify(self, token: str) -> Principal:
        """Raises Unauthenticated; Unavailable when the keys cannot be had."""
        now = self._now()
        hit = self._cache.get(token)
        if hit is not None and hit[1] > now:
            self._cache.move_to_end(token)
            return hit[0]
        principal = await self._check(token)
        self._cache[token] = principal, min(principal.expires_at, now + _REMEMBERED)
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return principal

    async def principal_of(
        self, request_headers: Iterable[tuple[bytes, bytes]], scope: str
    ) -> Principal:
        """The caller by raw ASGI headers, for paths that do without FastAPI's dependencies.

        Raises Unauthenticated, ScopeMissing, Unavailable.
        """
        principal = await self.verify(bearer_token(request_headers))
        if scope not in principal.scopes:
            raise ScopeMissing(scope=scope)
        return principal

    async def _check(self, token: str) -> Principal:
        if len(token) > _LONGEST:
            raise Unauthenticated
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise Unauthenticated from None
        kid = header.get("kid")
        if str(header.get("typ", "")).lower() not in _TYPES or not isinstance(kid, str):
            raise Unauthenticated
        key = await self._jwks.find(kid)
        if key is None:
            raise Unauthenticated
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Times are judged below, against the clock that was given.
                options={
                    "require": _REQUIRED,
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            return self._judge(claims)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            raise Unauthenticated from None

    def _judge(self, claims: dict[str, Any]) -> Principal:
        now = self._now()
        expires_at = float(claims["exp"])
        if not now < expires_at or float(claims["iat"]) > now + _SKEW:
            raise Unauthenticated
        if float(claims.get("nbf", 0)) > now + _SKEW:
            raise Unauthenticated
        roles, scope = claims["roles"], claims["scope"]
        if not isinstance(roles, list) or not isinstance(scope, str):
            raise Unauthenticated
        return Principal(
            subject=_text(claims["sub"]),
            agency=_text(claims["agency"]),
            client_id=_optional(claims.get("client_id")),
            organization=_optional(claims.get("organization")),
            roles=frozenset(_text(role) for role in roles),
            scopes=frozenset(scope.split()),
            expires_at=expires_at,
        )


def bearer_token(request_headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The token of the one Authorization header (RFC 6750, 2.1). Raises Unauthenticated."""
    found = [value for name, value in request_headers if name == b"authorization"]
    if len(found) != 1 or found[0][:7].lower() != b"bearer ":
        raise Unauthenticated
    return found[0][7:].strip().decode("latin-1")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Unauthenticated
    return value


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)
