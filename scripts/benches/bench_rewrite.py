"""Job `rewrite`: pages made local: their rate, a run with nothing to do, memory, and the whole job beside jampack.

Pages are articles of 20 KB with six images each, from a set of images that the cache holds. The whole job begins with
an empty cache and fetches photographs from an origin on this machine. jampack gets the same pages and photographs, and
is stopped after 15 times as long.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bench_pictures import copies, pictures
from bench_process import Ran, article, fresh, measure, node_versions, node_with, origin, sync, watched
from bench_report import Limit, Section, Skipped, spread

JAMPACK = ("@divriots/jampack", "0.34.1")
MANY = 10_000  # pages
HELD, IN_PAGE, BYTES = 60, 6, 20_000  # images held, images in a page, bytes of a page
JOB_PAGES, JOB_PHOTOS = 150, 780
STOPPED_AFTER = 15  # times the time that imgcache takes: a longer run of the other only raises the figure
HOST = "photos.example"
_WORDS = "the path along cliffs is dry all year and there is shade in the afternoon near an old mill by the river"
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Page {number}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>main {{ max-width: 720px; margin: auto }} img {{ max-width: 100%; height: auto }}</style></head>
<body><header><nav><a href="/">Home</a> <a href="/about/">About</a></nav></header><main><h1>Page {number}</h1>
"""


