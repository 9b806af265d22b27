"""Real processes killed at named points while a client sends; each request has one effect."""

import asyncio
import json
import os
import signal
import time
from contextlib import contextmanager
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
from support.data import a_referral
from support.history import check, unsettled
from support.system import System, all_in_one

pytestmark = pytest.mark.slow


def children(system: System) -> dict[str, int]:
    return json.loads((system.home / "running.json").read_text())["children"]


def send(system: System, key: str, body: dict) -> tuple[dict, int]:
    """The 201 body of a referral and how many tries it took, all under the same key."""
    api = system.api("inspector")
    deadline = time.monotonic() + 20
    tries = 0
    while time.monotonic() < deadline:
        tries += 1
        try:
            answer = api.request(
                "POST", "/intake/v1/referrals", json=body, headers={"idempotency-key": key}
            )
        except httpx.HTTPError:
            time.sleep(0.1)
            continue
        if answer.status_code == 201:
            return answer.json(), tries
        assert answer.status_code in (409, 503), f"{answer.status_code}: {answer.text}"
        time.sleep(0.05)
    raise AssertionError("not answered in 20 s")


async def _look(system: System, acknowledged: dict[str, dict], seconds: float = 60) -> dict:
    """Wait until everything is quiet, then check the history; returns what was counted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection = await asyncpg.connect(system.admin_url)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.2)
            continue
        try:
            if not await unsettled(connection):
                verdict = await check(connection, acknowledged)
                assert verdict, verdict
                counts = {
                    "needs": await connection.fetchval("SELECT count(*) FROM referral.need"),
                    "offers": await connection.fetchval("SELECT count(*) FROM partner.offer"),
                    "keys": await connection.fetchval(
                        "SELECT count(*) FROM intake.idempotency WHERE key = ANY($1::text[])",
                        list(acknowledged),
                    ),
                }
                return {**verdict.checked, **counts}
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass
        finally:
            connection.terminate()
        await asyncio.sleep(0.2)
    raise AssertionError(f"lag did not return to 0 within {seconds} s")


def look(system: System, acknowledged: dict[str, dict]) -> dict:
    return asyncio.run(_look(system, acknowledged))


def numbers(system: System) -> tuple[int, int]:
    async def read() -> tuple[int, int]:
        connection = await asyncpg.connect(system.admin_url)
        try:
            return (
                await connection.fetchval("SELECT count(*) FROM referral.need"),
                await connection.fetchval("SELECT count(*) FROM partner.offer"),
            )
        finally:
            await connection.close()

    return asyncio.run(read())


def send_until_killed(system: System, name: str, most: int) -> tuple[dict[str, dict], int]:
    """Send up to *most* referrals, until the process *name* is another one and answers."""
    before, acknowledged, retried = children(system)[name], {}, 0
    for number in range(most):
        key = str(uuid4())
        acknowledged[key], tries = send(system, key, a_referral())
        retried += tries > 1
        if children(system)[name] != before and number >= 5:
            break
    return acknowledged, retried


@pytest.mark.parametrize(
    ("number", "point"),
    [
        pytest.param("f01", "doorway.before_commit", id="f01_before_commit"),
        pytest.param("f02", "doorway.after_commit", id="f02_after_commit"),
        pytest.param("f02", "doorway.before_answer", id="f02_before_answer"),
    ],
)
def test_f01_f02_the_doorway_killed_is_asked_again_and_has_one_effect(tmp_path, number, point):
    with all_in_one(tmp_path / "home", environment={"HANDOFF_FAULTS": f"{point}=kill@60"}) as s:
        s.api("inspector").token()
        first = children(s)["doorway"]
        needs, offers = numbers(s)
        acknowledged, retried = send_until_killed(s, "doorway", 150)
        assert children(s)["doorway"] != first, "the fault point was not passed"
        assert retried > 0
        found = look(s, acknowledged)
        assert found["keys"] == len(acknowledged)
        assert found["needs"] - needs == len(acknowledged)
        assert found["offers"] - offers == len(acknowledged)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("consumer.before_commit", id="f10_before_commit"),
        pytest.param("consumer.after_commit", id="f11_after_commit"),
    ],
)
def test_f10_f11_the_worker_killed_runs_each_set_once(tmp_path, point):
    with all_in_one(tmp_path / "home", environment={"HANDOFF_FAULTS": f"{point}=kill@80"}) as s:
        s.api("inspector").token()
        first = children(s)["worker"]
        needs, offers = numbers(s)
        acknowledged, _ = send_until_killed(s, "worker", 100)
        assert children(s)["worker"] != first, "the fault point was not passed"
        found = look(s, acknowledged)
        assert found["needs"] - needs == len(acknowledged)
        assert found["offers"] - offers == len(acknowledged)


def terminate_backends(system: System) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(system.admin_url)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        finally:
            await connection.close()

    asyncio.run(run())


def kill_postgres(system: System) -> None:
    up = psutil.Process(system.processes["up"].pid)
    postmaster = next(p for p in up.children(recursive=True) if "postgres" in p.name().lower())
    os.kill(postmaster.pid, signal.SIGKILL)


@contextmanager
def nothing_else_died(system: System):
    before = children(system)
    yield
    assert children(system) == before, "a process ended, where it should have reconnected"


@pytest.mark.parametrize("strike", [terminate_backends, kill_postgres])
def test_f22_the_database_ends_under_the_services_and_they_reconnect(tmp_path, strike):
    with all_in_one(tmp_path / "home") as s, nothing_else_died(s):
        acknowledged: dict[str, dict] = {}
        needs, offers = numbers(s)
        for number in range(30):
            if number in (10, 20):
                strike(s)
            key = str(uuid4())
            acknowledged[key], _ = send(s, key, a_referral())
        found = look(s, acknowledged)
        assert found["needs"] - needs == len(acknowledged)
        assert found["offers"] - offers == len(acknowledged)
