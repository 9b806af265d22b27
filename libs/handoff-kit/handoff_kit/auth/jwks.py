"""Where public keys come from: given, a file, or another service's JWK set over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import jwt

from handoff_kit.errors import Unavailable

__all__ = ["FileJwks", "HttpJwks", "JwksSource", "StaticJwks", "parse_jwks"]

# Keys decide the algorithm; what a token's header says about it is never asked.
ALGORITHMS = frozenset({"EdDSA", "ES256"})


class JwksSource(Protocol):
    """Finds a verification key by its id; None when there is no such key.

    Raises Unavailable when it cannot tell.
    """

    async def find(self, kid: str) -> jwt.PyJWK | None: ...


def parse_jwks(document: Any) -> dict[str, jwt.PyJWK]:
    """{kid: key} of the signature keys we can use; foreign kinds are left out (RFC 7517, 5).

    Raises ValueError when it is not a JWK set.
    """
    try:
        entries: list[dict[str, Any]] = document["keys"]
    except (KeyError, TypeError):
        raise ValueError("not a JWK set") from None
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries:
        try:
            key = jwt.PyJWK(entry)
        except jwt.PyJWTError:
            continue
        if key.key_id and key.algorithm_name in ALGORITHMS and entry.get("use", "sig") == "sig":
            keys[key.key_id] = key
    return keys


class StaticJwks:
    """A fixed set, for the process that signs and for tests."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._keys = parse_jwks(document)

    async def find(self, kid: str) -> jwt.PyJWK | None:
        return self._keys.get(kid)


class _Refreshing:
    """Keeps a set, loads it again when old or when a key is unknown, at most once an interval.

    The interval is the bound against callers who invent key ids.
    """

    def __init__(
        self,
        *,
        max_age: float,
        min_interval: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._max_age = max_age
        self._min_interval = min_interval
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._loaded_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def _load(self) -> dict[str, jwt.PyJWK]:
        raise NotImplementedError

    async def find(self, kid: str) -> jwt.PyJWK | None:
        key = self._keys.get(kid)
        if key is not None and self._monotonic() - self._loaded_at < self._max_age:
            return key
        async with self._lock:
            if self._monotonic() - self._tried_at >= self._min_interval:
                self._tried_at = self._monotonic()
                try:
                    self._keys = await self._load()
                    self._loaded_at = self._monotonic()
                except (httpx.HTTPError, OSError, ValueError):
                    # The keys that are known stay good; only an unknown one cannot be judged.
                    if key is None:
                        raise Unavailable("The signing keys cannot be read.") from None
            elif self._loaded_at < self._tried_at and key is None:
                raise Unavailable("The signing keys cannot be read.")
        return self._keys.get(kid)


class FileJwks(_Refreshing):
    """The signer's own key file, or a public JWK set, on the same machine."""

    def __init__(
        self,
        path: Path | str,
        *,
        max_age: float = 300,
        min_interval: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_age=max_age, min_interval=min_interval, monotonic=monotonic)
        self._path = Path(path)

    async def _load(self) -> dict[str, jwt.PyJWK]:
        document = json.loads(await asyncio.to_thread(self._path.read_bytes))
        public = [{k: v for k, v in key.items() if k != "d"} for key in document["keys"]]
        return parse_jwks({"keys": public})


class HttpJwks(_Refreshing):
    """A JWK set at a URL, such as the portal's /oauth/jwks.json."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        url: str,
        *,
        max_age: float = 300,
        min_interval: float = 5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_age=max_age, min_interval=min_interval, monotonic=monotonic)
        self._http = http
        self._url = url

    async def _load(self) -> dict[str, jwt.PyJWK]:
        response = await self._http.get(self._url)
        response.raise_for_status()
        return parse_jwks(response.json())
