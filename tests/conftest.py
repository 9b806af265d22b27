"""One running system a log, shared by all tests that cross services."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.system import System, all_in_one, distributed


@pytest.fixture(scope="session")
def embedded_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with all_in_one(tmp_path_factory.mktemp("embedded") / "home") as system:
        yield system


@pytest.fixture(scope="session")
def kafka_system(
    tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str
) -> Iterator[System]:
    home: Path = tmp_path_factory.mktemp("kafka") / "home"
    with distributed(home, kafka_bootstrap) as system:
        yield system


@pytest.fixture(
    params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)], scope="session"
)
def system(request: pytest.FixtureRequest) -> System:
    """The same test on both logs."""
    found: System = request.getfixturevalue(f"{request.param}_system")
    return found