def run(options: argparse.Namespace) -> Section:
    """Each job `--rounds` times, from the same state."""
    rows: list[list[str]] = []
    limits: list[Limit] = []
    site = fresh("rewrite/site")
    urls = _fill_cache(site)
    rates, idle, peaks = [], [], []
    for _ in range(options.rounds):
        ran, peak = _first_run(site, urls, MANY)
        rates.append(MANY / ran.seconds)
        again = _rewrite(site, "--offline")
        idle.append(again.seconds)
        peaks.append(peak)
        print(f"  {rates[-1]:,.0f} pages/s; {MANY:,} pages in {ran.seconds:.1f} s, again {idle[-1]:.2f} s", flush=True)
    small = [_first_run(site, urls, MANY // 10)[1] for _ in range(options.rounds)]
    rows += [
        ["pages with everything held", f"{MANY:,}", f"{spread(rates, 0)} pages/s", ""],
        ["nothing to do", f"{MANY:,}", f"{spread(idle)} s", ""],
        ["memory, all processes", f"{MANY // 10:,}", "", f"{spread([one / 1e6 for one in small], 0)} MB"],
        ["memory, all processes", f"{MANY:,}", "", f"{spread([one / 1e6 for one in peaks], 0)} MB"],
    ]
    limits += [
        Limit("pages of 20 KB with everything held", statistics.median(rates), 1500, "pages/s", True),
        Limit(f"{MANY:,} pages with nothing to do", statistics.median(idle), 4, "s"),
        Limit(f"memory with {MANY:,} pages", statistics.median(peaks) / 1e6, 200, "MB"),
    ]
    notes, versions = _beside_jampack(options, rows, limits)
    return Section(["", "pages", "", "memory"], rows, limits, notes, versions)


def _fill_cache(site: Path) -> list[str]:
    """Makes a site that holds some photographs in three widths; returns their URLs."""
    urls = [f"http://{HOST}/{number}.jpg" for number in range(HELD)]
    _configure(site, effort=0)
    (site / "a.md").write_text(article([(url, 1600, 1200) for url in urls]), encoding="utf-8")
    with origin(str(site)) as said:
        sync(site, said["connect_to"])
    return urls


def _configure(site: Path, effort: int) -> None:
    variants = [{"name": f"w{one}", "width": one, "format": "webp", "effort": effort} for one in (320, 640, 1280)]
    settings = {"site_url": "https://site.example", "variants": variants}
    (site / "imgcache.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML


def _first_run(site: Path, urls: Sequence[str], count: int) -> tuple[Ran, int]:
    """Rewrites freshly built pages; returns the run and the peak of memory of all its processes together."""
    built = site / "_site"
    shutil.rmtree(built, ignore_errors=True)
    for number in range(count):
        path = built / f"{number // 500:03}" / f"page-{number:06}" / "index.html"
        path.parent.mkdir(parents=True)
        path.write_text(_page(number, [urls[(number * IN_PAGE + one) % len(urls)] for one in range(IN_PAGE)]))
    with watched() as memory:
        ran = _rewrite(site, "--offline")
    return ran, memory.peak


def _page(number: int, urls: Sequence[str]) -> str:
    chance, words = random.Random(number), _WORDS.split()
    parts = [_HEAD.format(number=number)]
    share = BYTES // (len(urls) + 1)
    for url in [*urls, ""]:
        length = 0
        while length < share:
            paragraph = f'<p>{" ".join(chance.choices(words, k=60))}, <a href="/more/">and more</a>.</p>\n'
            parts.append(paragraph)
            length += len(paragraph)
        if url:
            parts.append(f'<figure><img src="{url}" alt="A photograph"><figcaption>A place</figcaption></figure>\n')
    return "".join([*parts, "</main></body></html>\n"])


def _rewrite(site: Path, *words: str, expect: Sequence[int] = (0,)) -> Ran:
    command = [sys.executable, "-m", "imgcache", "rewrite", str(site / "_site"), str(site), "-q", *words]
    return measure(command, expect=expect)


# -- beside jampack ----------------------------------------------------------------------------------------------------


def _beside_jampack(
    options: argparse.Namespace, rows: list[list[str]], limits: list[Limit]
) -> tuple[list[str], list[str]]:
    """Adds the whole job of both to `rows` and `limits`; returns notes and versions."""
    notes: list[str] = []
    folder = node_with(*JAMPACK, notes)
    if folder is None:
        return notes, []
    found = list(copies(pictures(options), -(-JOB_PHOTOS // 84), fresh("rewrite/photos")))
    count = options.pictures or JOB_PHOTOS
    found, pages = found[:count], max(1, JOB_PAGES * count // JOB_PHOTOS)
    with origin("--folder", str(found[0].path.parent), "--host", HOST, "--host", "127.0.0.1") as said:
        names = [quote(one.path.name) for one in found]
        ours = _whole_job([f"http://{HOST}/{name}" for name in names], pages, said["connect_to"])
        theirs, left = _jampack(folder, [f"http://127.0.0.1:{said['http']}/{name}" for name in names], pages, ours)
    was_stopped = theirs.seconds >= STOPPED_AFTER * ours
    rows.append([f"imgcache rewrite, nothing held: {len(names)} photographs", str(pages), f"{ours:.1f} s", ""])
    took = f"over {theirs.seconds:.0f} s" if was_stopped else f"{theirs.seconds:.1f} s"
    rows.append([f"{JAMPACK[0]}: {len(names)} photographs", str(pages), took, ""])
    what = f"pace of the whole job against {JAMPACK[0]}"
    if was_stopped:
        what += ", at least"
        notes.append(
            f"{JAMPACK[0]} was stopped after {theirs.seconds:.0f} s, {STOPPED_AFTER} times what imgcache took, with"
            f" {left} of {len(names)} photographs still on their host in the pages: its figure is a lower limit."
        )
    limits.append(Limit(what, theirs.seconds / ours, 10, "times", True))
    return notes, node_versions(folder, JAMPACK[0], "sharp")


def _whole_job(urls: Sequence[str], pages: int, connect_to: Sequence[str]) -> float:
    site = fresh("rewrite/whole")
    _configure(site, effort=4)
    _build(site / "_site", urls, pages)
    return _rewrite(site, *connect_to, expect=(0, 1)).seconds


def _jampack(folder: Path, urls: Sequence[str], pages: int, ours: float) -> tuple[Ran, int]:
    """Runs jampack on fresh pages; returns the run, and how many addresses it left in them."""
    work = fresh("rewrite/jampack")
    _build(work / "_site", urls, pages)
    settings = "export default { image: { external: { process: 'download', src_include: /.*/ } } };\n"
    (work / "jampack.config.js").write_text(settings, encoding="utf-8")
    (work / "package.json").write_text('{"type": "module"}\n', encoding="utf-8")
    program = folder / "node_modules" / ".bin" / "jampack"
    stopped = ["timeout", "--signal=KILL", str(STOPPED_AFTER * ours)]  # with the processes that it started
    ran = measure([*stopped, str(program), "pack", "_site", "--nocache"], cwd=work, expect=(0, 137, -9))
    left = sum(page.read_text().count("http://127.0.0.1") for page in (work / "_site").rglob("*.html"))
    if left and ran.seconds < STOPPED_AFTER * ours:
        raise Skipped(f"{JAMPACK[0]} left {left} addresses")
    return ran, left


def _build(built: Path, urls: Sequence[str], pages: int) -> None:
    built.mkdir(parents=True)
    for number in range(pages):
        (built / f"page-{number:03}.html").write_text(_page(number, urls[number::pages]), encoding="utf-8")
