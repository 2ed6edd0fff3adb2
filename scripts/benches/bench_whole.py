"""Jobs `whole` and `codecs`: a first sync of real photographs, beside eleventy-img and the limit that codecs set."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench_pictures import EFFORTS, WIDTHS, Job, Made, Picture, cells, copies, made, make, own, pictures, rate, size
from bench_process import (
    configure,
    fresh,
    in_turn,
    measure,
    node_script,
    node_versions,
    node_with,
    origin,
    sync,
    watched,
    write_articles,
)
from bench_report import Limit, Section

ELEVENTY = ("@11ty/eleventy-img", "7.0.0")
HOST = "photos.example"
SHARE = 0.85  # of the limit that the codecs set
COPIES = 4  # of each picture, for the whole job beside that limit
_OURS = {4: "imgcache", 2: "imgcache, effort 2"}


def run(options: argparse.Namespace) -> Section:
    """Run each way `--rounds` times in turn, from a cold cache each time."""
    found = pictures(options)
    with origin("--folder", str(found[0].path.parent), "--host", HOST, "--host", "127.0.0.1") as said:
        ways: dict[str, Callable[[], Made]] = {
            name: functools.partial(first_sync, said, found, effort) for effort, name in _OURS.items()
        }
        notes, versions = list[str](), list[str]()
        if folder := node_with(*ELEVENTY, notes):
            versions = node_versions(folder, ELEVENTY[0], "sharp")
            urls = [f"http://127.0.0.1:{said['http']}/{quote(picture.path.name)}" for picture in found]
            _add_eleventy(ways, folder, urls)
        runs = in_turn(ways, options.rounds)
    return Section(
        columns=["", "files", "images/s", "MB of WebP", "MB of memory"],
        rows=[[name, str(len(these[0].files)), *cells(these)] for name, these in runs.items()],
        limits=_limits(runs),
        notes=notes,
        versions=versions,
    )


def first_sync(said: Mapping[str, Any], found: Sequence[Picture], effort: int) -> Made:
    """`imgcache sync` of a new site, one article a picture, from the origin that said this of itself."""
    site = fresh("whole/site")
    configure(site, WIDTHS, effort)
    write_articles(site, [(f"http://{HOST}/{quote(one.path.name)}", one.width, one.height) for one in found])
    with watched() as memory:
        ran, summary = sync(site, said["connect_to"], expect=(0, 1))
    for problem in summary["problems"]:
        if problem["severity"] == "error":
            print(f"  imgcache: {problem['code']}: {problem['message']}")
    images = json.loads((site / "cache" / "manifest.json").read_text())["images"]
    files = {site / "cache" / variant["path"] for one in images.values() for variant in one["variants"]}
    return made(ran.seconds, len(images), files, memory.peak)


def _limits(runs: Mapping[str, Sequence[Made]]) -> list[Limit]:
    rates = {name: rate(these) for name, these in runs.items()}
    peers = [name for name in runs if "same widths" in name]
    if not peers:
        return []
    best = max(peers, key=rates.__getitem__)
    limits = []
    for effort, faster, larger in ((4, 1.25, 1.0), (2, 2.0, 1.04)):
        name = _OURS[effort]
        limits += [
            Limit(f"effort {effort}: images/s against {best}", rates[name] / rates[best], faster, "times", True),
            Limit(f"effort {effort}: bytes of WebP against it", size(runs[name]) / size(runs[best]), larger, "times"),
        ]
    return limits


def _add_eleventy(ways: dict[str, Callable[[], Made]], folder: Path, urls: list[str]) -> None:
    """Two at a time and as many as it likes, with the widths that it is asked for and with those that it prefers."""
    for concurrency, threshold in ((2, 1.0), (0, 1.0), (0, 1.25)):
        widths = "same widths" if threshold == 1.0 else "its own choice of widths"
        name = f"{ELEVENTY[0]}, {'2 at once' if concurrency else 'default concurrency'}, {widths}"
        ways[name] = functools.partial(_eleventy, folder, urls, concurrency, threshold)


def _eleventy(folder: Path, urls: list[str], concurrency: int, threshold: float) -> Made:
    work = fresh("whole/eleventy")
    job = {"urls": urls, "widths": WIDTHS, "concurrency": concurrency, "threshold": threshold, "folder": str(work)}
    with watched() as memory:
        ran = measure([*node_script(folder, "contend_eleventy.mjs"), json.dumps(job)], cwd=folder)
    return made(ran.seconds, int(json.loads(ran.output)["images"]), (work / "img").iterdir(), memory.peak)


def codecs(options: argparse.Namespace) -> Section:
    """How near imgcache comes to the limit that the codecs set: each way `--rounds` times in turn, at each effort."""
    found = pictures(options)
    many = list(copies(found, COPIES, fresh("codecs/pictures")))
    rows, limits = [], []
    with origin("--folder", str(many[0].path.parent), "--host", HOST) as said:
        for effort in EFFORTS:
            job = Job(found, effort=effort)
            ways = {
                "codecs alone": functools.partial(make, "codecs", own("codecs"), job),
                "worker pool, from files": functools.partial(make, "imgcache", own("imgcache"), job),
                "`imgcache sync`, from URLs": functools.partial(first_sync, said, many, effort),
            }
            runs = in_turn(ways, options.rounds)
            limit = rate(runs["codecs alone"])
            for name, these in runs.items():
                share = rate(these) / limit
                rows.append([name, str(effort), *cells(these), f"{share:.3f}"])
                if name != "codecs alone":
                    limits.append(Limit(f"effort {effort}: {name}, share of the limit", share, SHARE, at_least=True))
    return Section(
        columns=["", "effort", "images/s", "MB of WebP", "MB of memory", "share"],
        rows=rows,
        limits=limits,
    )
