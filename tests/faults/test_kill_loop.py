"""kill -9 of every process, database and broker included, while writers write; then every
acknowledged referral is looked for.

The seed is printed. ``HANDOFF_SOAK_SECONDS`` makes it longer, ``HANDOFF_SEED`` repeats one.
"""

import os
import random
import signal
import threading
from uuid import uuid4

import psutil
import pytest
from support.data import a_referral
from support.history import counted, settle
from support.killing import AllInOne, kept_up, kill_at_random, parts_of, postmaster
from support.referrals import send
from support.system import System, all_in_one, eventually

SOAK = float(os.environ.get("HANDOFF_SOAK_SECONDS", "0"))
SECONDS = {"embedded": SOAK or 30.0, "kafka": SOAK or 20.0}
SEED = int(os.environ.get("HANDOFF_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
WRITERS = 8
PATIENCE = 60
"""Seconds in which a referral has to be answered, whatever is killed meanwhile."""
PAUSE = {"embedded": 0.0, "kafka": 0.4}
"""At most so many seconds between a writer's referrals: the loop tries kills, not throughput, and
twelve processes that share a small machine start slowly."""


class Writer(threading.Thread):
    """Sends referrals, each until it is answered, always under the same Idempotency-Key."""

    def __init__(self, system: System, number: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(f"{SEED}-{number}")
        self.stop_event, self.pause = stop, PAUSE[system.log]
        self.api = system.api("inspector")
        self.acknowledged: dict[str, dict] = {}
        self.unexpected: list[str] = []

    def run(self) -> None:
        while not self.stop_event.is_set():
            category = self.random.choice(["food-insecurity", "legal-help", "food-insecurity"])
            key = str(uuid4())
            try:
                self.acknowledged[key], _ = send(self.api, key, a_referral(category), PATIENCE)
            except AssertionError as error:
                self.unexpected.append(str(error))
            self.stop_event.wait(self.random.uniform(0, self.pause))


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def killed_system(request: pytest.FixtureRequest, tmp_path):
    """The all-in-one, of this test alone; or the services on Kafka, which come back whole."""
    if request.param == "kafka":
        yield request.getfixturevalue("kafka_system")
        return
    with all_in_one(tmp_path / "home") as system:
        yield system


@pytest.mark.slow
@pytest.mark.timeout(SOAK + 300)
def test_kill_9_of_every_process_loses_nothing(killed_system):
    system, parts = killed_system, parts_of(killed_system)
    print(f"seed {SEED}")
    stop, before = threading.Event(), counted(system)
    system.api("inspector").token()
    writers = [Writer(system, n, stop) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    with kept_up(parts):
        try:
            killed = kill_at_random(parts, random.Random(SEED), SECONDS[system.log])
        finally:
            stop.set()
            for writer in writers:
                writer.join(PATIENCE + 30)
        acknowledged = {k: v for w in writers for k, v in w.acknowledged.items()}
        unexpected = [u for w in writers for u in w.unexpected]
        print(f"killed {dict(killed)}, acknowledged {len(acknowledged)}")
        assert not unexpected, unexpected[:5]
        assert len(acknowledged) > 20
        print(settle(system, acknowledged, before))  # V: it recovers within a minute.


@pytest.mark.slow
def test_a_killed_supervisor_is_followed_by_a_clean_start(tmp_path):
    home = tmp_path / "home"
    with all_in_one(home) as system:
        made = system.api("inspector").ok("POST", "/intake/v1/referrals", 201, json=a_referral())
        children = [*AllInOne(system).children().values(), postmaster(home)]
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
