"""Job `startup`: how long `imgcache --help` takes to answer, beside a Python that does nothing."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bench_process import measure
from bench_report import Limit, Section, spread


def run(options: argparse.Namespace) -> Section:
    """Run both in turn, five times a round."""
    ours = [str(Path(sys.executable).parent / "imgcache"), "--help"]
    commands = {"`imgcache --help`": ours, "`python -c pass`": [sys.executable, "-c", "pass"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(5 * options.rounds):
        for name, command in commands.items():
            seconds[name].append(measure(command).seconds)
    rows = [[name, spread(values, 3)] for name, values in seconds.items()]
    limit = Limit("`imgcache --help`", statistics.median(seconds["`imgcache --help`"]), 0.2, "s")
    return Section(["", "seconds"], rows, [limit])
