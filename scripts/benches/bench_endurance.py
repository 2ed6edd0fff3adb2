"""Jobs `thumbor` and `soak`: the endpoint beside thumbor, and under load for two minutes while syncs run."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import re
import statistics
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

from bench_process import article, configure, fresh, origin, shared, sync
from bench_report import Limit, Section, Skipped, spread
from bench_serve import serving, wrk
from bench_thumbor import THUMBOR, thumbor

WIDTH = 160
SOAK = 120  # seconds
HOST = "photos.example"
PHOTO = "photo.jpg"
_CONF = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = "{folder}/photos"
RESULT_STORAGE = "thumbor.result_storages.file_storage"
RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = "{folder}/results"
RESULT_STORAGE_STORES_UNSAFE = True
STORAGE = "thumbor.storages.no_storage"
QUALITY = 80
"""


def beside_thumbor(options: argparse.Namespace) -> Section:
    """One photograph at one width from both, each on one core; thumbor has stored its result before."""
    folder = fresh("thumbor")
    photo = max((shared() / "images" / "photos").glob("*.jpg"), key=lambda path: path.stat().st_size)
    (folder / "photos").mkdir()
    (folder / "photos" / PHOTO).write_bytes(photo.read_bytes())
    site = _synced(folder)
    asked = f"image?w={WIDTH}&url={quote(f'http://{HOST}/{PHOTO}', safe='')}"
    rates: dict[str, list[float]] = {"thumbor": [], "imgcache": []}
    with (
        serving(site) as (port, _),
        thumbor(folder, _CONF.format(folder=folder), before=["taskset", "-c", "0"]) as other,
    ):
        targets = {"thumbor": (other, f"unsafe/{WIDTH}x/{PHOTO}"), "imgcache": (port, asked)}
        sizes = {name: len(_get(*target)) for name, target in targets.items()}
        for _ in range(options.rounds):
            for name, (at, path) in targets.items():
                rates[name].append(wrk(f"http://127.0.0.1:{at}/{path}")[0])
    share = statistics.median(rates["imgcache"]) / statistics.median(rates["thumbor"])
    return Section(
        title="Serving, beside thumbor",
        text=f"One photograph {WIDTH} pixels wide, from one process each on the same core, wrk with 32 connections on"
        " another. thumbor reads the picture from disk and has stored its result before the first measured request.",
        columns=["", "bytes", "requests/s"],
        rows=[[name, f"{sizes[name]:,}", spread(values, 0)] for name, values in rates.items()],
        limits=[Limit("times thumbor's rate", share, 10, at_least=True)],
        versions=[THUMBOR.replace("==", " ")],
    )


def soak(_: argparse.Namespace) -> Section:
    """The endpoint under load while one sync after the other adds an image, which is asked for at once."""
    folder = fresh("soak")
    (folder / "photos").mkdir()
    photos = sorted((shared() / "images" / "photos").glob("*.jpg"), key=lambda path: path.stat().st_size)
    for number, photo in enumerate(photos):
        (folder / "photos" / (f"{number}.jpg" if number else PHOTO)).write_bytes(photo.read_bytes())
    site = _synced(folder)
    target = f"image?w={WIDTH}&url={quote(f'http://{HOST}/{PHOTO}', safe='')}"
    found: list[tuple[float, float]] = []
    marks: list[tuple[float, int]] = []
    with serving(site) as (port, process):
        load = threading.Thread(target=lambda: found.append(wrk(f"http://127.0.0.1:{port}/{target}", 32, SOAK)))
        began = time.monotonic()
        load.start()
        delays = _adding(site, folder, port, load, lambda: marks.append((time.monotonic() - began, _resident(process))))
        load.join()
    if not found:
        raise Skipped("wrk met an error: see above")
    early = max([memory for at, memory in marks if at < SOAK / 4] or [marks[0][1]])
    late = marks[-1][1]
    return Section(
        title="Two minutes under load, while syncs run",
        text=f"`imgcache serve` on one core, wrk with 32 connections on another for {SOAK} s, and beside it one"
        " `imgcache sync` after the other, each with an article more, whose image is then asked for until it comes."
        " No answer was anything but 2xx, and no connection broke.",
        columns=["", ""],
        rows=[
            ["requests/s", f"{found[0][0]:,.0f}"],
            ["99th percentile", f"{found[0][1]:.1f} ms"],
            ["syncs", str(len(delays))],
            ["from the end of a sync to its image", spread([1000 * delay for delay in delays], 0) + " ms"],
            ["memory in the first quarter, at most, and at the end", f"{early / 1e6:.1f} MB, {late / 1e6:.1f} MB"],
        ],
        limits=[
            Limit("from the end of a sync to its image", max(delays), 1, "s"),
            Limit("growth of memory from the first quarter to the end", (late - early) / 1e6, 5, "MB"),
        ],
    )


def _synced(folder: Path) -> Path:
    site = folder / "site"
    site.mkdir()
    configure(site, [WIDTH])
    (site / "first.md").write_text(_naming(PHOTO), encoding="utf-8")
    with origin("--folder", str(folder / "photos"), "--host", HOST) as said:
        sync(site, ["--dimensions", "ignore", *said["connect_to"]])
    return site


def _naming(photo: str) -> str:
    return article([(f"http://{HOST}/{photo}", 600, 400)])


def _adding(site: Path, folder: Path, port: int, load: threading.Thread, look: object) -> list[float]:
    """Seconds from the end of each sync until the endpoint has its image."""
    assert callable(look)
    delays = []
    photos = [path.name for path in (folder / "photos").iterdir() if path.name != PHOTO]
    with origin("--folder", str(folder / "photos"), "--host", HOST) as said:
        for number, photo in enumerate(sorted(photos)):
            if not load.is_alive():
                break
            (site / f"{number:03}.md").write_text(_naming(photo), encoding="utf-8")
            sync(site, ["--dimensions", "ignore", *said["connect_to"]])
            ended = time.monotonic()
            while not _get(port, f"image?w={WIDTH}&url={quote(f'http://{HOST}/{photo}', safe='')}"):
                time.sleep(0.01)
            delays.append(time.monotonic() - ended)
            look()
        while load.is_alive():
            time.sleep(1)
            look()
    return delays


def _get(port: int, path: str) -> bytes:
    """The body of a 200, nothing for any other answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", f"/{path}", headers={"Accept": "image/webp,*/*"})
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else b""


def _resident(process: subprocess.Popen[str]) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
    return int(found[1]) * 1000 if found else 0
