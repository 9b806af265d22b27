"""``handoff`` as tests call it: each call a process of its own that need not load anything.

A process that did nothing but import the command's modules is forked for each call: the same code
with its own arguments, environment, folder, streams and exit code, in a tenth of the time. That the
installed script starts by itself is shown wherever a test runs ``handoff up``.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_LOADED = (
    "handoff_cli.main",
    "handoff_cli.checks",
    "handoff_cli.cityfiles",
    "handoff_cli.demo_city.play",
    "handoff_cli.directories",
    "handoff_cli.inspections",
    "handoff_cli.schema",
    "handoff_kit.audit",
    "intake_svc.handlers.showing",
    "intake_svc.handlers.withdrawals",
    "notify_svc.settings.policyfile",
    "portal_svc.handlers.commands",
    "portal_svc.handlers.people",
    "referral_svc.settings.policy",
)


def run_handoff(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the command; like ``subprocess.run`` with captured text.

    Raises: subprocess.TimeoutExpired, after which it is killed.
    """
    with tempfile.TemporaryDirectory(prefix="handoff-call-") as place:
        out, err = Path(place, "out"), Path(place, "err")
        answer = _loaded().call(
            {
                "arguments": list(arguments),
                "environment": dict(environment),
                "folder": str(folder),
                "out": str(out),
                "err": str(err),
                "seconds": seconds,
            }
        )
        if answer["code"] is None:
            raise subprocess.TimeoutExpired(["handoff", *arguments], seconds)
        code: int = answer["code"]
        return subprocess.CompletedProcess(
            ["handoff", *arguments], code, out.read_text(), err.read_text()
        )


class _Loaded:
    """The process that is forked; it ends when its standard input does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """One at a time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@functools.cache
def _loaded() -> _Loaded:
    return _Loaded()


# The process that is forked


def _serve() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(request)
        print(json.dumps({"code": _ended(pid, request["seconds"])}), flush=True)


def _ended(pid: int, seconds: float) -> int | None:
    """Its exit code, as `subprocess` tells it; None after *seconds*, when it is killed."""
    end = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([end], [], [], seconds)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(end)
    return os.waitstatus_to_exitcode(status) if ready else None


def _become(request: dict[str, Any]) -> NoReturn:
    """The command's life."""
    code = 1
    try:
        _redirect(request)
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        os.chdir(request["folder"])
        sys.argv = ["handoff", *request["arguments"]]
        from handoff_cli.main import app

        app()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter ends, with its traceback
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _redirect(request: dict[str, Any]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name in ((1, request["out"]), (2, request["err"])):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    _serve()
