import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from event_schemas.access import ClientRevoked, PersonDisabled
from handoff_kit.service import serve
from notify_svc.api import feed as feed_routes
from notify_svc.api.hub import Hub


@pytest.fixture
async def origin(built) -> AsyncIterator[str]:
    """The service on a real port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = asyncio.Event()
    task = asyncio.create_task(serve(built.app, "127.0.0.1", port, stop))
    await asyncio.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    stop.set()
    await task


async def told(feeder, case) -> None:
    group = feeder()
    await group.feed(case.granted(), case.requested())
    assert group.group.after is not None
    group.group.after()


async def test_a_comment_first_then_only_the_items_id(origin, feeder, a_case, headers) -> None:
    mine = headers("inspector", subject="inspector-one")
    async with (
        httpx.AsyncClient(timeout=5) as http,
        http.stream("GET", f"{origin}/notify/v1/stream", headers=mine) as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        assert (await anext(lines)).startswith(":")
        await anext(lines)
        await told(feeder, a_case(referrer="somebody-else"))
        await told(feeder, a_case())
        assert await anext(lines) == "event: changed"
        data = await anext(lines)
        items = (await http.get(f"{origin}/notify/v1/feed", headers=mine)).json()["items"]
        assert data == f'data: {{"id":"{items[0]["id"]}"}}'


async def test_without_a_token_no_stream(origin) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{origin}/notify/v1/stream")
    assert answer.status_code == 401


async def test_a_stream_ends_with_its_token(origin, signer) -> None:
    token = signer.issue(
        subject="inspector-one", agency="test-city", roles=["inspector"], lifetime=2
    )
    mine = {"authorization": f"Bearer {token}"}
    async with (
        asyncio.timeout(5),
        httpx.AsyncClient() as http,
        http.stream("GET", f"{origin}/notify/v1/stream", headers=mine) as stream,
    ):
        assert stream.status_code == 200
        lines = [line async for line in stream.aiter_lines()]
    assert lines[0] == "retry: 2000"


@pytest.mark.parametrize("ended", ["client", "person"])
async def test_a_stream_ends_when_its_caller_is_shut_out(origin, signer, feeder, ended) -> None:
    person, client = uuid4(), str(uuid4())

    def mine(client_id: str, subject: str) -> dict[str, str]:
        token = signer.issue(
            subject=subject, agency="test-city", roles=["inspector"], client_id=client_id
        )
        return {"authorization": f"Bearer {token}"}

    said = {
        "client": ClientRevoked(client_id=client, at=datetime.now(UTC)),
        "person": PersonDisabled(person_id=person, at=datetime.now(UTC)),
    }[ended]
    url = f"{origin}/notify/v1/stream"
    async with (
        asyncio.timeout(9),
        httpx.AsyncClient(timeout=8) as http,
        http.stream("GET", url, headers=mine(client, str(person))) as stream,
        http.stream("GET", url, headers=mine("another", "another")) as other,
    ):
        lines, others = stream.aiter_lines(), other.aiter_lines()
        assert [await anext(lines), await anext(others)] == ["retry: 2000"] * 2
        await feeder().feed(said, source="/handoff/portal")
        assert not any(line.startswith("event") for line in [line async for line in lines])
        # Its token is still good; a new stream of it ends at once.
        async with http.stream("GET", url, headers=mine(client, str(person))) as again:
            assert (await again.aread()).startswith(b"retry")
        for _ in range(2):
            await anext(others)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(others), 0.2)


async def test_many_streams_cost_one_look(db, context, feeder, a_case) -> None:
    hub = Hub(db, context.wakes)
    owners = [f"subject:inspector-{n}" for n in range(200)]
    streams = [feed_routes.stream_of(hub, "test-city", [owner], heartbeat=5) for owner in owners]
    for stream in streams:
        assert (await anext(stream)).startswith(b"retry")
    waiting = [asyncio.create_task(anext(stream)) for stream in streams]
    await asyncio.sleep(0.1)
    looks = hub.looks
    group = feeder()
    cases = [a_case(referrer=f"inspector-{n}") for n in range(200)]
    await group.feed(*(said for case in cases for said in (case.granted(), case.requested())))
    assert group.group.after is not None
    group.group.after()
    events = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert all(event.startswith(b"event: changed") for event in events)
    assert len(set(events)) == 200
    assert hub.looks - looks <= 3
    for stream in streams:
        await stream.aclose()
    await hub.close()


async def test_a_quiet_stream_beats_and_ends(db, context) -> None:
    hub = Hub(db, context.wakes)
    stream = feed_routes.stream_of(hub, "test-city", ["subject:x"], heartbeat=0.02, seconds=0.1)
    parts = [part async for part in stream]
    assert parts[0].startswith(b"retry")
    assert parts[1].startswith(b":")
    assert len(parts) >= 3
    await hub.close()


async def test_a_new_stream_takes_nothing_from_an_old_one(db, context, feeder, a_case) -> None:
    hub = Hub(db, context.wakes)
    old = feed_routes.stream_of(hub, "test-city", ["subject:inspector-one"], heartbeat=5)
    await anext(old)
    waiting = asyncio.create_task(anext(old))
    group = feeder()
    case = a_case()
    await group.feed(case.granted(), case.requested())
    new = feed_routes.stream_of(hub, "test-city", ["subject:inspector-one"], heartbeat=0.5)
    await anext(new)
    assert group.group.after is not None
    group.group.after()
    assert (await waiting).startswith(b"event: changed")
    assert (await anext(new)).startswith(b":")
    await old.aclose()
    await new.aclose()
    await hub.close()
