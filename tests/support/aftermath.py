"""Gives orders to the processes of `tests.crashes`, and holds what they leave behind against the laws."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import yaml

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a run ended: its exit status (below 0: the signal that killed it), its process id, what it printed."""

    code: int
    pid: int
    output: str


class Nursery:
    """Runs command lines in processes of their own, one at a time.

    `quick` ones have their fork server forked at their start. A user's comes later, and is a Python that starts anew.
    """

    def __init__(
        self, scratch: Path, connect_to: Sequence[str], environment: dict[str, str], *, quick: bool = False
    ) -> None:
        self._quick = quick
        self._output = scratch / f"output-{os.getpid()}"
        self._connect_to = list(connect_to)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashes", *["--quick"] * quick],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is in a buffer of ours, select does not see
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def sync(self, site: Path, *words: str, **orders: object) -> Ended:
        """`imgcache sync` to its end."""
        with self.syncing(site, *words, **orders):
            pass
        return self.ended

    def syncing(self, site: Path, *words: str, **orders: object) -> contextlib.AbstractContextManager[int]:
        """`imgcache sync` under way, as `started`."""
        return self.started("sync", str(site), *words, *self._connect_to, **orders)

    @contextmanager
    def started(self, *words: str, **orders: object) -> Iterator[int]:
        """Runs a command during the block; yields its process id. `ended` has its result afterwards."""
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"words": words, "output": str(self._output), "quick": self._quick, **orders}
        self._process.stdin.write((json.dumps(order) + "\n").encode())
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        try:
            yield pid
        finally:  # also where the block failed: or the next one would take this code for its process
            code = int(self._process.stdout.readline())
            self.ended = Ended(code, pid, self._output.read_text(errors="replace"))

    def _has_ended(self) -> bool:
        """Whether the status of the command under way can be read."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def sync_killed_after(self, seconds: float, site: Path, *words: str, **orders: object) -> Ended:
        """`imgcache sync`, killed after a number of seconds unless it ended before."""
        with self.syncing(site, *words, **orders) as pid:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not self._has_ended():
                time.sleep(0.005)
            if not self._has_ended():
                os.kill(pid, signal.SIGKILL)
        return self.ended


def orphans(session: int, seconds: float = 8.0) -> list[str]:
    """The processes of a session that still exist after a number of seconds: name, state, where each waits."""
    end = time.monotonic() + seconds
    while True:
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                name, _, rest = stat.read_text(errors="replace").rpartition(")")
                state, _, _, its_session = rest.split()[:4]  # proc(5)
                if int(its_session) == session and state != "Z":
                    waits = stat.with_name("wchan").read_text()
                    found.append(f"{name}) {state} in {waits}, system call {stat.with_name('syscall').read_text()}")
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def outside(site: Path) -> dict[str, bytes]:
    """Every file of a site that is not in its cache."""
    return {name: data for name, data in tree(site).items() if not name.startswith("cache/")}


class ExpectedSite(NamedTuple):
    """What a site was before, and what an undisturbed run makes of it."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    assets: dict[str, bytes]
    manifest: bytes

    @classmethod
    def of(cls, before: dict[str, bytes], synced: Path) -> ExpectedSite:
        """`synced` is the site after an undisturbed run."""
        cache = synced / "cache"
        assets = {f"assets/{name}": data for name, data in tree(cache / "assets").items()}
        return cls(before, outside(synced), assets, (cache / "manifest.json").read_bytes())

    def broken(self, site: Path) -> list[str]:
        """The laws that do not hold at this moment, whatever has been killed."""
        now = outside(site)
        found = [f"{name} came or went" for name in now.keys() ^ self.before.keys()]
        found += [
            f"{name} has other bytes" for name in now if now[name] not in (self.before.get(name), self.after.get(name))
        ]
        flagged = {url for data in now.values() for url in flags(data)}
        images = json.loads(self.manifest)["images"]
        for url in flagged:
            files = (
                [images[url]["original"], *(one["path"] for one in images[url]["variants"])] if url in images else []
            )
            if not files or any(_bytes(site / "cache" / file) != self.assets[file] for file in files):
                found.append(f"{url} is flagged and not held")
        return found + _broken_manifest(site / "cache")

    def differs(self, site: Path) -> list[str]:
        """The differences from an undisturbed run."""
        cache = site / "cache"
        assets = {f"assets/{name}": data for name, data in tree(cache / "assets").items()}
        now, index = outside(site), {path.name for path in (cache / "index").iterdir()}
        found = [f"{name} differs" for name in now.keys() | self.after.keys() if now.get(name) != self.after.get(name)]
        found += [
            f"{name} differs"
            for name in assets.keys() | self.assets.keys()
            if assets.get(name) != self.assets.get(name)
        ]
        found += ["manifest.json differs"] * (_bytes(cache / "manifest.json") != self.manifest)
        left = index - {"cache.db", "catalogue.db", "lock", "staging"}
        found += [f"index/{name} is left over" for name in left if not name.endswith((".db-wal", ".db-shm"))]
        return found + [f"{path} is left over" for path in (cache / "index/staging").iterdir()]


_HEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?---[ \t]*\r?\n(.*?\n)---[ \t]*\r?(?:\n|\Z)", re.DOTALL)


def flags(data: bytes) -> set[str]:
    """The URLs that an article's front matter flags, read in another way than imgcache reads it."""
    head = _HEAD.match(data) if b"isCached" in data else None
    found: set[str] = set()
    waiting: list[Any] = [yaml.load(head[1], yaml.CBaseLoader)] if head else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("isCached") == "true":
                found.add(node["url"])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found


def _bytes(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return None


def _broken_manifest(cache: Path) -> list[str]:
    """manifest.json is absent, or whole and names only what is there in full length."""
    data = _bytes(cache / "manifest.json")
    if data is None:
        return []
    try:
        images = json.loads(data)["images"]
    except ValueError:
        return ["manifest.json is half"]
    files = [(one["original"], one["bytes"]) for one in images.values()]
    files += [(variant["path"], variant["bytes"]) for one in images.values() for variant in one["variants"]]
    return [f"manifest.json names {path}" for path, size in files if len(_bytes(cache / path) or b"") != size]


class Campaign(msgspec.Struct):
    """What came of many kills. `requests` are those for images, over all `rounds`; a round ends with a whole run."""

    rounds: int = 0
    kills: int = 0
    images: int = 0
    requests: int = 0
    in_flight: int = 0  # of them, those whose image was asked for and not yet done when its run was killed
    blocked: int = 0  # runs that found the lock still held
    broken: list[str] = []
    differs: list[str] = []
    orphans: list[str] = []

    @property
    def false_flags(self) -> int:
        """Returns the number of flags whose files were not all there."""
        return sum("is flagged" in law for law in self.broken)

    @property
    def lost(self) -> int:
        """Articles that were neither the old bytes nor the new ones, and files that came or went."""
        return sum("other bytes" in law or "came or went" in law for law in self.broken)

    @property
    def downloads(self) -> float:
        """Requests an image, beyond those in flight at a kill."""
        return (self.requests - self.in_flight) / max(1, self.images * self.rounds)

    def run(
        self,
        nursery: Nursery,
        fresh: Callable[[], Path],
        expected: ExpectedSite,
        *,
        kills: int,
        seconds: float,
        draw: random.Random,
        words: Sequence[str] = (),
        each: Callable[[], object] = lambda: None,
    ) -> None:
        """Kill runs at random times of `seconds` until there were so many, each on what the one before it left.

        A run that ends by itself ends its round: then the site is as if nothing had been, and the next round begins
        with a `fresh` one.
        """
        images = json.loads(expected.manifest)["images"]
        self.images = len(images)
        while self.kills < kills:
            site = fresh()
            log = site.with_name("log")
            log.unlink(missing_ok=True)
            for left in range(kills - self.kills, -1, -1):
                began = log.stat().st_size if log.exists() else 0
                wait = draw.uniform(0.0, seconds) if left else 600.0
                ended = nursery.sync_killed_after(wait, site, *words, log=str(log), quick=False)
                self.broken += expected.broken(site)
                self.blocked += ended.code == 3
                if ended.code != -signal.SIGKILL:
                    self.differs += [f"ended with {ended.code}: {ended.output[-300:]}"] * (ended.code not in {0, 1})
                    break
                self.kills += 1
                self.orphans += orphans(ended.pid)
                self.in_flight += _in_flight(log.read_text()[began:] if log.exists() else "")
                each()
            self.rounds += 1
            self.requests += sum(url in images for event, url in _events(log.read_text()) if event == "asked")
            self.differs += expected.differs(site)


def _in_flight(log: str) -> int:
    """The images that were asked for and not done at the end of one run's log."""
    events = _events(log)
    return len({url for event, url in events if event == "asked"} - {url for event, url in events if event == "ended"})


def _events(log: str) -> list[tuple[str, str]]:
    return [(event, url) for event, _, url in (line.partition(" ") for line in log.splitlines())]
