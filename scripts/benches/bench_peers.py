"""What others are installed with, in .bench, and how much memory they take: each peer is optional."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench_process import WORK, measure
from bench_report import Skipped

_INTERVAL = 0.25  # seconds between two looks, which cost milliseconds each: a shorter peak may be missed


def python_with(name: str, *requirements: str) -> str:
    """The Python of an environment of its own, with these packages from PyPI in it.

    Raises:
        Skipped: they cannot be installed here.
    """
    folder = WORK / f"{name}-venv"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != "\n".join(requirements):
        measure([sys.executable, "-m", "venv", str(folder)])
        _install([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], WORK)
        stamp.write_text("\n".join(requirements), encoding="utf-8")
    return str(python)


def node_with(name: str, package: str, version: str) -> Path:
    """A folder whose `node_modules` have this version of a package from npm.

    Raises:
        Skipped: it cannot be installed here.
    """
    folder = WORK / name
    if not shutil.which("npm"):
        raise Skipped("npm is not here")
    if not (folder / "node_modules" / package).is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n', encoding="utf-8")
        _install(["npm", "install", "--no-audit", "--no-fund", "--save-exact", f"{package}@{version}"], folder)
    return folder


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


@dataclass
class Memory:
    """Bytes, seen so far at most."""

    peak: int = 0


@contextlib.contextmanager
def watched() -> Iterator[Memory]:
    """The memory of all processes together that are started in the block, and of those that they start.

    A page that several of them share is counted once (proportional set size: smaps_rollup, proc(5)).
    """
    memory, ended = Memory(), threading.Event()
    older = _parents().keys()

    def look() -> None:
        while not ended.wait(_INTERVAL):
            memory.peak = max(memory.peak, sum(_proportional(pid) for pid in _descendants(older)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


def _descendants(older: object) -> list[int]:
    """Processes under this one that are not among the `older`."""
    assert isinstance(older, type({}.keys()))
    parents, found = _parents(), [os.getpid()]
    for above in found:
        found += [pid for pid, parent in parents.items() if parent == above and pid not in older]
    return found[1:]


def _parents() -> dict[int, int]:
    """The parent of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return found


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
        if mark := re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE):
            return int(mark[1]) * 1024
    return 0
