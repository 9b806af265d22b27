"""The processes of a running system by their part, their CPU time and their memory."""

from collections.abc import Iterable
from pathlib import Path

import psutil
from support.system import System

Parts = dict[str, list[psutil.Process]]


def parts(system: System) -> Parts:
    """All processes of *system*: of the all-in-one supervisor, doorway, worker and postgres; else
    api and worker of each service, and postgres. What the tests put beside it is left out."""
    found: Parts = {}
    for name, started in system.processes.items():
        if name == "up":
            found["supervisor"] = [psutil.Process(started.pid)]
            for child in psutil.Process(started.pid).children():
                if child.name().startswith("handoff-"):
                    found[child.name().removeprefix("handoff-")] = _tree(child.pid)
        elif name != "proxy":
            found[name] = _tree(started.pid)
    lines = (system.home / "postgres" / "postmaster.pid").read_text().splitlines()
    found["postgres"] = _tree(int(lines[0]))
    return found


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU time that they, and those of their children that have ended, have taken so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # Its parent's figure has it.
        total += times.user + times.system + times.children_user + times.children_system
    return total


def pss_mb(processes: Iterable[psutil.Process]) -> float:
    """Memory in MB (10⁶ bytes) with each shared page divided among those who share it."""
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += pss_bytes(text)
    return total / 1e6


def pss_bytes(smaps_rollup: str) -> int:
    """The line ``Pss:`` of the kernel's smaps_rollup. Raises: ValueError without one."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no line Pss: in smaps_rollup")
