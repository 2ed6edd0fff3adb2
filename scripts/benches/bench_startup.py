"""Job `startup`: how long `imgcache --help` takes to answer."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from bench_process import measure
from bench_report import Limit, Section, spread


def run(options: argparse.Namespace) -> Section:
    """Run it in turn with a Python that does nothing."""
    commands = {
        "`imgcache --help`": [str(Path(sys.executable).parent / "imgcache"), "--help"],
        "`python -c pass`": [sys.executable, "-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(5 * options.rounds):
        for name, command in commands.items():
            seconds[name].append(measure(command).seconds)
    middle = statistics.median(seconds["`imgcache --help`"])
    return Section(
        title="Start-up",
        text=f"The whole process, {5 * options.rounds} times in turn.",
        columns=["", "seconds"],
        rows=[[name, spread(values, 3)] for name, values in seconds.items()],
        limits=[Limit("`imgcache --help`", middle, 0.2, "s")],
    )
