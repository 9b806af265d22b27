"""Children forked from a loaded process. Each test forks in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

HEAD = """
import os, signal, sys, time
from pathlib import Path
from handoff_cli.forks import fork
log = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: print("the parent's handler", flush=True))
"""


def run(tmp_path: Path, body: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + body, str(tmp_path / "log")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def test_a_child_has_its_environment_and_writes_to_its_log(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
def life():
    print("hello from", os.environ["WHERE"], sorted(os.environ))
    return 3
child = fork("doorway", life, {"WHERE": "here"}, log)
assert child.wait(10)
print(child.returncode)
""",
    )
    assert said == "3\n"
    assert (tmp_path / "log").read_text() == "hello from here ['WHERE']\n"
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_an_error_is_in_the_log_and_in_the_code(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
def life():
    raise RuntimeError("no luck")
child = fork("doorway", life, {}, log)
child.wait(10)
print(child.returncode)
""",
    )
    assert said == "1\n"
    assert "no luck" in (tmp_path / "log").read_text()


def test_signals_end_a_child_and_not_by_the_parents_handler(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
def life():
    time.sleep(60)
    return 0
for number in (signal.SIGTERM, signal.SIGKILL):
    child = fork("worker", life, {}, log)
    child.send(number)
    assert child.wait(10)
    print(child.returncode)
""",
    )
    assert said == f"{-signal.SIGTERM}\n{-signal.SIGKILL}\n"


def test_no_lock_of_the_parent_outlives_it_in_a_child(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    said = run(
        tmp_path,
        f"""
import fcntl
held = open({str(lock)!r}, "w")
fcntl.flock(held, fcntl.LOCK_EX)
def life():
    print(sorted(int(n) for n in os.listdir("/proc/self/fd") if int(n) > 2))
    return 0
fork("worker", life, {{}}, log).wait(10)
print("done")
""",
    )
    assert said == "done\n"
    # The one that lists the folder.
    assert len((tmp_path / "log").read_text().split(",")) == 1


def test_a_child_is_told_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HEAD
            + """
def life():
    time.sleep(60)
    return 0
child = fork("worker", life, {}, log)
print(child.pid, flush=True)
time.sleep(60)
""",
            str(tmp_path / "log"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    until = time.monotonic() + 10
    while child.name() != "handoff-worker" and time.monotonic() < until:
        time.sleep(0.01)
    assert child.name() == "handoff-worker"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive or alive[0].status() == psutil.STATUS_ZOMBIE
