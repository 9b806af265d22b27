"""A real all-in-one for the tests of the command, started once."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
from support.command import run_handoff
from support.exports import read_export

HANDOFF = Path(sys.executable).with_name("handoff")
T = TypeVar("T")


class System:
    """``handoff up --demo`` on a home and port of its own, and the command beside it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> dict[str, Any]:
        return json.loads((self.home / "running.json").read_text())

    def start(self) -> float:
        """Start it and wait until it says so; returns the seconds that took."""
        began = time.monotonic()
        said = self.home.parent / "up.txt"
        with said.open("w") as output:
            self.process = subprocess.Popen(
                [str(HANDOFF), "up", "--demo", "--port", str(self.port)],
                env={**os.environ, "HANDOFF_HOME": str(self.home)},
                stdout=output,
                stderr=output,
                text=True,
            )

        def ready() -> bool:
            text = said.read_text()
            assert self.process is not None
            assert self.process.poll() is None, text
            return "Ctrl-C stops" in text

        self.eventually(ready, 120)
        return time.monotonic() - began

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def said(self) -> str:
        return (self.home.parent / "up.txt").read_text()

    def handoff(
        self, *arguments: str, code: int | None = 0, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command on this home; it has to end with *code*, and never with a traceback."""
        given = {**os.environ, "HANDOFF_HOME": str(self.home), **environment}
        done = run_handoff(arguments, given, cwd or self.home.parent, 200)
        assert "Traceback" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int = 0, cwd: Path | None = None) -> Any:
        return json.loads(self.handoff(*arguments, "--json", code=code, cwd=cwd).stdout)

    async def database(self) -> asyncpg.Connection:
        return await asyncpg.connect((self.home / "secrets" / "database_url").read_text().strip())

    async def value(self, question: str, *arguments: object) -> Any:
        connection = await self.database()
        try:
            return await connection.fetchval(question, *arguments)
        finally:
            await connection.close()

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    @staticmethod
    def eventually(what: Callable[[], T], seconds: float = 30) -> T:
        """The first true answer. Raises: AssertionError with the last one."""
        until = time.monotonic() + seconds
        while True:
            last = what()
            if last:
                return last
            assert time.monotonic() < until, f"did not happen in {seconds} s; last: {last!r}"
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The one all-in-one of the session; a test that stops it starts it again."""
    found = System(tmp_path_factory.mktemp("all-in-one") / "home")
    found.start()
    yield found
    if found.process is not None and found.process.poll() is None:
        assert found.stop() == 0


@pytest.fixture
def run(tmp_path: Path):
    """``run(map, data, name)`` → the reading of an export in a folder of its own."""
    return partial(read_export, tmp_path)
