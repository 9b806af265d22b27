"""``python -m bench [B1 B3 …]``: run benches, print one table, write ``bench/results.json``.

``BENCH_QUICK=1``: small numbers and two rounds, to see that all works. ``BENCH_ROUNDS``: other
than five. ``BENCH_HOME``: where PostgreSQL and Kafka keep their data (default ``var/bench``).
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

from bench.figures import Result
from bench.picture import picture
from bench.stand import a_stand
from bench.table import table

BENCHES = {
    "B1": "b1_route",
    "B2": "b2_accept",
    "B3": "b3_latency",
    "B5": "b5_import",
    "B8": "b8_start",
}
RESULTS = Path(__file__).parent / "results.json"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "benchmarks.svg"


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name.upper() not in BENCHES]
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
        return 2
    wanted = [name.upper() for name in arguments] or list(BENCHES)
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
    rounds = int(os.environ.get("BENCH_ROUNDS") or (2 if quick else 5))
    results: list[Result] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Stop what was started, then end.
    with a_stand(rounds=rounds, quick=quick, say=_say) as stand:
        for name in wanted:
            started = time.monotonic()
            results += import_module(f"bench.{BENCHES[name]}").measure(stand)
            _say(f"{name} took {time.monotonic() - started:.0f} s")
    print(table(results))
    document = {
        "machine": _machine(),
        "commit": _commit(),
        "rounds": rounds,
        "quick": quick,
        "results": [result.as_json() for result in results],
    }
    if quick or set(wanted) != set(BENCHES):
        print("Not all, or not in earnest: bench/results.json stays as it is.")
        return 0
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    PICTURE.write_text(picture(document))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _machine() -> dict[str, object]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    """The commit that was measured; with a plus when the tree had changes."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
