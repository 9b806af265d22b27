"""B8 start: ``handoff up`` on an existing home until it says that it is ready; and the memory of
the all-in-one with PostgreSQL, idle and after a small load.

Ready is the line "Handoff runs at …", which comes when the doorway and the worker have answered
their readiness; the page ``/readyz`` is asked at that moment and has to agree. The home holds the
demo city, was ended in order, its files are in the system's cache and the bytecode is kept.
Memory is the sum of the proportional set sizes (PSS) of all its processes: what several share,
such as PostgreSQL's buffers and the code that the children were forked with, counts once. There is
no peer and no limit.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from support.system import HANDOFF, ROOT, System, all_in_one, free_port

from bench.bytecode import kept
from bench.figures import Result
from bench.processes import parts, pss_mb
from bench.settled import settled
from bench.stand import Stand

READY = b"Ctrl-C"
SOON_AFTER, IDLE_AFTER = 3.0, 80.0
"""Seconds. The services close a connection that nobody used for a minute."""
DAYS = "1"
"""Of the demo city, as the small load."""


def measure(stand: Stand) -> list[Result]:
    """A result for the start and one for the memory."""
    with kept(stand):
        return _measure(stand)


def _measure(stand: Stand) -> list[Result]:
    idle_after = 5.0 if stand.quick else IDLE_AFTER
    started = Result("B8", "handoff up until ready", "s", [], log="embedded", higher=False)
    idle = Result("B8", "memory idle", "MB", [], log="embedded", higher=False)
    home = stand.folder / "b8-home"
    began = time.monotonic()
    with all_in_one(home) as system:
        started.others["first start with the demo city, s"] = [time.monotonic() - began]
        asyncio.run(settled(system.admin_url))
    for number in range(stand.rounds):
        stand.say(f"B8 round {number + 1} of {stand.rounds}")
        with _started(home) as (system, seconds):
            started.ours.append(seconds)
            time.sleep(SOON_AFTER)
            _weigh(idle, "soon after the start", system)
            time.sleep(idle_after - SOON_AFTER)
            idle.ours.append(_weigh(idle, "idle", system))
            system.handoff("demo", "--days", DAYS, "--seed", str(number + 1))
            asyncio.run(settled(system.admin_url))
            _weigh(idle, "after a day of the demo city", system)
    started.at_most(started.ours, 3.0, "<= 3 s")
    # The quick look does not wait for the connections of the start to be closed.
    idle.at_most([] if stand.quick else idle.ours, 300.0, "<= 300 MB with PostgreSQL")
    idle.notes.append(f"soon: {SOON_AFTER:.0f} s after the start; idle: {idle_after:.0f} s")
    return [started, idle]


def _weigh(result: Result, when: str, system: System) -> float:
    """Megabytes of all parts together; each of them, and how many processes PostgreSQL has, are
    noted beside."""
    groups = parts(system)
    weights = {part: pss_mb(group) for part, group in groups.items()}
    weights["all"] = sum(weights.values())
    for part, weight in weights.items():
        result.others.setdefault(f"{part} {when}, MB", []).append(weight)
    result.others.setdefault(f"PostgreSQL's processes {when}", []).append(len(groups["postgres"]))
    return weights["all"]


@contextmanager
def _started(home: Path) -> Iterator[tuple[System, float]]:
    """``handoff up`` on *home*, and the seconds until its line; ended in order afterwards."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [str(HANDOFF), "up", "--port", str(port)],
        env={**os.environ, "HANDOFF_HOME": str(home)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    system = System("embedded", home, {"portal": address}, {"up": process})
    try:
        assert process.stdout is not None
        said = b""
        for line in process.stdout:
            said += line
            if READY in line:
                break
        seconds = time.monotonic() - began
        assert READY in said, said.decode(errors="replace") + system.logs()
        assert httpx.get(f"{address}/readyz", timeout=5).status_code == 200
        yield system, seconds
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
