"""B5 import: Boston's 14,670 real rows of inspections and Baltimore's 1,876 real services, by the
commands ``handoff import inspections`` and ``handoff import directory`` on a running all-in-one, on
the embedded log; rows a second from the start of the command until the last effect is settled:
every outbox empty, every consumer group at the head of its topics.

Each round is a first import into a home of its own, with bytecode kept from before. Peer: the
usual script, csv → SQLModel row by row with a commit each, one table of the file's columns, on a
PostgreSQL with the same settings; of Baltimore's eleven files it takes the services alone. What
bounds it: ``COPY`` of the same bytes (`bench.importing.rows`). Both do a small part of what ours
does: they check nothing, refuse nothing, know no repeats, and nobody hears of what they wrote.
"""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from support.system import HANDOFF, ROOT, System, all_in_one

from bench.bytecode import kept
from bench.figures import Result
from bench.importing.files import baltimore, boston, data, head, rows
from bench.processes import cpu_seconds, parts
from bench.settled import settled
from bench.stand import Stand

PEER = "csv → SQLModel, row by row"
LIMIT = "COPY of the same bytes"
QUICK_ROWS = 2000


def measure(stand: Stand) -> list[Result]:
    """A result a kind of file; none without the real data."""
    folder = data()
    if folder is None:
        stand.say("B5 is left out: real data is not here (set HANDOFF_SHARED)")
        return []
    inspections, services = boston(folder), baltimore(folder) / "services.csv"
    if stand.quick:
        inspections = head(inspections, QUICK_ROWS, stand.folder / "boston.csv")
    files = {"inspections": inspections, "directory": services}
    results = {
        kind: Result("B5", said, "rows/s", [], log="embedded", limit_is=LIMIT)
        for kind, said in (
            ("inspections", "Boston's inspections imported"),
            ("directory", "Baltimore's services imported"),
        )
    }
    for number in range(1 if stand.quick else stand.rounds):
        stand.say(f"B5 round {number + 1}")
        home = stand.folder / f"b5-{number}"
        with kept(stand), all_in_one(home) as system:
            asyncio.run(settled(system.admin_url))
            for kind, path in files.items():
                _ours(system, results[kind], kind, path)
        shutil.rmtree(home)
        for kind, path in files.items():
            _others(stand, results[kind], path)
    for kind, result in results.items():
        result.notes.append(f"{len(rows(files[kind])[1]):,} rows")
        result.times(10)
    return list(results.values())


def _ours(system: System, result: Result, kind: str, path: Path) -> None:
    told = system.home / f"{kind}.told.csv"
    arguments = {
        "inspections": ["inspections", str(path), "--map", "boston", "--rejects", str(told)],
        "directory": ["directory", str(path.parent), "--report", str(told)],
    }[kind]
    number = len(rows(path)[1])
    before = {part: cpu_seconds(group) for part, group in parts(system).items()}
    command = _of_children()
    began = time.monotonic()
    report = _import(system, arguments)
    answered, command = time.monotonic(), _of_children() - command
    ended = asyncio.run(settled(system.admin_url))
    _check(kind, report, number)
    result.ours.append(number / (ended - began))
    _other(result, "the command, s").append(answered - began)
    _other(result, "until settled after it, s").append(ended - answered)
    _other(result, "CPU of the command, s").append(command)
    for part, group in parts(system).items():
        spent = cpu_seconds(group) - before.get(part, 0.0)
        _other(result, f"CPU of {part}, s").append(spent)


def _import(system: System, arguments: list[str]) -> dict[str, Any]:
    """The installed command, with its start; `System.handoff` has it loaded already."""
    done = subprocess.run(
        [str(HANDOFF), "import", *arguments, "--json"],
        env={**os.environ, "HANDOFF_HOME": str(system.home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _of_children() -> float:
    """CPU seconds of the processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check(kind: str, report: dict[str, Any], number: int) -> None:
    """It was a first import of the whole file."""
    if kind == "inspections":
        assert report["rows"] == number, report
        assert report["unchanged"] == report["corrected"] == 0, report
        assert report["taken"] + report["rejected"] == report["read"], report
    else:
        # The few that name no organization, or no place, are refused and told.
        assert 0.95 * number <= report["services"] <= number, report


def _others(stand: Stand, result: Result, path: Path) -> None:
    for function, values in (
        ("by_row", result.peers.setdefault(PEER, [])),
        ("copy", result.limit),
    ):
        stand.clone("template0", "b5_other")
        found = stand.measure(
            f"bench.importing.rows:{function}", url=stand.admin_url("b5_other"), path=str(path)
        )
        values.append(found["rows"] / found["seconds"])


def _other(result: Result, name: str) -> list[float]:
    return result.others.setdefault(name, [])
