"""The stream that says only that something changed."""

import asyncio
import time

import httpx
import pytest
from handoff_kit.errors import Unavailable
from handoff_kit.wakes import Wakes
from portal_svc.api.live import stream
from portal_svc.api.streams import Streams
from portal_svc.domain.people import secret_hash
from portal_svc.handlers.people import disable_person
from portal_svc.handlers.transaction import transaction
from portal_svc.tables.people import sessions_that_stand


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture
def gone() -> set[str]:
    """Tokens whose sessions have ended."""
    return set()


@pytest.fixture
def streams(wakes, gone) -> Streams:
    async def standing(tokens) -> set[str]:
        return set(tokens) - gone

    return Streams(wakes, standing, every=0.05)


async def test_many_changes_at_once_are_one_word(wakes, streams) -> None:
    parts = stream(streams, "one", heartbeat=0.2, pause=0)
    assert (await anext(parts)).startswith(b"retry: ")
    for _ in range(100):
        wakes.wake("portal:changed")
    assert await anext(parts) == b"event: changed\ndata: {}\n\n"
    assert (await anext(parts)).startswith(b":")
    await parts.aclose()


async def test_a_stream_ends_and_leaves_nothing_behind(wakes, streams) -> None:
    started = time.monotonic()
    parts = [part async for part in stream(streams, "one", heartbeat=0.05, seconds=0.2)]
    assert time.monotonic() - started < 2
    assert len(parts) >= 3
    assert not any(wakes._subscribers.values())
    assert streams._task is None


async def test_the_streams_of_an_ended_session_end_and_no_other(streams, gone) -> None:
    """One question for all of them, and one that fails ends none."""
    ending, staying = (stream(streams, token, heartbeat=5) for token in ("ending", "staying"))
    for one in (ending, staying):
        await anext(one)
    rest = asyncio.create_task(anext(staying))
    await asyncio.sleep(0.12)
    gone.add("ending")
    async with asyncio.timeout(2):
        assert [part async for part in ending] == []
    assert not rest.done()
    rest.cancel()
    await asyncio.gather(rest, return_exceptions=True)
    await staying.aclose()


async def test_while_the_database_is_away_no_stream_ends(wakes) -> None:
    asked = 0

    async def standing(_tokens) -> set[str]:
        nonlocal asked
        asked += 1
        raise Unavailable("the database cannot be reached")

    streams = Streams(wakes, standing, every=0.02)
    parts = [part async for part in stream(streams, "one", heartbeat=0.05, seconds=0.2)]
    assert len(parts) >= 3
    assert asked >= 2


async def test_over_http_a_stream_ends_with_its_session(origin, a_person, sign_in) -> None:
    person = await a_person("inspector")
    async with (
        asyncio.timeout(9),
        httpx.AsyncClient(base_url=origin, timeout=8) as browser,
    ):
        await sign_in(browser, person.email)
        page = await browser.get("/pages/inspector")
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        async with browser.stream("GET", "/events") as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            await browser.post("/sign-out", data={"csrf": csrf})
            assert "event: changed" not in [line async for line in lines]


async def test_what_ends_a_session_of_a_stream(client, db, admin, a_person, sign_in) -> None:
    """Its time, and the person's account; a sign-out is a session less."""
    tokens = {}
    for role in ("inspector", "partner", "department"):
        person = await a_person(role)
        await sign_in(client, person.email)
        tokens[role] = secret_hash(client.cookies["handoff_session"])
        client.cookies.clear()
    async with transaction(db) as tx:
        await disable_person(tx, agency=person.agency_id, id_=person.id, actor="test")
    await admin.execute(
        "UPDATE portal.session SET expires_at = now() WHERE token_hash = $1", tokens["partner"]
    )
    async with db.sets() as connection:
        standing = await sessions_that_stand(connection, [*tokens.values(), b"unknown"])
    assert standing == {tokens["inspector"]}


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
