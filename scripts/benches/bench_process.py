"""Running what is measured: imgcache, its peers, an origin beside it; and what a process took of time and memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from bench_report import Skipped

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parent.parent
WORK = ROOT / ".bench"
_Result = TypeVar("_Result")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_INTERVAL = 0.25  # seconds between two samples of memory, which cost milliseconds each: a shorter peak may be missed


@dataclass(frozen=True)
class Ran:
    """One run of a process: wall time in seconds, the peak of its own resident memory in bytes, what it printed."""

    seconds: float
    peak: int
    output: str

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.peak / 1e6:.0f} MB"


def measure(command: Sequence[str], *, expect: Sequence[int] = (0,), cwd: Path = ROOT) -> Ran:
    """Run a command.

    Raises:
        Skipped: it does not end as expected; the message has the end of its error output.
    """
    environment = {key: value for key, value in os.environ.items() if key.lower() not in _PROXIES}
    begin = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        peaks = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
        watcher.start()
        output, complaint = process.communicate()
        seconds = time.perf_counter() - begin
        watcher.join()
    if process.returncode not in expect:
        raise Skipped(f"{' '.join(command[:4])} … ended with {process.returncode}: {complaint[-800:]}")
    return Ran(seconds, peaks[0], output)


def _watch(pid: int, peaks: list[int]) -> None:
    """Keep the high-water mark of a process, which the kernel forgets with it; its children are not in it."""
    while mark := peak_of(pid):  # a process that has ended has no memory
        peaks[0] = mark
        time.sleep(0.02)


def peak_of(pid: int) -> int:
    """The most resident memory that a process has had, in bytes (VmHWM, proc(5)); 0 where it has ended."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        if mark := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            return int(mark[1]) * 1024
    return 0


@dataclass
class Memory:
    """The most bytes that were seen so far."""

    peak: int = 0


@contextlib.contextmanager
def watched() -> Iterator[Memory]:
    """The memory of all processes together that are started in the block, and of those that they start.

    A page that several of them share is counted once (proportional set size: smaps_rollup, proc(5)).
    """
    memory, ended, own = Memory(), threading.Event(), psutil.Process()
    older = set(own.children(recursive=True))

    def sample() -> None:
        while not ended.wait(_INTERVAL):
            total = 0
            for process in set(own.children(recursive=True)) - older:
                with contextlib.suppress(psutil.Error):  # it has ended
                    total += process.memory_full_info().pss
            memory.peak = max(memory.peak, total)

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


def in_turn(ways: Mapping[str, Callable[[], _Result]], rounds: int) -> dict[str, list[_Result]]:
    """Each way once a round: what slows the machine for a while slows all of them."""
    runs: dict[str, list[_Result]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            runs[name].append(way())
            print(f"  {name}: {runs[name][-1]}", flush=True)
    return runs


# -- peers, each optional ----------------------------------------------------------------------------------------------


def python_with(name: str, *requirements: str) -> str:
    """The Python of an environment of its own with these packages from PyPI. Raises Skipped where that cannot be."""
    folder = WORK / f"{name}-venv"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != "\n".join(requirements):
        measure([sys.executable, "-m", "venv", str(folder)])
        _install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], WORK)
        stamp.write_text("\n".join(requirements), encoding="utf-8")
    return str(python)


def node_with(package: str, version: str, notes: list[str]) -> Path | None:
    """A folder whose `node_modules` have this version of a package from npm. None where that fails: a note says why."""
    folder = WORK / package.rpartition("/")[2]
    if not (folder / "node_modules" / package).is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
        try:
            _install(["npm", "install", "--no-audit", "--no-fund", "--save-exact", f"{package}@{version}"], folder)
        except (Skipped, OSError) as reason:
            notes.append(f"{package} took no part: {reason}")
            return None
    return folder


def node_script(folder: Path, name: str) -> list[str]:
    """The command that runs a script of this folder beside the `node_modules` of another, where node looks for them."""
    return ["node", shutil.copy(SCRIPTS / name, folder / name)]


def _install(command: list[str], folder: Path) -> None:
    try:
        measure(command, cwd=folder)
    except Skipped as complaint:  # long, and with paths of this machine
        raise Skipped(f"it cannot be installed: {str(complaint).strip().splitlines()[-1]}") from complaint


def node_versions(folder: Path, *packages: str) -> list[str]:
    """Each of `packages` that is installed in `folder`, with its version."""
    found = [(name, folder / "node_modules" / name / "package.json") for name in packages]
    return [f"{name} {json.loads(path.read_text())['version']}" for name, path in found if path.is_file()]


def python_versions(python: str, *packages: str) -> list[str]:
    """Each of `packages` with the version that an environment has."""
    code = "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep='\\n')"
    return measure([python, "-c", code, *packages]).output.split("\n")[:-1]


# -- imgcache, and sites for it ----------------------------------------------------------------------------------------


def sync(
    site: Path, connect_to: Sequence[str], *options: str, expect: Sequence[int] = (0,)
) -> tuple[Ran, dict[str, Any]]:
    """`imgcache sync --json` on a site, measured, and the summary that it printed."""
    command = [sys.executable, "-m", "imgcache", "sync", str(site), "--json", "-q", *options, *connect_to]
    ran = measure(command, expect=expect)
    return ran, json.loads(ran.output)


@contextlib.contextmanager
def started(*command: str, core: str = "", **pipes: int) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended with the block, on one core if `core` names it."""
    pinned = ["taskset", "-c", core] if core else []
    with subprocess.Popen([*pinned, *command], cwd=ROOT, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def origin(*arguments: str) -> Iterator[dict[str, Any]]:
    """An origin in a process of its own, and what it says of itself: `http`, `https`, `connect_to` and more."""
    command = [sys.executable, "-m", "examples.origin", "--max-time", "7200", "--parent", str(os.getpid()), *arguments]
    with started(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def lean_origin(kind: str, *options: str, core: str = "") -> Iterator[int]:
    """Starts an origin of bench_origin.py in a process of its own, on one core if `core` names it. Yields its port."""
    command = [sys.executable, str(SCRIPTS / "bench_origin.py"), kind, *options]
    with started(*command, core=core, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
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


def configure(site: Path, widths: Sequence[int], effort: int = 4) -> None:
    """Write an imgcache.yml that asks for WebP at quality 80 in these widths, and nothing else."""
    made = [{"name": f"w{one}", "width": one, "format": "webp", "quality": 80, "effort": effort} for one in widths]
    (site / "imgcache.yml").write_text(json.dumps({"variants": made}), encoding="utf-8")  # JSON is YAML


def article(images: Sequence[tuple[str, int, int]]) -> str:
    """An article that declares these images (URL, width, height): the first its own, the others of related articles."""
    first, *others = ([f'- url: "{url}"', f"  width: {width}", f"  height: {height}"] for url, width, height in images)
    related = ["related:"] if others else []
    for entry in others:
        related += ["  - title: Related", "    images:", *(f"      {line}" for line in entry)]
    return "\n".join(["---", "title: Measured", "images:", *first, *related, "---", "Text.", ""])


def write_articles(site: Path, images: Iterable[tuple[str, int, int]], per_article: int = 1) -> None:
    """Articles that declare these images, in folders of at most 500 articles. The images are not all held at once."""
    waiting = iter(images)
    for number in itertools.count():
        path = site / f"{number // 500:04}" / f"2026-01-01-{number:07}.md"
        if not (own := list(itertools.islice(waiting, per_article))):
            break
        path.parent.mkdir(exist_ok=True)
        path.write_text(article(own), encoding="utf-8")
