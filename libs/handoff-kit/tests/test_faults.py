"""Fault points: nothing when off, exact when on."""

import os
import signal
import subprocess
import sys
import time

import pytest
from handoff_kit.faults import InjectedFault, activate, async_fault, fault


async def test_off_is_nothing() -> None:
    """A point that is off raises nothing and counts no passage."""
    with activate("here=raise@2"):
        fault("here")
        with activate(""):
            for _ in range(3):
                fault("here")
                await async_fault("here")
        with pytest.raises(InjectedFault):
            fault("here")


@pytest.mark.parametrize("given", [{}, {"HANDOFF_FAULTS": ""}])
def test_off_ends_no_process(given: dict[str, str]) -> None:
    script = "from handoff_kit.faults import fault\nfault('a')\nfault('a')\nprint('alive')"
    rest = {name: value for name, value in os.environ.items() if name != "HANDOFF_FAULTS"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=rest | given,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (0, b"alive\n")


def test_raise_at_the_nth_passage_only() -> None:
    with activate("here=raise@2"):
        fault("here")
        with pytest.raises(InjectedFault, match="here"):
            fault("here")
        fault("here")
        fault("elsewhere")
    fault("here")


def test_sleep() -> None:
    with activate("here=sleep:0.05"):
        started = time.monotonic()
        fault("here")
        assert time.monotonic() - started >= 0.05


async def test_async() -> None:
    with activate("here=sleep:0.01, there=raise"):
        await async_fault("here")
        with pytest.raises(InjectedFault):
            await async_fault("there")


def test_kill_is_read_from_the_environment() -> None:
    script = "from handoff_kit.faults import fault\nfault('a')\nfault('a')\nprint('alive')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HANDOFF_FAULTS": "a=kill@2"},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


@pytest.mark.parametrize(
    "wrong", ["a", "a=", "a=explode", "a=sleep", "a=kill:3", "a=kill@x", "=kill"]
)
def test_a_malformed_list_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ValueError, match="HANDOFF_FAULTS"), activate(wrong):
        pass
