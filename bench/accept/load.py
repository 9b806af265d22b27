"""A load generator: keep-alive connections on raw sockets, one request in flight on each."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bench.accept.bodies import MARK

_END, _LENGTH = b"\r\n\r\n", b"content-length:"


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last one is answered."""

    def __init__(self, request: Callable[[], bytes | None], answered: Callable[..., None]) -> None:
        self._request = request
        self._answered = answered
        self._buffer = b""
        self._sent = 0.0
        self._transport: Any = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # uvloop's is no asyncio.Transport by class
        self._next()

    def _next(self) -> None:
        request = self._request()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        head = data.find(_END)
        if head < 0:
            return
        at = data.lower().find(_LENGTH, 0, head)
        length = int(data[at + len(_LENGTH) : data.index(b"\r\n", at)]) if at >= 0 else 0
        if len(data) < head + len(_END) + length:
            return
        self._buffer = b""
        self._answered(time.perf_counter() - self._sent, data[9:12], data[head + 4 :])
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def drive(
    *,
    port: int,
    path: str,
    body: str,
    token: str,
    first: int,
    seconds: float,
    connections: int = 32,
    warm: float = 0.5,
) -> dict[str, Any]:
    """Load one operation; requests a second and latencies in ms, after *warm* seconds.

    Raises: RuntimeError when a request was answered with anything but 200 or 201.
    """
    text = body.encode()
    length = len(text) - text.count(MARK.encode()) * (len(MARK) - 8)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()
    template = (head + text).replace(MARK.encode(), b"%08d")
    places = template.count(b"%08d")
    number = first
    begin = time.perf_counter() + warm
    until = begin + seconds
    times: list[float] = []
    refused: list[bytes] = []

    def request() -> bytes | None:
        nonlocal number
        if refused or time.perf_counter() > until:
            return None
        number += 1
        return template % ((number,) * places)

    def answered(took: float, status: bytes, content: bytes) -> None:
        if status not in (b"200", b"201"):
            refused.append(status + b" " + content[:300])
        elif begin <= time.perf_counter() <= until:
            times.append(took)

    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(request, answered), "127.0.0.1", port)
        for _ in range(connections)
    ]
    cpu = time.process_time()
    await asyncio.gather(*(protocol.closed for _, protocol in made))
    cpu = time.process_time() - cpu
    if refused:
        raise RuntimeError(f"{path}: {refused[0].decode(errors='replace')}")
    times.sort()
    return {
        "rate": len(times) / seconds,
        "p50": times[len(times) // 2] * 1e3,
        "p99": times[int(len(times) * 0.99)] * 1e3,
        "last": number,
        "cpu": cpu / (seconds + warm),
    }
