"""Real processes killed at named points while a client sends; each request has one effect.

Here the all-in-one, on the embedded log; `test_killed_on_kafka.py` has the services on Kafka.
"""

from contextlib import contextmanager

import pytest
from support.history import counted, settle
from support.killing import AllInOne, kill_postgres, terminate_backends
from support.referrals import send_one
from support.system import System, all_in_one

pytestmark = pytest.mark.slow


def children(system: System) -> dict[str, int]:
    return AllInOne(system).children()


def send_until_killed(system: System, name: str, most: int) -> tuple[dict[str, dict], int]:
    """Send up to *most* referrals, until the process *name* is another one and answers."""
    before, acknowledged, retried = children(system)[name], {}, 0
    for number in range(most):
        retried += send_one(system, acknowledged) > 1
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
        before = counted(s)
        acknowledged, retried = send_until_killed(s, "doorway", 150)
        assert children(s)["doorway"] != first, "the fault point was not passed"
        assert retried > 0
        settle(s, acknowledged, before)


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
        before = counted(s)
        acknowledged, _ = send_until_killed(s, "worker", 100)
        assert children(s)["worker"] != first, "the fault point was not passed"
        settle(s, acknowledged, before)


@contextmanager
def nothing_else_died(system: System):
    before = children(system)
    yield
    assert children(system) == before, "a process ended, where it should have reconnected"


@pytest.mark.parametrize("strike", [terminate_backends, kill_postgres])
def test_f22_the_database_ends_under_the_services_and_they_reconnect(tmp_path, strike):
    with all_in_one(tmp_path / "home") as s, nothing_else_died(s):
        acknowledged: dict[str, dict] = {}
        before = counted(s)
        for number in range(30):
            if number in (10, 20):
                strike(s)
            send_one(s, acknowledged)
        settle(s, acknowledged, before)
