"""Real worker processes, one of which is killed between sending and recording."""

import asyncio
import os
import signal
import sys

import asyncpg
import pytest
from handoff_kit.service import run_migrate
from notify_svc.app import SERVICE


async def worker(core_settings, faults: str = "") -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "HANDOFF_DATABASE_URL": core_settings.database_url,
        "HANDOFF_HOME": str(core_settings.home),
        "HANDOFF_CITY": "demo",
        "HANDOFF_KEY_FILE": str(core_settings.key_file),
        "HANDOFF_JWKS_FILE": str(core_settings.jwks_file),
        "HANDOFF_WEBHOOK_ALLOW_PRIVATE": "true",
        "HANDOFF_FAULTS": faults,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notify_svc", "worker", env=environment
    )


@pytest.mark.slow
async def test_f26_killed_after_the_answer_sends_the_same_id_again(
    client, feeder, a_case, headers, receivers, core_settings, database, admin
) -> None:
    await run_migrate([SERVICE], database.admin_url, None, bus="embedded")
    case, receiver = a_case(), await receivers()
    mine = headers("partner", organization=case.partner)
    await client.post("/notify/v1/webhooks", json={"url": receiver.url}, headers=mine)
    group = feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.made(), source="/handoff/referral")

    first = await worker(core_settings, "notify.after_send=kill@1")
    assert await asyncio.wait_for(first.wait(), 30) == -signal.SIGKILL
    assert len(receiver.received) == 1
    assert await admin.fetchval("SELECT status FROM notify.delivery") == "pending"

    # What the lease of thirty seconds would bring about.
    await admin.execute("UPDATE notify.delivery SET next_try_at = now()")
    second = await worker(core_settings)
    try:
        await receiver.wait(2, seconds=20)
        async with asyncio.timeout(10):
            while await delivered(admin) != "succeeded":
                await asyncio.sleep(0.05)
    finally:
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.wait(), 20) == 0
    one, two = (headers_["webhook-id"] for headers_, _ in receiver.received)
    assert one == two


async def delivered(admin: asyncpg.Connection) -> str:
    return await admin.fetchval("SELECT status FROM notify.delivery")
