"""Benchmarks: ours, peers and limits, measured in turns in one run. See docs/benchmarks.md."""

import sys
from pathlib import Path

# How a system is started and when it is settled stands in the tests' package ``support``.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
