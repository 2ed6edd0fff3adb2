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
from bench_peers import watched
from bench_process import fresh, measure, shared
from bench_report import Limit, Section, spread

from imgcache.catalogue import Catalogue
from imgcache.cli.running import collect_seldom
from imgcache.config import Config
from imgcache.scanner import Scanner
from imgcache.site import Site

COPIES = 54
ARTICLES, ALONE = 8000, 13_000  # a second: what is asked for, on a machine that composes so much YAML
_HEAD = re.compile(rb"---[ \t]*\r?\n(.*?\n)---[ \t]*\r?\n", re.DOTALL)


def run(options: argparse.Namespace) -> Section:
    """Scan copies of the real site into an empty catalogue."""
    site = fresh("scan/site")
    for number in range(COPIES):
        shutil.copytree(
            shared() / "site", site / f"copy{number}", ignore=shutil.ignore_patterns("assets", "_config.yml")
        )
    shutil.copyfile(shared() / "site" / "_config.yml", site / "_config.yml")
    command = [sys.executable, __file__, str(site)]
    with watched() as memory:  # which takes time of its own; this run also warms the file system's cache
        said = json.loads(measure([*command, str(fresh("scan/cache"))]).output)
    heads = [found[1] for path in site.rglob("*.md") if (found := _HEAD.match(path.read_bytes()))]
    rates, alone = [], []
    for _ in range(options.rounds):  # in turn, for the pace of a rented machine changes within a minute
        said = json.loads(measure([*command, str(fresh("scan/cache"))]).output)
        rates.append(said["articles"] / said["seconds"])
        alone.append(_yaml_alone(heads))
    size = sum(path.stat().st_size for ending in ("md", "html") for path in site.rglob(f"*.{ending}"))
    return Section(
        title="Reading articles with nothing remembered",
        text=f"{said['articles']:,} articles ({COPIES} copies of a real Jekyll site, {size / 1e6:.1f} MB,"
        f" {said['references']:,} references): walked, read, front matter and body parsed, and recorded in a new"
        " catalogue on disk, with one helper process for each further core, whose start counts. The memory is that of"
        " all processes together.",
        columns=["", "articles/s", "MB of memory"],
        rows=[
            ["scan", spread(rates, 0), f"{memory.peak / 1e6:.0f}"],
            ["`yaml.compose` of the front matter alone", spread(alone, 0), "–"],
        ],
        limits=[
            Limit("articles/s", statistics.median(rates), ARTICLES, at_least=True),
            Limit(
                "articles/s against `yaml.compose` of the front matter alone",
                statistics.median(rates) / statistics.median(alone),
                ARTICLES / ALONE,
                "times",
                at_least=True,
            ),
        ],
        notes=[f"{ARTICLES:,} articles/s were asked for where `yaml.compose` does {ALONE:,}: hence the second limit"],
    )


def _yaml_alone(heads: list[bytes]) -> float:
    """Articles a second of what any reader built on libyaml has to do at least: how fast this machine is."""
    begin = time.perf_counter()
    for head in heads:
        yaml.compose(head, yaml.CSafeLoader)
    return len(heads) / (time.perf_counter() - begin)


def main() -> None:
    """What the process of one scan does."""
    site, cache = map(Path, sys.argv[1:])
    collect_seldom()  # as every command does
    config = Config()
    scanner = Scanner(Site(site, None), articles=config.articles, exclude=(), flag=config.flag, cache=cache)
    with contextlib.closing(Catalogue(cache / "catalogue.db", "bench")) as catalogue:
        begin = time.perf_counter()
        scan = scanner.scan(catalogue)
        references = catalogue.counts()["references"]
        seconds = time.perf_counter() - begin
    print(json.dumps({"articles": scan.read, "references": references, "seconds": seconds}))


if __name__ == "__main__":
    main()
