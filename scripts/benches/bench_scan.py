"""Job `scan`: reading the real articles with nothing remembered.

Each scan is a process of its own, which is given a site and an empty folder, and prints {"articles": A, "references":
R, "seconds": S}: those of the scan alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import statistics
import sys
import time
from pathlib import Path

import yaml
from bench_process import fresh, measure, shared, watched
from bench_report import Limit, Section, spread

from imgcache.cache import Catalogue
from imgcache.cli.job import collect_garbage_rarely
from imgcache.config import Config
from imgcache.scanner import Scanner, Site, layout_of

COPIES = 54
ARTICLES = 8000  # a second: what is asked for, where `yaml.compose` does 13,000 over Markdown of 1.6 KB
SHARE = ARTICLES / 13_000
LEFT_OUT = {"Markdown": ("assets", "_config.yml", "*.html"), "Markdown and newsletters": ("assets", "_config.yml")}
_HEAD = re.compile(rb"---[ \t]*\r?\n(.*?\n)---[ \t]*\r?\n", re.DOTALL)


class _Site:
    """Copies of the real site without what is `left_out`, and what was measured of them."""

    def __init__(self, name: str, left_out: tuple[str, ...]) -> None:
        self.name = name
        self._root = fresh(f"scan/{name}")
        for number in range(COPIES):
            shutil.copytree(shared() / "site", self._root / f"copy{number}", ignore=shutil.ignore_patterns(*left_out))
        shutil.copyfile(shared() / "site" / "_config.yml", self._root / "_config.yml")
        files = [path for ending in ("md", "html") for path in self._root.rglob(f"*.{ending}")]
        self.articles, self.size = len(files), sum(path.stat().st_size for path in files)
        self._heads = [found[1] for path in files if (found := _HEAD.match(path.read_bytes()))]
        with watched() as memory:  # which takes time of its own; this run also warms the file system's cache
            self.references = self._scan()["references"]
        self.memory = memory.peak
        self.rates: list[float] = []
        self.alone: list[float] = []

    def measure(self) -> None:
        """One scan, and what any reader built on libyaml has to do at least: how fast this machine is."""
        said = self._scan()
        self.rates.append(said["articles"] / said["seconds"])
        begin = time.perf_counter()
        for head in self._heads:
            yaml.compose(head, yaml.CSafeLoader)
        self.alone.append(len(self._heads) / (time.perf_counter() - begin))

    def _scan(self) -> dict[str, float]:
        command = [sys.executable, __file__, str(self._root), str(fresh("scan/cache"))]
        return dict(json.loads(measure(command).output))

    def row(self) -> list[str]:
        """For the table."""
        amount = f"{self.articles:,} articles, {self.size / 1e6:.1f} MB, {self.references:,.0f} references"
        megabytes = statistics.median(self.rates) * self.size / self.articles / 1e6
        figures = [spread(self.rates, 0), f"{megabytes:.0f}", f"{self.memory / 1e6:.0f}", spread(self.alone, 0)]
        return [f"{self.name}: {amount}", *figures]


def run(options: argparse.Namespace) -> Section:
    """Scan copies of the real site into an empty catalogue."""
    sites = [_Site(name, left_out) for name, left_out in LEFT_OUT.items()]
    for _ in range(options.rounds):  # in turn, for the pace of a rented machine changes within a minute
        for site in sites:
            site.measure()
    rate = {site.name: statistics.median(site.rates) for site in sites}
    *_, whole = sites
    ratio = rate[whole.name] / statistics.median(whole.alone)
    return Section(
        columns=["", "articles/s", "MB/s", "MB of memory", "`yaml.compose` alone, a second"],
        rows=[site.row() for site in sites],
        limits=[
            Limit("Markdown articles/s", rate["Markdown"], ARTICLES, at_least=True),
            Limit("articles/s with newsletters, against `yaml.compose` alone", ratio, SHARE, "times", at_least=True),
        ],
    )


def main() -> None:
    """What the process of one scan does."""
    site, cache = map(Path, sys.argv[1:])
    collect_garbage_rarely()  # as every command does
    config = Config()
    scanner = Scanner(
        Site(site, None, layout_of(site)), articles=config.articles, exclude=(), flag=config.flag, cache=cache
    )
    with contextlib.closing(Catalogue(cache / "catalogue.db", "bench")) as catalogue:
        begin = time.perf_counter()
        scan = scanner.scan(catalogue)
        references = catalogue.articles.counts()["references"]
        seconds = time.perf_counter() - begin
    print(json.dumps({"articles": scan.read, "references": references, "seconds": seconds}))


if __name__ == "__main__":
    main()
