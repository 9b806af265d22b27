"""A service's own token: fetched once for all, renewed in time."""

import asyncio
import base64

import httpx
import pytest
from handoff_kit.auth import (
    ServiceToken,
)
from handoff_kit.errors import Unavailable
from support.tokens import Moment


class TokenServer:
    """A token endpoint that counts, and can be away or refuse."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.status = 200

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(0.01)
        body = {"access_token": f"token-{len(self.asked)}", "expires_in": 600}
        return httpx.Response(self.status, json=body)


async def test_one_fetch_serves_all_and_is_renewed_before_it_expires() -> None:
    server, ticks = TokenServer(), Moment()
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        token = ServiceToken(http, "http://p/oauth/token", "a:b", "s c", monotonic=ticks)
        assert set(await asyncio.gather(*(token.get() for _ in range(20)))) == {"token-1"}
        assert len(server.asked) == 1
        assert server.asked[0].content == b"grant_type=client_credentials"
        scheme, pair = server.asked[0].headers["authorization"].split()
        assert (scheme, base64.b64decode(pair)) == ("Basic", b"a%3Ab:s%20c")
        ticks.at += 481
        assert await token.get() == "token-2"


async def test_the_old_token_serves_while_no_new_one_can_be_had() -> None:
    server, ticks = TokenServer(), Moment()
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        token = ServiceToken(http, "http://p/oauth/token", "a", "s", monotonic=ticks)
        await token.get()
        server.status = 503
        ticks.at += 500
        assert await token.get() == "token-1"
        ticks.at += 101
        with pytest.raises(Unavailable):
            await token.get()
        server.status = 401
        with pytest.raises(Unavailable, match="credentials"):
            await token.get()


async def test_a_refused_token_is_replaced_once() -> None:
    server = TokenServer()
    seen: list[str] = []

    def api(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200 if request.headers["authorization"] == "Bearer token-2" else 401)

    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        auth = ServiceToken(http, "http://p/oauth/token", "a", "s")
        async with httpx.AsyncClient(transport=httpx.MockTransport(api), auth=auth) as client:
            assert (await client.get("http://intake/x")).status_code == 200
            assert seen == ["Bearer token-1", "Bearer token-2"]
