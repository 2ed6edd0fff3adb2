"""Job `derivatives`: pictures on disk to WebP at three widths, beside sharp and Pillow."""

from __future__ import annotations

import argparse
import functools

from bench_pictures import EFFORTS, WIDTHS, Job, ahead, cells, contenders, in_turn, make, pictures
from bench_report import Section


def run(options: argparse.Namespace) -> Section:
    """Each contender `--rounds` times in turn, at each effort."""
    found, (commands, notes, versions) = pictures(options), contenders()
    rows, limits = [], []
    for effort in EFFORTS:
        job = Job(found, effort=effort)
        ways = {name: functools.partial(make, name, command, job) for name, command in commands.items()}
        runs = in_turn(ways, options.rounds)
        rows += [[name, str(effort), *cells(these)] for name, these in runs.items()]
        limits.append(ahead(runs, f"effort {effort}"))
    return Section(
        title="Derivatives from files",
        text=f"{len(found)} photographs and graphics on disk to WebP quality 80 at {', '.join(map(str, WIDTHS))} pixels"
        " wide, never enlarged, upright, in sRGB and without metadata, two pictures at a time on two cores. Timed from"
        " the first picture in hand to the last file written: starting the process does not count. imgcache makes the"
        " dominant colour, the placeholder and the digests besides. Memory: all processes together, shared pages once.",
        columns=["", "effort", "images/s", "MB of WebP", "MB of memory"],
        rows=rows,
        limits=limits,
        notes=notes,
        versions=versions,
    )
