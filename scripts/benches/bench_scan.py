"""Job `scan`: reading the real articles with nothing remembered."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import statistics
import time
from pathlib import Path

import yaml
from bench_process import fresh, shared
from bench_report import Limit, Section, spread

from imgcache.catalogue import Catalogue
from imgcache.config import Config
from imgcache.scanner import Scanner
from imgcache.site import Site

COPIES = 54
_HEAD = re.compile(rb"---[ \t]*\r?\n(.*?\n)---[ \t]*\r?\n", re.DOTALL)


def run(options: argparse.Namespace) -> Section:
    """Scan copies of the real site into an empty catalogue, in this process."""
    site = fresh("scan/site")
    for number in range(COPIES):
        shutil.copytree(
            shared() / "site", site / f"copy{number}", ignore=shutil.ignore_patterns("assets", "_config.yml")
        )
    shutil.copyfile(shared() / "site" / "_config.yml", site / "_config.yml")
    rates, articles, references = [], 0, 0
    for number in range(options.rounds + 1):
        articles, references, seconds = _scan(site, fresh("scan/cache"))
        if number:  # the first one warms the file system's cache
            rates.append(articles / seconds)
    size = sum(path.stat().st_size for path in site.rglob("*.md"))
    return Section(
        title="Reading articles with nothing remembered",
        text=f"{articles:,} articles ({COPIES} copies of a real Jekyll site, {size / 1e6:.1f} MB, {references:,}"
        " references): walked, read, front matter and body parsed, and recorded in a new catalogue on disk, with"
        " one helper process for each further core, whose start counts.",
        columns=["", "articles/s"],
        rows=[["scan", spread(rates, 0)], ["`yaml.compose` of the front matter alone", spread(_yaml_alone(site), 0)]],
        limits=[Limit("articles/s", statistics.median(rates), 8000, at_least=True)],
    )


def _yaml_alone(site: Path) -> list[float]:
    """Articles a second of what any reader built on libyaml has to do at least: how fast this machine is."""
    heads = [found[1] for path in site.rglob("*.md") if (found := _HEAD.match(path.read_bytes()))]
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        for head in heads:
            yaml.compose(head, yaml.CSafeLoader)
        rates.append(len(heads) / (time.perf_counter() - begin))
    return rates


def _scan(site: Path, cache: Path) -> tuple[int, int, float]:
    """Articles read, references found, and the seconds that it took."""
    config = Config()
    scanner = Scanner(Site(site, None), articles=config.articles, exclude=(), flag=config.flag, cache=cache)
    with contextlib.closing(Catalogue(cache / "catalogue.db", "bench")) as catalogue:
        begin = time.perf_counter()
        scan = scanner.scan(catalogue)
        return scan.read, catalogue.counts()["references"], time.perf_counter() - begin
