"""Benchmarks: ours, peers and limits, measured in turns in one run. See docs/benchmarks.md."""
