"""Job `resize`: 2K JPEG to 512 pixels wide, the job of imgproxy's published benchmark, beside four others."""

from __future__ import annotations

import argparse
import functools
import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_peers import watched
from bench_pictures import Job, Made, Picture, ahead, cells, contenders, cores, in_turn, made, make, pictures, some
from bench_process import fresh
from bench_report import Section, Skipped
from bench_thumbor import THUMBOR, thumbor
from PIL import Image

SOURCE, WIDTH = 2048, 512
TIMES = 12  # each source: a round is to take some seconds
FORMATS = {"jpeg": "JPEG", "webp": "WebP"}
_CONF = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = "{folder}"
STORAGE = "thumbor.storages.no_storage"
RESULT_STORAGE = "thumbor.result_storages.no_storage"
QUALITY = 80
WEBP_QUALITY = 80
"""


def run(options: argparse.Namespace) -> Section:
    """Each contender `--rounds` times in turn, for each format."""
    sources = _sources(fresh("resize/sources"), options)
    job = some(sources * TIMES, options.pictures)
    taking = contenders()
    try:
        with thumbor(fresh("resize/thumbor"), _CONF.format(folder=job[0].path.parent)):
            taking.versions.append(THUMBOR.replace("==", " "))
    except (Skipped, OSError) as reason:
        taking.notes.append(f"thumbor took no part: {reason}")
    rows, limits = [], []
    for form, called in FORMATS.items():
        asked = Job(job, [WIDTH], form)
        ways = {name: functools.partial(make, name, command, asked) for name, command in taking.commands.items()}
        if THUMBOR.replace("==", " ") in taking.versions:
            ways["thumbor, over HTTP"] = functools.partial(_thumbor, job, form)
        runs = in_turn(ways, options.rounds)
        rows += [[name, called, *cells(these)] for name, these in runs.items()]
        limits.append(ahead(runs, called))
    return Section(
        title="2K JPEG to 512",
        text=f"{len(sources)} photographs, scaled to {SOURCE} pixels wide and saved as JPEG of quality 90 before, to"
        f" {WIDTH} pixels wide, {len(job)} jobs a run, two at a time on two cores: the job of imgproxy's published"
        " benchmark. Quality 80, everything else as each comes (imgcache's and thumbor's JPEG is progressive, with"
        " Huffman tables of its own); from disk, nothing remembered. Starting does not count. thumbor has two"
        " processes, and is asked over HTTP with two requests for each core under way.",
        columns=["", "out", "images/s", "MB out", "MB of memory"],
        rows=rows,
        limits=limits,
        notes=taking.notes,
        versions=taking.versions,
    )


def _sources(folder: Path, options: argparse.Namespace) -> list[Picture]:
    """Of the JPEGs that are large enough, as 2K JPEGs."""
    everything = argparse.Namespace(photos=options.photos, pictures=None)
    large = [one for one in pictures(everything) if one.path.suffix == ".jpg" and one.width >= SOURCE]
    if not large:
        raise Skipped(f"no JPEG here is {SOURCE} pixels wide; name a folder that has some with --photos")
    sources = []
    for number, one in enumerate(large):
        with Image.open(one.path) as image:
            size = (SOURCE, round(one.height * SOURCE / one.width))
            path = folder / f"{number}.jpg"
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(path, quality=90)
        sources.append(Picture(path, *size))
    return sources


def _thumbor(job: Sequence[Picture], form: str) -> Made:
    folder = fresh("resize/thumbor")
    sources = job[0].path.parent

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", f"/unsafe/{WIDTH}x/filters:format({form})/{job[number].path.name}")
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise Skipped(f"thumbor answered {answer.status}")
        (folder / f"{number:04}.{form}").write_bytes(body)

    with (
        watched() as memory,
        thumbor(folder, _CONF.format(folder=sources), "--processes", str(cores())) as port,
        ThreadPoolExecutor(2 * cores()) as pool,
    ):
        list(pool.map(ask, [0] * 4 * cores()))  # every process has loaded what it needs
        start = time.perf_counter()
        list(pool.map(ask, range(len(job))))
        seconds = time.perf_counter() - start
    return made(seconds, len(job), folder.glob(f"*.{form}"), memory.peak)
