"""Job `audit`: an audit of 5,000 images on 50 hosts over loopback, beside linkinator on the same images."""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import urllib.request
from pathlib import Path

from bench_origin import IMAGES, photo_urls
from bench_process import Ran, fresh, in_turn, lean_origin, measure, node_versions, node_with, write_articles
from bench_report import Limit, Section, Skipped, spread

PER_ARTICLE = 10
CLIENT, SERVER = "0", "1"  # the cores that they are pinned to
PEER, PEER_VERSION = "linkinator", "7.6.1"  # the last one that runs on Node.js 20
AT_ONCE = 100  # requests under way, of either


def run(options: argparse.Namespace) -> Section:
    """Run both `--rounds` times in turn, on one core, the origin on the other."""
    most: list[float] = []
    notes: list[str] = []
    folder = node_with(PEER, PEER_VERSION, notes)
    with lean_origin("photos", core=SERVER) as port:
        ways = {"imgcache audit": functools.partial(_audit, port, most)}
        if folder:
            ways[PEER] = functools.partial(_linkinator, port, folder)
        runs = in_turn(ways, options.rounds)
    rates = {name: [IMAGES / ran.seconds for ran in these] for name, these in runs.items()}
    memory = {name: spread([ran.peak / 1e6 for ran in these], 0) for name, these in runs.items()}
    ours = statistics.median(rates["imgcache audit"])
    limits = [Limit("images/s", ours, 1_200, at_least=True), Limit("bytes read of any image", max(most), 40_960)]
    if PEER in rates:
        limits.append(Limit(f"times {PEER}", ours / statistics.median(rates[PEER]), 1, at_least=True))
    return Section(
        columns=["", "images/s", "most bytes read of an image", "MB of memory"],
        rows=[
            [name, spread(found, 0), f"{max(most):,.0f}" if name != PEER else "–", memory[name]]
            for name, found in rates.items()
        ],
        limits=limits,
        notes=notes,
        versions=node_versions(folder, PEER) if folder else [],
    )


def _audit(port: int, most: list[float]) -> Ran:
    """Adds the most bytes that were sent of an image to `most`."""
    site = fresh("audit/site")
    fetch = {"concurrency": AT_ONCE, "per_host": AT_ONCE}
    settings = {"allow_networks": ["127.0.0.0/8"], "fetch": fetch}
    (site / "imgcache.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    write_articles(site, photo_urls(port), PER_ARTICLE)
    ran = measure(_pinned(sys.executable, "-m", "imgcache", "audit", str(site), "--json", "-q"), expect=(0, 1))
    summary = json.loads(ran.output)["summary"]
    if (summary["images"], summary["ok"]) != (IMAGES, IMAGES):
        raise Skipped(f"the audit does not find all images well: {summary}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/most") as answer:
        most.append(float(answer.read()))
    return ran


def _linkinator(port: int, folder: Path) -> Ran:
    page = f"http://127.0.0.1:{port}/page.html"
    program, report = folder / "node_modules" / ".bin" / PEER, folder / "report.json"
    command = ("node", str(program), page, "--concurrency", str(AT_ONCE), "--format", "json")
    ran = measure(_pinned("sh", "-c", 'exec "$@" >"$0"', str(report), *command))  # it ends before a pipe has taken all
    good = sum(link["status"] == 200 for link in json.loads(report.read_text(encoding="utf-8"))["links"])
    if good != IMAGES + 1:
        raise Skipped(f"{PEER} finds {good:,} links well, and there are {IMAGES + 1:,}")
    return ran


def _pinned(*command: str) -> list[str]:
    return ["taskset", "-c", CLIENT, *command]
