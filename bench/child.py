"""``python -m bench.child module:function answer.json``: one measurement in a process of its own.

Arguments come as JSON on standard input; the answer goes to a file. With ``BENCH_PROFILE`` set to
a path, the run is profiled by cProfile into that file.
"""

import cProfile
import json
import os
import sys
from importlib import import_module
from pathlib import Path

from bench.stand import run


def main(where: str, answer: str) -> None:
    module, _, name = where.partition(":")
    function = getattr(import_module(module), name)
    arguments = json.loads(sys.stdin.read())
    profile = os.environ.get("BENCH_PROFILE")
    if profile:
        with cProfile.Profile() as profiler:
            found = run(function(**arguments))
        profiler.dump_stats(profile)
    else:
        found = run(function(**arguments))
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
