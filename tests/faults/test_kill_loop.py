"""kill -9 of every process, the database included, while writers write; then every acknowledged
referral is looked for.

The seed is printed. ``HANDOFF_SOAK_SECONDS`` makes it longer, ``HANDOFF_SEED`` repeats one.
"""

import asyncio
import json
import os
import random
import signal
import threading
import time
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
from support.data import a_referral
from support.history import check, unsettled
from support.system import System, all_in_one, eventually

SECONDS = float(os.environ.get("HANDOFF_SOAK_SECONDS", "30"))
SEED = int(os.environ.get("HANDOFF_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
WRITERS = 8


class Writer(threading.Thread):
    """Sends referrals, each until it is answered, always under the same Idempotency-Key."""

    def __init__(self, system: System, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(f"{SEED}-{number}")
        self.system, self.stop_event = system, stop
        self.api = system.api("inspector")
        self.acknowledged: dict[str, dict] = {}
        self.unexpected: list[str] = []

    def run(self) -> None:
        while not self.stop_event.is_set():
            category = self.random.choice(["food-insecurity", "legal-help", "food-insecurity"])
            self.send(str(uuid4()), a_referral(category))

    def send(self, key: str, body: dict) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                answer = self.api.request(
                    "POST", "/intake/v1/referrals", json=body, headers={"idempotency-key": key}
                )
            except (httpx.HTTPError, AssertionError):
                time.sleep(0.1)
                continue
            if answer.status_code == 201:
                self.acknowledged[key] = answer.json()
                return
            if answer.status_code not in (409, 503):
                self.unexpected.append(f"{answer.status_code}: {answer.text}")
                return
            time.sleep(0.05)
        self.unexpected.append("not answered in 60 s")


def victims(system: System) -> dict[str, list[int]]:
    """Process ids by name; PostgreSQL's are the children of the supervisor that are neither."""
    running = json.loads((system.home / "running.json").read_text())
    found = {name: [pid] for name, pid in running["children"].items()}
    up = psutil.Process(system.processes["up"].pid)
    found["postgres"] = [
        p.pid for p in up.children(recursive=True) if "postgres" in p.name().lower()
    ][:1]
    return found


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kill_9_of_every_process_loses_nothing(tmp_path):
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    with all_in_one(tmp_path / "home") as system:
        stop = threading.Event()
        system.api("inspector").token()
        writers = [Writer(system, n, stop) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        killed: dict[str, int] = {}
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(chance.uniform(1.0, 3.0))
            try:
                name, pids = chance.choice(sorted(victims(system).items()))
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                    killed[name] = killed.get(name, 0) + 1
            except (ProcessLookupError, FileNotFoundError, psutil.NoSuchProcess):
                continue
        stop.set()
        for writer in writers:
            writer.join(90)
        acknowledged = {k: v for w in writers for k, v in w.acknowledged.items()}
        unexpected = [u for w in writers for u in w.unexpected]
        print(f"killed {killed}, acknowledged {len(acknowledged)}")
        assert not unexpected, unexpected[:5]
        assert set(killed) == {"doorway", "worker", "postgres"} or SECONDS < 20
        assert len(acknowledged) > 20

        async def look() -> None:
            deadline = time.monotonic() + 60  # V: it recovers within a minute.
            left = ["nothing could be asked"]
            while time.monotonic() < deadline:
                try:
                    connection = await asyncpg.connect(system.admin_url)
                    try:
                        left = await unsettled(connection)
                        if not left:
                            verdict = await check(connection, acknowledged)
                            assert verdict, verdict
                            print(verdict.checked)
                            return
                    finally:
                        await connection.close()
                except (OSError, asyncpg.PostgresError):
                    pass
                await asyncio.sleep(0.3)
            raise AssertionError(f"lag did not return to 0 within 60 s: {left}")

        asyncio.run(look())


@pytest.mark.slow
def test_a_killed_supervisor_is_followed_by_a_clean_start(tmp_path):
    home = tmp_path / "home"
    with all_in_one(home) as system:
        made = system.api("inspector").ok("POST", "/intake/v1/referrals", 201, json=a_referral())
        children = [p for pids in victims(system).values() for p in pids]
        system.processes["up"].send_signal(signal.SIGKILL)
        system.processes["up"].wait()
        with all_in_one(home) as again:
            assert not any(_runs_as_before(pid, children) for pid in children)
            api = again.api("inspector", number=2)
            coordinator = again.api("coordinator")
            assert api.ok("GET", "/notify/v1/feed")["items"] is not None
            eventually(
                lambda: coordinator.ok("GET", f"/partner/v1/offers?case_id={made['case_id']}")[
                    "items"
                ]
            )


def _runs_as_before(pid: int, before: list[int]) -> bool:
    """Whether a child of the killed supervisor still runs."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and pid in before and process.ppid() == 1
    except psutil.NoSuchProcess:
        return False
