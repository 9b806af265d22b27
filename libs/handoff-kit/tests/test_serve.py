"""The server that every service runs on."""

import asyncio
import socket

import httpx
from fastapi import FastAPI, Request
from handoff_kit.service.api import serve


async def test_no_header_says_who_calls():
    """Limits go by the address that is connected; a forged header must not change it."""
    app = FastAPI()

    @app.get("/")
    async def who(request: Request) -> dict[str, str]:
        assert request.client is not None
        return {"host": request.client.host, "scheme": request.url.scheme}

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(app, "127.0.0.1", port, stop))
    forged = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    try:
        async with (
            asyncio.timeout(10),
            httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=5)) as http,
        ):
            answer = await http.get(f"http://127.0.0.1:{port}/", headers=forged)
    finally:
        stop.set()
        await serving
    assert answer.json() == {"host": "127.0.0.1", "scheme": "http"}
