"""A service's own access token, fetched by client credentials (RFC 6749, 4.4)."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable, Generator
from urllib.parse import quote

import httpx

from handoff_kit.errors import Unavailable

__all__ = ["ServiceToken"]


class ServiceToken(httpx.Auth):
    """Fetches, keeps and renews a token; callers that come at once share one fetch.

    Also an `httpx.Auth`: `httpx.AsyncClient(auth=ServiceToken(…))` sends it with each request, and
    fetches a new one once when it was refused (the signing keys may have been replaced). `http` is
    another client, without this auth.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._url = token_url
        # RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
        pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
        self._basic = "Basic " + base64.b64encode(pair.encode()).decode()
        self._monotonic = monotonic
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._expires_at = 0.0

    async def get(self) -> str:
        """The token. Raises Unavailable while it cannot be had and the last one has expired."""
        if self._token is not None and self._monotonic() < self._renew_at:
            return self._token
        async with self._lock:
            now = self._monotonic()
            if self._token is not None and now < self._renew_at:
                return self._token
            try:
                await self._fetch(now)
            except Unavailable:
                if self._token is None or now >= self._expires_at:
                    raise
                self._renew_at = min(now + 5, self._expires_at)
            token = self._token
        if token is None:
            raise Unavailable
        return token

    def forget(self, token: str) -> None:
        """Drop a token that was refused, unless another took its place already."""
        if self._token == token:
            self._token = None

    async def _fetch(self, now: float) -> None:
        try:
            response = await self._http.post(
                self._url,
                data={"grant_type": "client_credentials"},
                headers={"authorization": self._basic},
            )
            if response.status_code in (400, 401, 403):
                raise Unavailable("The service's own client credentials were refused.")
            response.raise_for_status()
            body = response.json()
            token, lifetime = str(body["access_token"]), float(body["expires_in"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise Unavailable("No access token could be fetched.") from None
        self._token = token
        self._expires_at = now + lifetime
        self._renew_at = now + 0.8 * lifetime

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for attempt in (1, 2):
            token = await self.get()
            request.headers["authorization"] = f"Bearer {token}"
            response = yield request
            if attempt == 2 or response.status_code != 401:
                return
            self.forget(token)

    def sync_auth_flow(
        self,
        request: httpx.Request,  # noqa: ARG002
    ) -> Generator[httpx.Request, httpx.Response, None]:
        raise RuntimeError("ServiceToken serves asynchronous clients")
