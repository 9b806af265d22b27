"""The tasks of the Makefile, run by the project's own Python; `bootstrap.py` installs it first."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from handoff_kit import kafka_cluster

PROJECT = Path(__file__).resolve().parent.parent
BIN = PROJECT / ".venv" / "bin"
PYTHON = str(BIN / "python")
NO_TESTS = 5
"""pytest's exit code when nothing was selected."""


def under_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def execute(*command: str) -> int:
    """Become the command, so that Ctrl-C and its exit code are its own."""
    sys.stdout.flush()
    os.execv(command[0], command)


# up, kafka, bench


def up() -> int:
    port = os.environ.get("PORT") or os.environ.get("HANDOFF_PORT")
    return execute(str(BIN / "handoff"), "up", "--demo", *(("--port", port) if port else ()))


def kafka() -> int:
    home = Path(os.environ.get("HANDOFF_HOME", "var"), "kafka")
    brokers = os.environ.get("BROKERS", "1")
    module = "handoff_kit.kafka_cluster"
    return execute(PYTHON, "-m", module, "--brokers", brokers, "--home", str(home))


def bench() -> int:
    return execute(PYTHON, "-m", "bench", *os.environ.get("BENCH", "").replace(",", " ").split())


def install() -> int:
    return 0


# test


@dataclass(frozen=True)
class Tier:
    """Tests of one marker that need something from outside Python."""

    marker: str
    missing: Callable[[], str | None]
    remedy: str


def chromium_missing() -> str | None:
    return None if shutil.which("chromium") else "chromium is not installed"


TIERS = (
    Tier("kafka", kafka_cluster.missing, "apt-get install default-jre-headless maven"),
    Tier("browser", chromium_missing, "apt-get install chromium"),
)


def test() -> int:
    return run_tests(shlex.split(os.environ.get("PYTEST_ARGS", "")))


LOGS = ("embedded", "kafka")
SOAKED = "tests/faults/test_kill_loop.py::test_kill_9_of_every_process_loses_nothing"


def soak() -> int:
    """The kill loop of the tests, SECONDS long (600 unless told) on one LOG or each in turn.

    SEED repeats a run's kills; without it one is drawn, and printed.
    """
    log = os.environ.get("LOG")
    if log is not None and log not in LOGS:
        print(f"LOG is {' or '.join(LOGS)}, or left out for both; not {log}.")
        return 2
    for name, variable, usual in (
        ("SECONDS", "HANDOFF_SOAK_SECONDS", "600"),
        ("SEED", "HANDOFF_SEED", "0"),
    ):
        given = os.environ.get(name, usual)
        if not given.isdecimal():
            print(f"{name} is a whole number; not {given}.")
            return 2
        os.environ[variable] = given
    return run_tests(["-s", *(f"{SOAKED}[{name}]" for name in ([log] if log else LOGS))])


def run_tests(arguments: list[str]) -> int:
    """pytest with *arguments*, without the tiers that cannot run; says which those are."""
    left_out = [(tier, reason) for tier in TIERS if (reason := tier.missing()) is not None]
    if left_out and under_ci():
        for tier, reason in left_out:
            print(f"The {tier.marker} tests cannot run: {reason}. Install it: {tier.remedy}")
        print("Under CI=true no test may be left out.")
        return 1
    keep_bytecode()
    selected = select([tier.marker for tier, _ in left_out], arguments)
    command = [PYTHON, "-m", "pytest", *selected]
    try:
        code = subprocess.run(command, cwd=PROJECT, check=False).returncode
    except KeyboardInterrupt:
        return 130
    if code == NO_TESTS:
        print("No test was selected." if arguments else "There are no tests yet.")
        code = 1 if arguments else 0
    for tier, reason in left_out:
        print(f"Left out: the {tier.marker} tests, since {reason}. To run them: {tier.remedy}")
    return code


def keep_bytecode() -> None:
    """Let every process that tests start find its modules compiled, in ``var/``.

    Some environments forbid to write them beside the source (PYTHONDONTWRITEBYTECODE); then each
    compiles some 900 modules, a third of its start.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(PROJECT / "var" / "bytecode"))


def select(left_out: list[str], arguments: list[str]) -> list[str]:
    """pytest's arguments without the markers of `left_out`; a -m of the user's still counts."""
    expressions = [f"not {marker}" for marker in left_out]
    rest = list(arguments)
    if "-m" in rest[:-1]:
        place = rest.index("-m")
        expressions.insert(0, f"({rest[place + 1]})")
        del rest[place : place + 2]
    return [*(("-m", " and ".join(expressions)) if expressions else ()), *rest]


# check


def check() -> int:
    steps = {
        "formatter": [str(BIN / "ruff"), "format", "--check", "."],
        "linter": [str(BIN / "ruff"), "check", "."],
        "types": [str(BIN / "mypy")],
        "types of the tools": [str(BIN / "mypy"), "tools/tasks.py"],
        "import rules": [str(BIN / "lint-imports")],
    }
    if (PROJECT / "tools" / "contracts.py").exists():
        steps["contracts"] = [PYTHON, "tools/contracts.py", "--check"]
    failed = []
    for name, command in steps.items():
        print(f"== {name}", flush=True)
        try:
            if subprocess.run(command, cwd=PROJECT, check=False).returncode != 0:
                failed.append(name)
        except KeyboardInterrupt:
            return 130
    if failed:
        print(f"Failed: {', '.join(failed)}. `make format` mends what a program can mend.")
        return 1
    print("All is well.")
    return 0


def format_code() -> int:
    for command in (("check", "--fix-only", "."), ("format", ".")):
        code = subprocess.run([str(BIN / "ruff"), *command], cwd=PROJECT, check=False).returncode
        if code != 0:
            return code
    return 0


TASKS: dict[str, Callable[[], int]] = {
    "up": up,
    "test": test,
    "soak": soak,
    "check": check,
    "format": format_code,
    "bench": bench,
    "kafka": kafka,
    "install": install,
}

if __name__ == "__main__":
    sys.exit(TASKS[sys.argv[1]]())
