"""Services on Apache Kafka, killed at named points or left without their database while a client
sends; each request has one effect, in order, and on no side of the log is anything lost.

What was killed is started again here, as Docker would.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator

import pytest
from support.history import counted, looking, settle
from support.killing import kill_postgres, terminate_backends
from support.log import told_to_kafka
from support.referrals import send_one
from support.system import System, eventually, start_process

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
KILLED = {
    "referral": ("f10", "consumer.before_commit=kill@4"),
    "partner": ("f11", "consumer.after_commit=kill@2"),
}
"""Services whose workers are killed: one reads what intake says, one what the other says."""


@pytest.fixture
def system(kafka_system: System) -> Iterator[System]:
    """Whole again afterwards, however the test ended."""
    yield kafka_system
    kafka_system.database.start()
    for name, process in kafka_system.processes.items():
        if name.endswith("-worker") and process.poll() is not None:
            start_process(kafka_system, *name.split("-"))


def endings(system: System) -> list[int | None]:
    """How the workers of `KILLED` ended; None for one that runs."""
    return [system.processes[f"{service}-worker"].poll() for service in KILLED]


async def _stand(system: System, service: str) -> tuple[int, int, int]:
    """Records that the log holds, that the database holds as read, and that Kafka was told of:
    of the topics of the service's group, summed over their partitions."""
    async with looking(system) as (connection, log):
        rows = await connection.fetch(
            f"SELECT topic, partition, next_offset FROM {service}.consumer_offset"
            " WHERE group_name = $1",
            service,
        )
        behind = sum(b.records for b in await log.behind(service) if b.group == service)
    told = await told_to_kafka(system, service, [(r["topic"], r["partition"]) for r in rows])
    read = sum(r["next_offset"] for r in rows)
    return read + behind, read, sum(told.values())


def test_f10_f11_workers_killed_on_kafka_run_each_set_once(system):
    before, acknowledged = counted(system), {}
    for service in KILLED:
        system.processes[f"{service}-worker"].terminate()
    for service, (_, faults) in KILLED.items():
        system.processes[f"{service}-worker"].wait(40)
        start_process(system, service, "worker", HANDOFF_FAULTS=faults)

    def all_ended() -> bool:
        send_one(system, acknowledged)
        return None not in endings(system)

    eventually(all_ended, 60, hint="the fault points are passed")
    assert set(endings(system)) == {-signal.SIGKILL}
    for service, (number, _) in KILLED.items():
        said, read, told = asyncio.run(_stand(system, service))
        if number == "f10":
            assert read < said  # The set that was in hand is still to be done.
        else:
            assert told < read  # Kafka would bring back what is done.
    for _ in range(10):
        send_one(system, acknowledged)
    for service in KILLED:
        start_process(system, service, "worker")
    settle(system, acknowledged, before)


def test_f22_the_database_ends_under_the_services_on_kafka_and_they_reconnect(system):
    """Sessions are ended, then PostgreSQL is killed, and comes back after a second."""
    before, acknowledged = counted(system), {}
    comes_back = threading.Timer(1.0, system.database.start)
    for number in range(30):
        if number == 10:
            terminate_backends(system)
        if number == 20:
            kill_postgres(system)
            comes_back.start()
        send_one(system, acknowledged)
    comes_back.join()
    settle(system, acknowledged, before)
    died = [name for name, process in system.processes.items() if process.poll() is not None]
    assert died == [], "they ended, where they should have reconnected"
