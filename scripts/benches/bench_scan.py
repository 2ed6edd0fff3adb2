"""Job `scan`: reading the articles of real sites with nothing remembered.

Each scan is a process of its own, which is given a site and an empty folder, and prints {"articles": A, "references":
R, "seconds": S}: those of the scan alone.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import re
import shutil
import statistics
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml
from bench_process import fresh, measure, shared, watched
from bench_report import Limit, Section, spread

from imgcache.cache import Catalogue
from imgcache.cli.job import collect_garbage_rarely
from imgcache.config import Config
from imgcache.scanner import Scanner, Site, layout_of

ARTICLES = 8000  # a second: what is asked for, where `yaml.compose` does 13,000 over Markdown of 1.6 KB
SHARE = ARTICLES / 13_000
MARKDOWN_SHARE = 1.6  # what is asked for
_YAML = re.compile(rb"---[ \t]*\r?\n(.*?\n)---[ \t]*\r?\n", re.DOTALL)
_COMPOSE = functools.partial(yaml.compose, Loader=yaml.CSafeLoader)
_TOML = re.compile(rb"\+\+\+[ \t]*\r?\n(.*?\n)\+\+\+[ \t]*\r?\n", re.DOTALL)


class _Kind(NamedTuple):
    """Articles to read, and what any reader has to do with their front matter at least.

    `make` writes them into a folder. `parse` is given what `head` finds.
    """

    name: str
    make: Callable[[Path], None]
    head: re.Pattern[bytes]
    parse: Callable[[bytes], object]


def _copy_site(root: Path, *left_out: str) -> None:
    """Copy the real site, without the names that are `left_out`."""
    for number in range(54):
        shutil.copytree(shared() / "site", root / f"copy{number}", ignore=shutil.ignore_patterns(*left_out))
    shutil.copyfile(shared() / "site" / "_config.yml", root / "_config.yml")


def _write_toml(root: Path) -> None:
    """Write articles as Hugo has them, with front matter as long as that of the real site."""
    for number in range(10_000):
        images = "".join(
            f'[[images]]\nurl = "https://pictures.example/{number}/{one}.jpg"\nwidth = 1200\nheight = 800\n'
            for one in range(4)
        )
        text = f"""+++
title = 'A walk along the cliffs, part {number}'
date = 2026-05-17T08:30:00+02:00
draft = false
tags = ['cliffs', 'sea', 'walks']
description = "The path is dry all year, and there is shade in the afternoon near the old mill."
[cover]
image = "https://pictures.example/{number}/cover.png"
alt = "The old mill"
[author]
name = "A. Writer"
url = "https://people.example/writer"
{images}+++
"""
        (root / f"{number // 500:03}").mkdir(exist_ok=True)
        (root / f"{number // 500:03}/{number:05}.md").write_text(text + "The path along the cliffs is dry.\n" * 20)


KINDS = (
    _Kind("Markdown", lambda root: _copy_site(root, "assets", "_config.yml", "*.html"), _YAML, _COMPOSE),
    _Kind("Markdown and newsletters", lambda root: _copy_site(root, "assets", "_config.yml"), _YAML, _COMPOSE),
    _Kind("Markdown with TOML", _write_toml, _TOML, lambda head: tomllib.loads(head.decode())),
)


class _Site:
    """Articles of one kind, and what was measured of them."""

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self._root = fresh(f"scan/{kind.name}")
        kind.make(self._root)
        files = [path for ending in ("md", "html") for path in self._root.rglob(f"*.{ending}")]
        self.size = sum(path.stat().st_size for path in files)
        self._heads = [found[1] for path in files if (found := kind.head.match(path.read_bytes()))]
        with watched() as memory:  # which takes time of its own; this run also warms the file system's cache
            first = self._scan()
        self.articles, self.references, self.memory = first["articles"], first["references"], memory.peak
        self.rates: list[float] = []
        self.alone: list[float] = []

    def measure(self) -> None:
        """One scan, and the parser alone: how fast this machine is."""
        found = self._scan()
        self.rates.append(found["articles"] / found["seconds"])
        begin = time.perf_counter()
        for head in self._heads:
            self.kind.parse(head)
        self.alone.append(len(self._heads) / (time.perf_counter() - begin))

    @property
    def ratio(self) -> float:
        """How many articles are read in the time in which the parser alone reads one."""
        return statistics.median(rate / alone for rate, alone in zip(self.rates, self.alone, strict=True))

    def _scan(self) -> dict[str, float]:
        command = [sys.executable, __file__, str(self._root), str(fresh("scan/cache"))]
        return dict(json.loads(measure(command).output))

    def row(self) -> list[str]:
        """For the table."""
        amount = f"{self.articles:,.0f} articles, {self.size / 1e6:.1f} MB, {self.references:,.0f} references"
        megabytes = statistics.median(self.rates) * self.size / self.articles / 1e6
        figures = [spread(self.rates, 0), f"{megabytes:.0f}", f"{self.memory / 1e6:.0f}", spread(self.alone, 0)]
        return [f"{self.kind.name}: {amount}", *figures]


def run(options: argparse.Namespace) -> Section:
    """Scan the articles of each kind, each time into an empty catalogue."""
    sites = [_Site(kind) for kind in KINDS]
    for _ in range(options.rounds):  # in turn, for the pace of a rented machine changes within a minute
        for site in sites:
            site.measure()
    markdown, mixed, toml = sites
    return Section(
        columns=["", "articles/s", "MB/s", "MB of memory", "the parser alone, a second"],
        rows=[site.row() for site in sites],
        limits=[
            Limit("Markdown articles/s", statistics.median(markdown.rates), ARTICLES, at_least=True),
            Limit("Markdown articles against `yaml.compose`", markdown.ratio, MARKDOWN_SHARE, "times", at_least=True),
            Limit("with newsletters, against `yaml.compose`", mixed.ratio, SHARE, "times", at_least=True),
        ],
        notes=[
            "The parser alone is `yaml.compose` of the front matter, by libyaml; for TOML it is `tomllib.loads`.",
            f"Articles with TOML, which are generated, are read {toml.ratio:.2f} times as fast as it parses them.",
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
