"""Install what a task needs into this folder, then run the task: `python3 tools/bootstrap.py TASK`.

Standard library only, and readable by old Pythons, so that they can be told what is missing. uv
comes by pip into `var/tools`; uv puts the packages of `uv.lock` into `.venv`. When neither the lock
nor a pyproject.toml has changed since, nothing is done.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)
UV = "uv==0.13.9"
PROJECT = Path(__file__).resolve().parent.parent
VENV = PROJECT / ".venv"
TOOLS = PROJECT / "var" / "tools"
STAMP = VENV / "handoff-stamp.json"
RUN_ONLY = ("up", "kafka")
"""Tasks that do without the packages for development."""
VARIABLES = (
    *("PORT", "HANDOFF_HOME", "BROKERS", "BENCH", "PYTEST_ARGS"),
    *("SECONDS", "LOG", "SEED"),
)
TASKS = ("up", "test", "soak", "check", "format", "bench", "kafka", "install")


class Refusal(Exception):
    """Something that the user has to mend; the message says what."""


def main(arguments: list[str]) -> int:
    if arguments == ["help"]:
        return show_help()
    if len(arguments) != 1 or arguments[0] not in TASKS:
        sys.stderr.write(f"usage: bootstrap.py help|{'|'.join(TASKS)}\n")
        return 2
    task = arguments[0]
    try:
        if sys.version_info < MINIMUM:
            raise Refusal(
                f"Python {dotted(MINIMUM)} or newer is needed; {sys.executable} is Python "
                f"{dotted(sys.version_info[:2])}. Name a newer one: make {task} PYTHON=python3.12"
            )
        install("run" if task in RUN_ONLY else "dev")
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; the next start goes on from here.\n")
        return 130
    # make hands on its variables even when they are empty.
    for name in VARIABLES:
        if not os.environ.get(name):
            os.environ.pop(name, None)
    python = str(VENV / "bin" / "python")
    os.chdir(str(PROJECT))
    return os.execv(python, [python, str(PROJECT / "tools" / "tasks.py"), task])


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)


def show_help() -> int:
    for line in (PROJECT / "Makefile").read_text().splitlines():
        found = re.match(r"([a-z]+):\s+## (.*)", line)
        if found:
            sys.stdout.write(f"make {found.group(1):8}  {found.group(2)}\n")
    return 0


def install(level: str) -> None:
    """Bring `.venv` to what uv.lock says; `level` is run, or dev with the tools of development."""
    digest = lock_digest()
    if is_current(read_stamp(), level, digest):
        return
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        # Two makes at once: the second waits and then finds everything done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = read_stamp()
        if is_current(stamp, level, digest):
            return
        if stamp.get("level") == "dev":
            level = "dev"
        if stamp and stamp.get("project") != str(PROJECT):
            # The folder was moved, and the scripts in it name the old place.
            shutil.rmtree(str(VENV))
        STAMP.unlink(missing_ok=True)
        uv = find_uv()
        say("Installing the project's packages into .venv (the first time takes a minute) ...")
        command = [str(uv), "sync", "--frozen", "--python", base_python()]
        if not sys.stderr.isatty():
            command.append("--quiet")
        if level == "run":
            command.append("--no-dev")
        environment = dict(
            os.environ, UV_PYTHON_DOWNLOADS="never", UV_PROJECT_ENVIRONMENT=str(VENV)
        )
        environment.pop("VIRTUAL_ENV", None)
        if subprocess.run(command, cwd=str(PROJECT), env=environment, check=False).returncode != 0:
            raise Refusal("The packages could not be installed; the lines above say why.")
        STAMP.write_text(
            json.dumps({"project": str(PROJECT), "level": level, "digest": digest}, indent=1)
        )


def is_current(stamp: dict[str, str], level: str, digest: str) -> bool:
    return (
        stamp.get("project") == str(PROJECT)
        and stamp.get("digest") == digest
        and stamp.get("level") in (level, "dev")
        and (VENV / "bin" / "python").exists()
    )


def read_stamp() -> dict[str, str]:
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def lock_digest() -> str:
    files = [PROJECT / "uv.lock", PROJECT / "pyproject.toml"]
    for folder in ("cli", "schemas", "libs/*", "services/*"):
        files += sorted(PROJECT.glob(folder + "/pyproject.toml"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def base_python() -> str:
    return getattr(sys, "_base_executable", None) or sys.executable


def find_uv() -> Path:
    """uv in `var/tools`, by pip of a virtual environment or, where Debian left that out, by pip."""
    folder = TOOLS / UV.replace("==", "-")
    uv = folder / "bin" / "uv"
    if uv.exists():
        return uv
    say("Installing uv into var/tools ...")
    shutil.rmtree(str(folder), ignore_errors=True)
    draft = TOOLS / "draft"
    python = base_python()
    pip_options = ["--quiet", "--disable-pip-version-check", "--target", str(draft), UV]
    for prepare in ([], [python, "-m", "venv", str(TOOLS / "venv")]):
        shutil.rmtree(str(draft), ignore_errors=True)
        if prepare:
            if run_quietly(prepare) != 0:
                continue
            python = str(TOOLS / "venv" / "bin" / "python")
        elif run_quietly([python, "-m", "pip", "--version"]) != 0:
            continue
        command = [python, "-m", "pip", "install", *pip_options]
        # pip's advice to root is about the system's own packages, which stay as they are.
        environment = dict(os.environ, PIP_ROOT_USER_ACTION="ignore")
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            raise Refusal("uv could not be installed by pip; the lines above say why.")
        draft.rename(folder)
        return uv
    raise Refusal(
        "This Python has neither pip nor the means to make a virtual environment. On Debian and "
        "Ubuntu install them with:\n    apt-get install python3-venv\nThen run make again."
    )


def run_quietly(command: list[str]) -> int:
    return subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    ).returncode


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
