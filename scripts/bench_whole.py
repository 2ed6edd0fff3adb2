"""Job `whole`: a first sync of real photographs over loopback, beside eleventy-img doing the same."""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench_process import ROOT, WORK, Ran, article, configure, fresh, measure, origin, shared, sync
from bench_report import Limit, Section, Skipped, spread
from PIL import Image

WIDTHS = (320, 640, 1280)
PEER = "@11ty/eleventy-img"
PEER_VERSION = "7.0.0"
HOST = "photos.example"


def run(options: argparse.Namespace) -> Section:
    """Run each way `--rounds` times in turn, from a cold cache each time."""
    photos = shared() / "images" / "photos"
    sizes = {path.name: _displayed(path) for path in sorted(photos.iterdir())}
    rates: dict[str, list[float]] = defaultdict(list)
    written: dict[str, list[int]] = defaultdict(list)
    with origin("--folder", str(photos), "--host", HOST, "--host", "127.0.0.1") as said:
        ways: dict[str, Callable[[], tuple[Ran, int, int]]] = {"imgcache": functools.partial(_imgcache, said, sizes)}
        note = _add_peer(ways, said, sizes)
        for _ in range(options.rounds):
            for name, way in ways.items():
                ran, images, size = way()
                rates[name].append(images / ran.seconds)
                written[name].append(size)
                print(f"  {name}: {images} images in {ran.seconds:.2f} s, {size / 1e6:.2f} MB", flush=True)
    rows = [[name, spread(rates[name], 1), f"{statistics.median(written[name]) / 1e6:.2f}"] for name in ways]
    return Section(
        title="A first sync of real photographs",
        text=f"{len(sizes)} photographs and graphics ({sum(p.stat().st_size for p in photos.iterdir()) / 1e6:.0f} MB)"
        f" fetched from another process on loopback, WebP quality 80, effort 4, at {', '.join(map(str, WIDTHS))} pixels"
        " wide and never enlarged; each run from a cold cache, the whole process timed from start to end.",
        columns=["", "images/s", "MB of WebP"],
        rows=rows,
        limits=_limits(rates, written),
        notes=[note],
        versions=_peer_versions(),
    )


def _limits(rates: dict[str, list[float]], written: dict[str, list[int]]) -> list[Limit]:
    peers = [name for name in rates if "same widths" in name]
    if not peers:
        return []
    best = max(peers, key=lambda name: statistics.median(rates[name]))
    faster = statistics.median(rates["imgcache"]) / statistics.median(rates[best])
    larger = statistics.median(written["imgcache"]) / statistics.median(written[best])
    return [
        Limit(f"images/s against the best of {PEER} at the same widths ({best})", faster, 1.15, "times", at_least=True),
        Limit("bytes of WebP against it", larger, 1.05, "times"),
    ]


def _displayed(path: Path) -> tuple[int, int]:
    """Width and height after EXIF orientation."""
    with Image.open(path) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(0x0112, 1) >= 5 else (width, height)


def _imgcache(said: dict[str, Any], sizes: dict[str, tuple[int, int]]) -> tuple[Ran, int, int]:
    site = fresh("whole/site")
    configure(site, WIDTHS)
    for number, (name, size) in enumerate(sizes.items()):
        (site / f"{number:03}.md").write_text(article([(f"http://{HOST}/{quote(name)}", *size)]), encoding="utf-8")
    ran, summary = sync(site, said["connect_to"], expect=(0, 1))
    images = json.loads((site / "cache" / "manifest.json").read_text())["images"]
    made = {variant["path"]: variant["bytes"] for one in images.values() for variant in one["variants"]}
    for problem in summary["problems"]:
        if problem["severity"] == "error":
            print(f"  imgcache: {problem['code']}: {problem['message']}")
    return ran, len(images), sum(made.values())


def _add_peer(
    ways: dict[str, Callable[[], tuple[Ran, int, int]]], said: dict[str, Any], sizes: dict[str, tuple[int, int]]
) -> str:
    """Add eleventy-img, two at a time and as many as it likes; return a note about it."""
    folder = WORK / "eleventy-img"
    try:
        _install(folder)
    except (Skipped, OSError) as reason:
        return f"{PEER} {PEER_VERSION} took no part: {reason}"
    urls = [f"http://127.0.0.1:{said['http']}/{quote(name)}" for name in sizes]
    for concurrency, threshold in ((2, 1.0), (0, 1.0), (0, 1.25)):
        widths = "same widths" if threshold == 1.0 else "its own choice of widths"
        name = f"{PEER}, {'2 at once' if concurrency else 'default concurrency'}, {widths}"
        ways[name] = functools.partial(_eleventy, folder, urls, concurrency, threshold)
    return (
        f"{PEER} leaves out an image's own width where that is less than 1.25 times the next smaller one"
        " (`minimumThreshold`), and so makes fewer files; with 1.0 it makes the same widths as imgcache, and the limits"
        " compare these. It starts from empty folders too. Checking declared sizes, flushing to disk and recording"
        " digests, which it does not do, are in imgcache's time."
    )


def _install(folder: Path) -> None:
    if not (folder / "node_modules" / PEER).is_dir():
        if not shutil.which("npm"):
            raise Skipped("npm is not here")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n')
        measure(["npm", "install", "--no-audit", "--no-fund", "--save-exact", f"{PEER}@{PEER_VERSION}"], cwd=folder)


def _eleventy(folder: Path, urls: list[str], concurrency: int, threshold: float) -> tuple[Ran, int, int]:
    work = fresh("whole/eleventy")
    script = folder / "run.mjs"
    script.write_text((ROOT / "scripts" / "bench_eleventy.mjs").read_text())
    job = {"urls": urls, "widths": WIDTHS, "concurrency": concurrency, "threshold": threshold, "folder": str(work)}
    ran = measure(["node", str(script), json.dumps(job)], cwd=folder)
    return ran, int(json.loads(ran.output)["images"]), sum(path.stat().st_size for path in (work / "img").iterdir())


def _peer_versions() -> list[str]:
    modules = WORK / "eleventy-img" / "node_modules"
    found = [(name, modules / name / "package.json") for name in (PEER, "sharp")]
    return [f"{name} {json.loads(path.read_text())['version']}" for name, path in found if path.is_file()]
