"""Job `growth`: what a first sync and one with nothing to do take as a site grows, with a line fitted to it."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench_nothing import HOSTS, PER_ARTICLE, write_answers
from bench_peers import python_with
from bench_process import ROOT, SCRIPTS, Ran, article, configure, fresh, measure, origin, sync
from bench_report import Limit, Section, Skipped, spread

SIZES, FULL = (1_000, 10_000, 100_000), (1_000_000,)
IMAGES = 1_000  # the same for all sizes: what an image costs is measured by `overhead`
_PLOT = ROOT / "docs" / "growth.svg"


class _Grown(NamedTuple):
    """What was measured at one size, in references."""

    size: int
    first: Ran
    again: list[Ran]


def run(options: argparse.Namespace) -> Section:
    """Make sites of several sizes, sync each from nothing and then again, fit a line and draw it."""
    folder = fresh("growth")
    write_answers(folder / "answers.yml", HOSTS)
    grown = []
    with origin("--answers", str(folder / "answers.yml")) as said:
        for size in (*SIZES, *(FULL if options.full else ())):
            grown.append(_grow(folder / f"site{size}", size, said["connect_to"], options.rounds))
            last = grown[-1]
            print(f"  {size:,}: {last.first.seconds:.1f} s, again {last.again[0].seconds:.2f} s", flush=True)
    fixed, each = statistics.linear_regression([one.size for one in grown], [_again(one) for one in grown])[
        ::-1
    ]  # intercept, slope
    notes = [
        f"a sync with nothing to do takes {fixed:.2f} s and {each * 1e6:.1f} µs a reference (least squares)",
        _draw(folder, grown, (fixed, each)),
    ]
    limits = [
        Limit("nothing to do, 100,000 references", next(_again(one) for one in grown if one.size == 100_000), 1.5, "s")
    ]
    least, most = grown[0], grown[-1]
    more = (max(ran.peak for ran in most.again) - max(ran.peak for ran in least.again)) / (most.size - least.size)
    limits.append(Limit("memory for each further reference, nothing to do", more, 20, "bytes"))
    return Section(
        title="As the work grows",
        text=f"Sites of {PER_ARTICLE} references an article to {IMAGES:,} images in all (fewer where there are fewer"
        f" references) on {HOSTS} hosts, JPEG of 8 × 8, one variant: a first sync, which reads every article and writes"
        " a flag into each entry, and syncs with nothing to do. Whole processes; peak of the parent's resident memory.",
        columns=["references", "first sync, s", "nothing to do, s", "first sync, MB", "nothing to do, MB"],
        rows=[
            [
                f"{one.size:,}",
                f"{one.first.seconds:.1f}",
                spread([ran.seconds for ran in one.again]),
                f"{one.first.peak / 1e6:.0f}",
                spread([ran.peak / 1e6 for ran in one.again], 0),
            ]
            for one in grown
        ],
        limits=limits,
        notes=notes if options.full else [*notes, f"{FULL[0]:,} references are measured by `--full`"],
    )


def _again(grown: _Grown) -> float:
    return statistics.median(ran.seconds for ran in grown.again)


def _grow(site: Path, size: int, connect_to: Sequence[str], rounds: int) -> _Grown:
    site.mkdir()
    configure(site, [4])
    for path, text in _articles(size):
        file = site / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    first, _ = sync(site, connect_to)
    sync(site, [])  # the first one warms the file system's cache
    again = []
    for _ in range(rounds):
        ran, summary = sync(site, [])
        if summary["fetched"] or summary["flags_set"] or summary["references"] != size:
            raise Skipped(f"the site was synced just now, and a sync still finds something to do: {summary}")
        again.append(ran)
    return _Grown(size, first, again)


def _articles(size: int) -> Iterator[tuple[str, str]]:
    images = min(IMAGES, size)
    for number in range(size // PER_ARTICLE):
        chosen = [(number * PER_ARTICLE + one) % images for one in range(PER_ARTICLE)]
        named = [(f"http://h{one % HOSTS}.example/{one}.jpg", 8, 8) for one in chosen]
        yield f"{number // 500:04}/2026-01-01-{number:06}.md", article(named)


def _draw(folder: Path, grown: Sequence[_Grown], line: tuple[float, float]) -> str:
    """Draw docs/growth.svg, and say what became of it."""
    points = {"sizes": [one.size for one in grown], "seconds": [_again(one) for one in grown], "line": line}
    (folder / "points.json").write_text(json.dumps(points), encoding="utf-8")
    try:
        plotter = python_with("plot", "matplotlib==3.10.*")
        measure([plotter, str(SCRIPTS / "bench_by_matplotlib.py"), str(folder / "points.json"), str(_PLOT)])
    except Skipped as reason:
        return f"no plot: {reason}"
    return f"![seconds by references, with the line]({_PLOT.name})"
