"""Processes and files that a killed server or supervisor left behind."""

import contextlib
import signal
import time
from pathlib import Path

import psutil

_POLL = 0.02


def left_running(cluster_name: str) -> list[psutil.Process]:
    """Every process of the cluster: each has its name in its title or command line.

    The working folder would tell it too, but in a container root may not read that of others.
    A zombie has no command line and does not count: an init that never reaps may keep it for ever.
    """
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if cluster_name in command and "postgres" in command:
            found.append(process)
    return found


def read_postmaster_pid(data: Path) -> tuple[int, str] | None:
    """(process id, status) from postmaster.pid; the status is the eighth line, `ready` or not."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (FileNotFoundError, IndexError, ValueError):
        return None


def end_leftovers(data: Path, cluster_name: str, timeout: float) -> None:
    """Shut down what is left of the cluster: fast, then immediately, then by force.

    A new server beside old backends would destroy the data, so it returns only when all are gone;
    raises TimeoutError otherwise. Then a pid file whose number now belongs to a stranger is
    removed, since PostgreSQL would wait for that stranger.
    """
    if not (data / "postmaster.pid").exists():
        return
    deadline = time.monotonic() + timeout
    postmaster = read_postmaster_pid(data)
    for number, share in ((signal.SIGINT, 0.5), (signal.SIGQUIT, 0.8), (signal.SIGKILL, 1.0)):
        running = left_running(cluster_name)
        if not running:
            break
        heads = [process for process in running if postmaster and process.pid == postmaster[0]]
        # Backends without a postmaster end by themselves; SIGQUIT hastens one in a long statement.
        if not heads and number == signal.SIGINT:
            number = signal.SIGQUIT  # noqa: PLW2901
        targets = running if number == signal.SIGKILL else heads or running
        for process in targets:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _wait_until_gone(cluster_name, (deadline - time.monotonic()) * share)
    if left_running(cluster_name):
        raise TimeoutError("the old PostgreSQL does not end")
    if postmaster and psutil.pid_exists(postmaster[0]):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _wait_until_gone(cluster_name: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while left_running(cluster_name) and time.monotonic() < deadline:
        time.sleep(_POLL)
