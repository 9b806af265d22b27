"""The stream that says only that something changed."""

import asyncio
import time

import httpx
import pytest
from handoff_kit.wakes import Wakes
from portal_svc.api.live import stream


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


async def test_many_changes_at_once_are_one_word(wakes) -> None:
    parts = stream(wakes, heartbeat=0.2, pause=0)
    assert (await anext(parts)).startswith(b"retry: ")
    for _ in range(100):
        wakes.wake("portal:changed")
    assert await anext(parts) == b"event: changed\ndata: {}\n\n"
    assert (await anext(parts)).startswith(b":")
    await parts.aclose()


async def test_a_stream_ends_and_leaves_nothing_behind(wakes) -> None:
    started = time.monotonic()
    parts = [part async for part in stream(wakes, heartbeat=0.05, seconds=0.2)]
    assert time.monotonic() - started < 2
    assert len(parts) >= 3
    assert not any(wakes._subscribers.values())


async def test_over_http(origin, tell, a_story, a_person, sign_in) -> None:
    person = await a_person("inspector")
    async with httpx.AsyncClient(base_url=origin, timeout=5) as browser:
        await sign_in(browser, person.email)
        async with browser.stream("GET", "/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            await tell(*a_story().begun())
            async with asyncio.timeout(3):
                seen = [line async for line in _until(lines, "data: {}")]
    assert "event: changed" in seen


async def _until(lines, last):
    async for line in lines:
        yield line
        if line == last:
            return
