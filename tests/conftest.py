"""One running system a log, shared by all tests that cross services."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from handoff_kit.kafka_cluster import KafkaCluster
from support.system import System, all_in_one, distributed


@pytest.fixture(scope="session")
def embedded_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with all_in_one(tmp_path_factory.mktemp("embedded") / "home") as system:
        yield system


@pytest.fixture(scope="session")
def kafka_system(tmp_path_factory: pytest.TempPathFactory, kafka_runs: None) -> Iterator[System]:
    """On a broker of its own, which a test may kill and which holds nothing of other tests."""
    folder: Path = tmp_path_factory.mktemp("kafka")
    broker = KafkaCluster(folder / "kafka")
    try:
        with distributed(folder / "home", broker.start()) as system:
            system.broker = broker
            yield system
    finally:
        if broker.is_running(1):
            broker.kill(1)  # Its data go with it: there is nothing to end in order.


@pytest.fixture(
    params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)], scope="session"
)
def system(request: pytest.FixtureRequest) -> System:
    """The same test on both logs."""
    found: System = request.getfixturevalue(f"{request.param}_system")
    return found
