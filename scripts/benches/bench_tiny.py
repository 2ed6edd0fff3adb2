"""Jobs of tiny images, where what is not pixels counts: `nothing`, `growth`, `overhead`, `pace`; and `startup`."""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from operator import truediv
from pathlib import Path

from bench_process import Ran, configure, fresh, in_turn, lean_origin, measure, sync, write_articles
from bench_report import Limit, Section, Skipped, spread

from examples.origin.drawing import draw
from imgcache import processor
from imgcache.core import Limits, Recipe

REFERENCES, IMAGES = 100_000, 20_000  # of `nothing`
SIZES, FULL_SIZES = (1_000, 10_000, 100_000), (1_000_000,)  # references of `growth`
GROWN_IMAGES = 1_000  # the same for all sizes: what an image costs is measured by `overhead`
SMALL, LARGE, FULL = 1_000, 10_000, 100_000  # images of `overhead`
PACED, SHARE = 800, 0.015  # images of `pace`, and of their URLs those that are refused once
MOST = 1.5  # times the time without refusals
PER_ARTICLE, HOSTS = 5, 20
_QUIET = "never busy"
_BUSY = {
    _QUIET: (),
    "503, no Retry-After": (),
    "503, Retry-After: 1": ("--retry-after", "1"),
    "429, no Retry-After": ("--status", "429"),
    "429, Retry-After: 1": ("--status", "429", "--retry-after", "1"),
}
_ASKED = "429, Retry-After: 1"  # each of these asks the client to make no request at all for a second


def _first(site: Path, order: Sequence[int], *busy: str, hosts: int = HOSTS) -> Ran:
    """The first sync of a new site of these images, by their numbers; `busy` goes to the origin."""
    site.mkdir(parents=True)
    configure(site, [4])
    write_articles(site, [(f"http://h{one % hosts}.example/{one}.jpg", 8, 8) for one in order], PER_ARTICLE)
    with lean_origin("tiny", *busy) as port:
        ran, summary = sync(site, ["--connect-to", f"::127.0.0.1:{port}"])
    if summary["fetched"] != len(set(order)):
        raise Skipped(f"{summary['fetched']:,} of {len(set(order)):,} images were fetched")
    return ran


def _again(site: Path, references: int, rounds: int) -> list[Ran]:
    """Syncs after the first one. Raises Skipped where one of them finds something to do."""
    runs = []
    for _ in range(rounds + 1):
        ran, summary = sync(site, [])
        if summary["fetched"] or summary["flags_set"] or summary["references"] != references:
            raise Skipped(f"the site was synced just now, and a sync still finds something to do: {summary}")
        runs.append(ran)
    return runs[1:]  # the first one warms the file system's cache


def nothing(options: argparse.Namespace) -> Section:
    """Build one large site, sync it once, and then again."""
    site = fresh("nothing") / "site"
    print("  building the site; this takes minutes", flush=True)
    first = _first(site, [number % IMAGES for number in range(REFERENCES)])
    runs = _again(site, REFERENCES, options.rounds)
    seconds, peaks = [ran.seconds for ran in runs], [ran.peak / 1e6 for ran in runs]
    return Section(
        columns=["", "seconds", "MB"],
        rows=[["imgcache sync", spread(seconds), spread(peaks, 0)]],
        limits=[Limit("wall time", statistics.median(seconds), 3, "s"), Limit("memory", max(peaks), 300, "MB")],
        notes=[f"the first sync: {IMAGES:,} images in {first.seconds:.0f} s, {first.peak / 1e6:.0f} MB"],
    )


def growth(options: argparse.Namespace) -> Section:
    """Make sites of several sizes, sync each from nothing and then again, and fit a line."""
    folder, rows, peaks, seconds = fresh("growth"), [], [], {}
    for size in (*SIZES, *(FULL_SIZES if options.full else ())):
        site = folder / f"site{size}"
        first = _first(site, [number % min(GROWN_IMAGES, size) for number in range(size)])
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
            Limit(f"nothing to do, {SIZES[-1]:,} references", seconds[SIZES[-1]], 1.5, "s"),
            Limit(
                "memory for each further reference, nothing to do",
                (peaks[-1] - peaks[0]) / (max(seconds) - min(seconds)),
                20,
                "bytes",
            ),
        ],
        notes=notes if options.full else [*notes, f"{FULL_SIZES[0]:,} references are measured by `--full`"],
    )


