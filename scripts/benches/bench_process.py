"""Running the things to be measured: imgcache, an origin beside it, and what a process took of time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_report import Skipped

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent.parent
WORK = ROOT / ".bench"
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


@dataclass(frozen=True)
class Ran:
    """One run of a process: wall time in seconds, the peak of its own resident memory in bytes, what it printed."""

    seconds: float
    peak: int
    status: int
    output: str


def measure(command: Sequence[str], *, expect: Sequence[int] = (0,), cwd: Path = ROOT) -> Ran:
    """Run a command. Raises Skipped with the end of what it said where it does not end as expected."""
    environment = {key: value for key, value in os.environ.items() if key.lower() not in _PROXIES}
    begin = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peaks = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
        watcher.start()
        output, complaint = process.communicate()
        seconds = time.perf_counter() - begin
        watcher.join()
    if process.returncode not in expect:
        raise Skipped(f"{' '.join(command[:4])} … ended with {process.returncode}: {complaint[-800:]}")
    return Ran(seconds, peaks[0], process.returncode, output)


def _watch(pid: int, peaks: list[int]) -> None:
    """Keep the high-water mark of a process, which the kernel forgets with it; its children are not in it."""
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        mark = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        if mark is None:  # a process that has ended and was not yet waited for has no memory
            return
        peaks[0] = int(mark[1]) * 1024
        time.sleep(0.02)


def sync(
    site: Path, connect_to: Sequence[str], *options: str, expect: Sequence[int] = (0,)
) -> tuple[Ran, dict[str, Any]]:
    """`imgcache sync --json` on a site, measured, and the summary that it printed."""
    ran = measure(
        [sys.executable, "-m", "imgcache", "sync", str(site), "--json", "-q", *options, *connect_to], expect=expect
    )
    summary: dict[str, Any] = json.loads(ran.output)
    return ran, summary


@contextlib.contextmanager
def origin(*arguments: str) -> Iterator[dict[str, Any]]:
    """An origin in a process of its own, and what it says of itself: `http`, `https`, `connect_to` and more."""
    command = [sys.executable, "-m", "examples.origin", "--max-time", "7200", "--parent", str(os.getpid()), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said: dict[str, Any] = json.loads(process.stdout.readline())
            yield said
        finally:
            process.terminate()


@contextlib.contextmanager
def lean_origin(*arguments: str) -> Iterator[int]:
    """An origin that costs next to nothing, in a process of its own: its port."""
    script = SCRIPTS / "lean_origin.py"
    with subprocess.Popen(
        [sys.executable, str(script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


def fresh(name: str) -> Path:
    """An empty folder of that name in .bench."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def shared() -> Path:
    """The folder of real articles and images. Raises Skipped where there is none."""
    folder = Path(os.environ.get("IMGCACHE_SHARED", ROOT.parent / "shared"))
    if not (folder / "images" / "photos").is_dir():
        raise Skipped("no real images here; set IMGCACHE_SHARED to the folder that holds images/photos and site")
    return folder


def configure(site: Path, widths: Sequence[int]) -> None:
    """Write an imgcache.yml that asks for WebP at quality 80 and effort 4 in these widths, and nothing else."""
    made = "".join(f"  - {{name: w{one}, width: {one}, format: webp, quality: 80, effort: 4}}\n" for one in widths)
    (site / "imgcache.yml").write_text(f"variants:\n{made}", encoding="utf-8")


def article(images: Sequence[tuple[str, int, int]]) -> str:
    """An article that declares these images (URL, width, height): the first its own, the others of related articles."""
    entries = [f'- url: "{url}"\n  width: {width}\n  height: {height}\n' for url, width, height in images]
    indented = [
        f"  - title: Related\n    images:\n      {entry.replace(chr(10), chr(10) + '      ').rstrip()}\n"
        for entry in entries[1:]
    ]
    related = "related:\n" + "".join(indented) if indented else ""
    return f"---\ntitle: Measured\nimages:\n{entries[0]}{related}---\nText.\n"
