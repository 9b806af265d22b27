"""kill -9 of the parts of a running system, and what brings them back."""

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg
from handoff_kit.settings import SERVICES

from support.system import System, start_process


class Parts(Protocol):
    """What a system is made of; of each kind one part at a time is killed."""

    kinds: tuple[str, ...]

    def kill(self, kind: str, chance: random.Random) -> None:
        """Raises: ProcessLookupError or FileNotFoundError where none of the kind runs now."""

    def bring_back(self) -> None:
        """Start what has ended, where no supervisor does."""


class AllInOne:
    """Its supervisor brings back what is killed."""

    kinds = ("doorway", "worker", "postgres")

    def __init__(self, system: System) -> None:
        self._system = system

    def kill(self, kind: str, chance: random.Random) -> None:
        if kind == "postgres":
            kill_postgres(self._system)
        else:
            os.kill(self.children()[kind], signal.SIGKILL)

    def bring_back(self) -> None:
        """The supervisor does."""

    def children(self) -> dict[str, int]:
        """Process ids of doorway and worker."""
        running = json.loads((self._system.home / "running.json").read_text())
        found: dict[str, int] = running["children"]
        return found


class Distributed:
    """Ten processes, PostgreSQL and a broker, started again when they end, as by Docker."""

    kinds = ("api", "worker", "postgres", "broker")

    def __init__(self, system: System) -> None:
        assert system.database is not None
        assert system.broker is not None
        self._system, self._database, self._broker = system, system.database, system.broker
        self._lock = threading.Lock()

    def kill(self, kind: str, chance: random.Random) -> None:
        with self._lock:
            if kind == "postgres":
                kill_postgres(self._system)
            elif kind == "broker":
                self._broker.kill(1)
            else:
                self._system.processes[f"{chance.choice(SERVICES)}-{kind}"].kill()

    def bring_back(self) -> None:
        with self._lock:
            self._database.start()
            self._broker.start_node(1)
            for service in SERVICES:
                for command in ("api", "worker"):
                    if self._system.processes[f"{service}-{command}"].poll() is not None:
                        start_process(self._system, service, command)


def parts_of(system: System) -> AllInOne | Distributed:
    return AllInOne(system) if system.log == "embedded" else Distributed(system)


def postmaster(home: Path) -> int:
    """Process id of PostgreSQL's first process. Raises: FileNotFoundError where none runs."""
    text = (home / "postgres" / "postmaster.pid").read_text()
    if not text:
        raise FileNotFoundError("PostgreSQL is just starting")
    return int(text.split(maxsplit=1)[0])


def terminate_backends(system: System) -> None:
    """End every client's session on PostgreSQL."""

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
    os.kill(postmaster(system.home), signal.SIGKILL)


@contextmanager
def kept_up(parts: Parts, every: float = 0.2) -> Iterator[None]:
    """Look every so many seconds for what has ended, and bring it back."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(every):
            parts.bring_back()

    thread = threading.Thread(target=look, name="kept-up")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def kill_at_random(parts: Parts, chance: random.Random, seconds: float) -> Counter[str]:
    """Kill one part after the other for *seconds*, and each kind once however long that takes;
    how often each kind was killed.

    Each kind comes once, in an order of chance, before any comes again.
    """
    killed: Counter[str] = Counter()
    turn: list[str] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(killed) < len(parts.kinds):
        time.sleep(chance.uniform(1.0, 3.0))
        turn = turn or chance.sample(parts.kinds, len(parts.kinds))
        try:
            parts.kill(turn[-1], chance)
        except (ProcessLookupError, FileNotFoundError):
            continue  # It has not come back yet; it is the next again.
        killed[turn.pop()] += 1
    return killed
