"""A worker ends when a part of it ends, and says why."""

import asyncio

import pytest
from handoff_kit.service.worker import _until_first_failure


async def until(stop: asyncio.Event, ended: list[str]) -> None:
    await stop.wait()
    ended.append("in order")


async def raises() -> None:
    raise ValueError("broken")


async def is_cancelled_by_nobody() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [(raises, ValueError, "broken"), (is_cancelled_by_nobody, RuntimeError, "ended as cancelled")],
)
async def test_when_a_part_ends_the_others_are_stopped_and_it_is_said(part, error, words):
    stop, ended = asyncio.Event(), []
    with pytest.raises(error, match=words):
        await asyncio.wait_for(_until_first_failure([until(stop, ended), part()], stop), 5)
    assert ended == ["in order"]


async def test_parts_may_end_one_after_the_other_when_all_are_stopped():
    stop, ended = asyncio.Event(), []
    running = asyncio.create_task(
        _until_first_failure([until(stop, ended), until(stop, ended), asyncio.sleep(0)], stop)
    )
    await asyncio.sleep(0.05)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 5)
    assert ended == ["in order"] * 2
