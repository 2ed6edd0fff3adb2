"""Job `overhead`: what an image costs besides decoding, scaling and encoding, in time and in the parent's memory."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path

from bench_process import Ran, connect_to, fresh, lean_origin, sync, write_tiny_site
from bench_report import Limit, Section, Skipped, spread

from examples.origin.drawing import draw
from imgcache import processor
from imgcache.models import Limits
from imgcache.recipes import Recipe

SMALL, LARGE, FULL = 1_000, 10_000, 100_000


def run(options: argparse.Namespace) -> Section:
    """Sync sites of tiny images, of two sizes, in turn; the difference between them is what one more image costs."""
    runs: dict[int, list[Ran]] = defaultdict(list)
    folder = fresh("overhead")
    alone, cores = _processor_alone(folder / "alone"), len(os.sched_getaffinity(0))
    with lean_origin("tiny") as port:
        for number, count in enumerate([SMALL, LARGE] * options.rounds + [FULL] * options.full):
            # Nothing is deleted between two runs: ext4 makes files slowly for some seconds after others went.
            ran = _sync(folder / f"site{number}", count, connect_to(port))
            runs[count].append(ran)
            print(f"  {count:,} images: {ran.seconds:.2f} s, {ran.peak / 1e6:.1f} MB", flush=True)
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


def _sync(site: Path, count: int, options: list[str]) -> Ran:
    write_tiny_site(site, range(count))
    ran, summary = sync(site, options)
    if summary["fetched"] != count:
        raise Skipped(f"{summary['fetched']:,} of {count:,} images were fetched")
    return ran
