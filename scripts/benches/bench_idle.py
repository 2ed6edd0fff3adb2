"""Jobs `nothing` and `growth`: syncs that have nothing to do, of one large site and of sites of several sizes."""

from __future__ import annotations

import argparse
import random
import statistics
from pathlib import Path

from bench_process import WORK, Ran, connect_to, fresh, lean_origin, sync, write_tiny_site
from bench_report import Limit, Section, Skipped, spread

REFERENCES, IMAGES = 100_000, 20_000
SIZES, FULL = (1_000, 10_000, 100_000), (1_000_000,)
GROWN_IMAGES = 1_000  # the same for all sizes: what an image costs is measured by `overhead`


def nothing(options: argparse.Namespace) -> Section:
    """Measure on the state of an earlier run where it is still good, else build it first."""
    site = WORK / "nothing" / "site"
    built = "" if (site / "cache" / "manifest.json").is_file() else _build()
    try:
        runs = _again(site, REFERENCES, options.rounds)
    except Skipped:
        if built:
            raise
        built = _build()
        runs = _again(site, REFERENCES, options.rounds)
    seconds, peaks = [ran.seconds for ran in runs], [ran.peak / 1e6 for ran in runs]
    return Section(
        columns=["", "seconds", "MB"],
        rows=[["imgcache sync", spread(seconds), spread(peaks, 0)]],
        limits=[Limit("wall time", statistics.median(seconds), 3, "s"), Limit("memory", max(peaks), 300, "MB")],
        notes=[built] if built else [],
    )


def _build() -> str:
    """Make the site, sync it once, and say how long that took."""
    draw = random.Random(1)
    order = list(range(IMAGES)) + [draw.randrange(IMAGES) for _ in range(REFERENCES - IMAGES)]
    draw.shuffle(order)
    print("  building the site once; this takes minutes", flush=True)
    ran, fetched = _first(fresh("nothing") / "site", order)
    return f"the first sync, from nothing: {fetched:,} images in {ran.seconds:.0f} s, {ran.peak / 1e6:.0f} MB"


def _first(site: Path, order: list[int]) -> tuple[Ran, int]:
    write_tiny_site(site, order)
    with lean_origin("tiny") as port:
        ran, summary = sync(site, connect_to(port))
    return ran, summary["fetched"]


def _again(site: Path, references: int, rounds: int) -> list[Ran]:
    """Syncs after the first one. Raises Skipped where one of them finds something to do."""
    runs = []
    for _ in range(rounds + 1):
        ran, summary = sync(site, [])
        if summary["fetched"] or summary["flags_set"] or summary["references"] != references:
            raise Skipped(f"the site was synced just now, and a sync still finds something to do: {summary}")
        runs.append(ran)
    return runs[1:]  # the first one warms the file system's cache


def growth(options: argparse.Namespace) -> Section:
    """Make sites of several sizes, sync each from nothing and then again, and fit a line."""
    folder, rows, peaks, seconds = fresh("growth"), [], [], {}
    for size in (*SIZES, *(FULL if options.full else ())):
        site = folder / f"site{size}"
        first, _ = _first(site, [number % min(GROWN_IMAGES, size) for number in range(size)])
        again = _again(site, size, options.rounds)
        seconds[size] = statistics.median(ran.seconds for ran in again)
        peaks.append(max(ran.peak for ran in again))
        took, memory = spread([ran.seconds for ran in again]), spread([ran.peak / 1e6 for ran in again], 0)
        rows.append([f"{size:,}", f"{first.seconds:.1f}", took, f"{first.peak / 1e6:.0f}", memory])
        print(f"  {' | '.join(rows[-1])}", flush=True)
    each, fixed = statistics.linear_regression(list(seconds), list(seconds.values()))
    notes = [f"a sync with nothing to do takes {fixed:.2f} s and {each * 1e6:.1f} µs a reference (least squares)"]
    return Section(
        columns=["references", "first sync, s", "nothing to do, s", "first sync, MB", "nothing to do, MB"],
        rows=rows,
        limits=[
            Limit("nothing to do, 100,000 references", seconds[100_000], 1.5, "s"),
            Limit(
                "memory for each further reference, nothing to do",
                (peaks[-1] - peaks[0]) / (max(seconds) - min(seconds)),
                20,
                "bytes",
            ),
        ],
        notes=notes if options.full else [*notes, f"{FULL[0]:,} references are measured by `--full`"],
    )
