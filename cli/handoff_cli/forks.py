"""Children forked from a process that has loaded everything: quick to start, memory shared.

The parent has to be single-threaded at the fork. Loaded modules are frozen out of the garbage
collector, so that most of their pages stay shared (`gc.freeze`).
"""

import contextlib
import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL = 0.01


@dataclass
class Forked:
    """A forked child; ``returncode`` is as `subprocess.Popen` has it."""

    name: str
    pid: int
    returncode: int | None = field(default=None)

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = -signal.SIGKILL
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, seconds: float) -> bool:
        """Whether it ended within *seconds*."""
        until = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > until:
                return False
            time.sleep(_POLL)
        return True

    def send(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def fork(name: str, run: Callable[[], int], environment: Mapping[str, str], log: Path) -> Forked:
    """Run *run* in a child that writes to *log*, has *environment*, and ends when we do."""
    gc.collect()
    gc.freeze()
    ctypes.CDLL(None).malloc_trim(0)
    parent = os.getpid()
    with _held_back():
        pid = os.fork()
        if pid == 0:
            _become(name, run, environment, log, parent)
    return Forked(name, pid)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """No signal meets a child that still has our handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _become(
    name: str, run: Callable[[], int], environment: Mapping[str, str], log: Path, parent: int
) -> None:
    """The child's life; never returns."""
    code = 1
    try:
        for number in _OURS:
            signal.signal(number, signal.SIG_DFL)
        # Ctrl-C reaches the parent alone, which ends us in order.
        os.setsid()
        _name_and_tie(name)
        _redirect(log)
        os.environ.clear()
        os.environ.update(environment)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        if os.getppid() == parent:  # Else it died before we were tied to it.
            code = run()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001 - the log is the only place left to say it
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _name_and_tie(name: str) -> None:
    """Show *name* in process lists; ask for SIGTERM when the parent dies, kill -9 included."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_NAME, f"handoff-{name}".encode()[:15], 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _redirect(log: Path) -> None:
    """Standard streams to the log; everything else that the parent had open is closed, so that no
    lock or socket of it outlives it here."""
    for number in sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()):
        if number > 2:
            with contextlib.suppress(OSError):
                os.close(number)
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(nothing)
    os.close(out)
