"""Joins the services' origins into one, as the proxy of the compose file does.

``python proxy.py PORT ADDRESSES`` (as JSON): the first part of a path names the service, the portal
has the rest.
"""

import asyncio
import json
import sys

import httpx
import uvicorn

_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


class Proxy:
    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self._http = httpx.AsyncClient(timeout=30)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        first = scope["path"].split("/", 2)[1]
        url = self._addresses.get(first, self._addresses["portal"]) + scope["path"]
        if scope["query_string"]:
            url += "?" + scope["query_string"].decode()
        headers = [(k, v) for k, v in scope["headers"] if k.decode() not in _HOP]
        try:
            answer = await self._http.request(scope["method"], url, content=body, headers=headers)
        except httpx.HTTPError:
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        kept = [
            (k.lower(), v)
            for k, v in answer.headers.raw
            if k.lower().decode() not in _HOP | {"content-encoding"}
        ]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        await send({"type": "http.response.body", "body": answer.content})


if __name__ == "__main__":
    config = uvicorn.Config(
        Proxy(json.loads(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        lifespan="off",
        access_log=False,
    )
    asyncio.run(uvicorn.Server(config).serve())
