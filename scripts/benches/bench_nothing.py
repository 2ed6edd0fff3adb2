"""Job `nothing`: a sync of a large site in which everything is held already."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from bench_process import WORK, article, configure, fresh, origin, sync
from bench_report import Limit, Section, Skipped, spread

ARTICLES = 20_000
PER_ARTICLE = 5
IMAGES = 20_000
HOSTS = 20


def run(options: argparse.Namespace) -> Section:
    """Measure on the state of an earlier run where it is still good, else build it first."""
    site = WORK / "nothing" / "site"
    built = ""
    if not (site / "cache" / "manifest.json").is_file():
        built = _build()
    runs = []
    for number in range(options.rounds + 1):
        ran, summary = sync(site, [])
        if summary["fetched"] or summary["references"] != ARTICLES * PER_ARTICLE or summary["flags_set"]:
            if built:
                raise Skipped(f"the site was synced just now, and a sync still finds something to do: {summary}")
            built = _build()
            ran, summary = sync(site, [])
        if number:  # the first one warms the file system's cache
            runs.append(ran)
    seconds, peaks = [ran.seconds for ran in runs], [ran.peak / 1e6 for ran in runs]
    return Section(
        title="A sync that has nothing to do",
        text=f"{ARTICLES * PER_ARTICLE:,} references in {ARTICLES:,} articles to {IMAGES:,} images on {HOSTS} hosts"
        " (JPEG of 8 × 8, drawn by the origin, one variant), all held; the whole process, and the peak of its resident"
        " memory.",
        columns=["", "seconds", "MB"],
        rows=[["imgcache sync", spread(seconds), spread(peaks, 0)]],
        limits=[Limit("wall time", sorted(seconds)[len(seconds) // 2], 3, "s"), Limit("memory", max(peaks), 300, "MB")],
        notes=[built] if built else [],
    )


def _build() -> str:
    """Make the site, sync it once, and tell what that took."""
    site = fresh("nothing/site")
    configure(site, [4])
    draw = random.Random(1)
    order = list(range(IMAGES)) + [draw.randrange(IMAGES) for _ in range(ARTICLES * PER_ARTICLE - IMAGES)]
    draw.shuffle(order)
    for number in range(ARTICLES):
        chosen = order[number * PER_ARTICLE : (number + 1) * PER_ARTICLE]
        path = site / f"{number // 500:02}" / f"2026-01-01-{number:05}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            article([(f"http://h{one % HOSTS}.example/{one}.jpg", 8, 8) for one in chosen]), encoding="utf-8"
        )
    answers = site.parent / "answers.yml"
    write_answers(answers, HOSTS)
    print("  building the site once; this takes minutes", flush=True)
    with origin("--answers", str(answers)) as said:
        ran, summary = sync(site, said["connect_to"])
    return (
        f"the first sync, from nothing: {summary['fetched']:,} images in {ran.seconds:.0f} s, {ran.peak / 1e6:.0f} MB"
    )


def write_answers(path: Path, hosts: int) -> None:
    """Answers for `hosts` hosts h0.example, h1.example…: whatever is asked for is an image of 8 × 8."""
    path.write_text("".join(f'"http://h{one}.example/*": {{size: [8, 8]}}\n' for one in range(hosts)), encoding="utf-8")
