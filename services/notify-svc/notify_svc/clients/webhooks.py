"""One webhook, sent once: a POST to a judged and pinned address, within one total time."""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpcore

from notify_svc.clients.address import AddressRefused, NotResolved, resolve
from notify_svc.clients.signing import sign
from notify_svc.domain.delivery import Attempted, Error, by_status

_MOST_READ: Final = 65_536  # bytes of an answer's body; what is beyond closes the connection
_KEPT_OPEN: Final = 30.0  # seconds that an idle connection is kept


@dataclass(frozen=True, slots=True)
class Webhook:
    """What is sent. ``body`` is signed byte for byte."""

    url: str
    webhook_id: str
    body: bytes
    scheme: str
    secret: bytes
    traceparent: str


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to the address that was judged. TLS still asks for and checks the name."""

    def __init__(self, *, allow_private: bool) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        address = await resolve(host, port, allow_private=self._allow_private)
        return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class WebhookClient:
    """Sends webhooks. Follows no redirect, uses no proxy of the environment, keeps no cookie."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        total_seconds: float = 15.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._total = total_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=200,
            max_keepalive_connections=50,
            keepalive_expiry=_KEPT_OPEN,
            retries=0,
            network_backend=_Pinned(allow_private=allow_private),
        )

    async def send(self, webhook: Webhook, timestamp: int) -> Attempted:
        """One attempt; every failure is an outcome. *timestamp*: seconds since the epoch, now."""
        try:
            # One time for all of it: a receiver that drips bytes ends with it too.
            async with asyncio.timeout(self._total):
                return await self._exchange(webhook, timestamp)
        except (TimeoutError, httpcore.TimeoutException):
            return Attempted(error=Error.TIMEOUT)
        except AddressRefused:
            return Attempted(error=Error.ADDRESS_REFUSED)
        except NotResolved:
            return Attempted(error=Error.UNRESOLVED)
        except ssl.SSLError:
            return Attempted(error=Error.TLS)
        except httpcore.ConnectError as error:
            return Attempted(error=Error.TLS if _is_tls(error) else Error.CONNECTION)
        except (httpcore.NetworkError, OSError):
            return Attempted(error=Error.CONNECTION)
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError):
            return Attempted(error=Error.PROTOCOL)

    async def close(self) -> None:
        await self._pool.aclose()

    async def _exchange(self, webhook: Webhook, timestamp: int) -> Attempted:
        signature = sign(
            webhook.scheme, webhook.secret, webhook.webhook_id, timestamp, webhook.body
        )
        headers = {
            "content-type": "application/json",
            "content-length": str(len(webhook.body)),
            "user-agent": "Handoff-Webhooks/1",
            "webhook-id": webhook.webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
            "traceparent": webhook.traceparent,
        }
        async with self._pool.stream(
            "POST", webhook.url, headers=_with_host(webhook.url, headers), content=webhook.body
        ) as response:
            read = 0
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > _MOST_READ:
                    break
            return by_status(response.status, _retry_after(response.headers, timestamp))


def _with_host(url: str, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    target = httpcore.URL(url)
    host = target.host.decode()
    shown = f"[{host}]" if ":" in host else host
    default = {b"http": 80, b"https": 443}[target.scheme]
    if target.port not in (None, default):
        shown = f"{shown}:{target.port}"
    return [(b"host", shown.encode()), *((k.encode(), v.encode()) for k, v in headers.items())]


def _retry_after(headers: Iterable[tuple[bytes, bytes]], now: int) -> int | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3): a number or a date."""
    for name, value in headers:
        if name.lower() != b"retry-after":
            continue
        text = value.decode("latin-1").strip()
        if text.isdigit() and len(text) < 10:
            return int(text)
        try:
            return max(0, int(parsedate_to_datetime(text).timestamp()) - now)
        except ValueError:
            return None
    return None


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
