"""HTTP on raw sockets: keep-alive lines to an API, and a partner's endpoint for webhooks."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

_END, _LENGTH = b"\r\n\r\n", b"content-length:"


def _message(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head, body and what follows, once all of the message is there."""
    head = data.find(_END)
    if head < 0:
        return None
    at = data[:head].lower().find(_LENGTH)
    length = int(data[at + len(_LENGTH) : head].split(b"\r\n", 1)[0]) if at >= 0 else 0
    end = head + len(_END) + length
    if len(data) < end:
        return None
    return data[:head], data[head + len(_END) : end], data[end:]


class _Line(asyncio.Protocol):
    """One connection, one request in flight."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # uvloop's is no asyncio.Transport by class

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        found = _message(self._buffer)
        if found is not None and self._answer is not None:
            head, body, self._buffer = found
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, _error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the API closed the connection"))


class Lines:
    """As many connections as there are requests in flight, each used again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[_Line] = []
        self.made = 0

    async def open(self, number: int) -> None:
        """Have some ready, so that no request waits for a handshake."""
        self._free += [await self._connect() for _ in range(number)]

    async def _connect(self) -> _Line:
        self.made += 1
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(_Line, "127.0.0.1", self._port)
        return line

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises: ConnectionError."""
        while self._free and self._free[-1].transport.is_closing():
            self._free.pop()
        line = self._free.pop() if self._free else await self._connect()
        answer = await line.ask(request)
        self._free.append(line)
        return answer

    def close(self) -> None:
        for line in self._free:
            line.transport.close()


Take = Callable[[float, bytes, bytes], None]


class Endpoint:
    """A partner's endpoint: gives *take* the moment at which a webhook was there in full, its head
    and its body, and answers 204."""

    def __init__(self, port: int, take: Take) -> None:
        self.port = port
        self._take = take
        self._server: Any = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Hook(self._take), "127.0.0.1", self.port)

    def close(self) -> None:
        self._server.close()


class _Hook(asyncio.Protocol):
    def __init__(self, take: Take) -> None:
        self._take = take
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (found := _message(self._buffer)) is not None:
            head, body, self._buffer = found
            at = time.monotonic()
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            self._take(at, head, body)