def overhead(options: argparse.Namespace) -> Section:
    """Sync sites of tiny images, of two sizes, in turn; the difference between them is what one more image costs."""
    runs: dict[int, list[Ran]] = defaultdict(list)
    folder = fresh("overhead")
    alone, cores = _processor_alone(folder / "alone"), len(os.sched_getaffinity(0))
    for number, count in enumerate([SMALL, LARGE] * options.rounds + [FULL] * options.full):
        # Nothing is deleted between two runs: ext4 makes files slowly for some seconds after others went.
        runs[count].append(_first(folder / f"site{number}", range(count)))
        print(f"  {count:,} images: {runs[count][-1].seconds:.2f} s", flush=True)
    small, large = (statistics.median(ran.seconds for ran in runs[count]) for count in (SMALL, LARGE))
    spent = (large - small) / (LARGE - SMALL) - alone / cores
    limits = [Limit("overhead in time of each further image", spent * 1000, 3, "ms")]
    if options.full:
        least, most = (statistics.median(ran.peak for ran in runs[count]) for count in (SMALL, FULL))
        more = (most - least) / (FULL - SMALL)
        limits.append(Limit(f"memory of the parent for each image from {SMALL:,} to {FULL:,}", more, 200, "bytes"))
    rows = [
        (
            f"{count:,}",
            spread([ran.seconds for ran in ran_here]),
            spread([ran.seconds / count * 1000 for ran in ran_here]),
            spread([ran.peak / 1e6 for ran in ran_here], 1),
        )
        for count, ran_here in runs.items()
    ]
    return Section(
        columns=["images", "seconds", "ms an image", "MB, peak of the parent"],
        rows=rows,
        limits=limits,
        notes=[] if options.full else [f"memory is measured with {FULL:,} images by `--full`"],
    )


def _processor_alone(folder: Path) -> float:
    """Seconds to decode, scale and encode one such image in this process."""
    folder.mkdir()
    source = folder / "original"
    recipe = Recipe("w4", width=4, format="webp", quality=80, effort=4)
    taken = []
    for number in range(300):
        source.write_bytes(draw((8, 8), "jpeg", f"h.example/{number}", ""))
        begin = time.perf_counter()
        processor.render(source, folder, [recipe], Limits())
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def pace(options: argparse.Namespace) -> Section:
    """A first sync each way in turn, from a cold cache and a server that remembers nothing."""

    def first(name: str) -> Ran:
        share = 0 if name == _QUIET else SHARE
        return _first(fresh("pace") / "site", range(PACED), "--busy", str(share), *_BUSY[name], hosts=1)

    runs = in_turn({name: functools.partial(first, name) for name in _BUSY}, options.rounds)
    seconds = {name: [ran.seconds for ran in these] for name, these in runs.items()}
    ratios = {name: list(map(truediv, these, seconds[_QUIET])) for name, these in seconds.items()}
    return Section(
        columns=["", "seconds", "times"],
        rows=[[name, spread(seconds[name], 1), spread(ratios[name], 2)] for name in runs],
        limits=[
            Limit(f"{name}: the time without", statistics.median(these), MOST, "times")
            for name, these in ratios.items()
            if name not in (_QUIET, _ASKED)
        ],
        notes=[
            f"{_ASKED} has no limit: each of these responses asks for a second without any request, and imgcache waits."
        ],
    )


def startup(options: argparse.Namespace) -> Section:
    """`imgcache --help` beside a Python that does nothing, in turn, five times a round."""
    ours = [str(Path(sys.executable).parent / "imgcache"), "--help"]
    commands = {"`imgcache --help`": ours, "`python -c pass`": [sys.executable, "-c", "pass"]}
    runs = in_turn({name: functools.partial(measure, one) for name, one in commands.items()}, 5 * options.rounds)
    seconds = {name: [ran.seconds for ran in these] for name, these in runs.items()}
    rows = [[name, spread(values, 3)] for name, values in seconds.items()]
    limit = Limit("`imgcache --help`", statistics.median(seconds["`imgcache --help`"]), 0.2, "s")
    return Section(["", "seconds"], rows, [limit])
