"""A cache, or a whole site, that cannot be written: what reads works, what writes says so in a line, with status 2."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import A, Ended

READING = [
    ("status",),
    ("show", A),
    ("gc", "--dry-run"),
    ("sync", "--dry-run"),
    ("audit", "--offline"),
    ("quarantine", "list"),
    ("export", "nginx"),
]
WRITING = [
    ("verify",),
    ("verify", "--repair"),
    ("gc",),
    ("sync",),
    ("sync", "--offline"),
    ("audit",),
    ("audit", "--offline", "--fix"),
    ("forget", A),
    ("quarantine", "accept", A),
]
Frozen = Callable[..., Ended]


def _frozen(folder: Path, words: list[str]) -> list[str]:
    """A command before which a folder is mounted read-only, for root, whom no permission stops."""
    target = str(folder)
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, target, *words]


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    """Runs a command while a folder cannot be written."""
    changed: list[Path] = []

    def call(folder: Path, *words: str | Path) -> Ended:
        command = [sys.executable, "-m", "imgcache", *map(str, words)]
        if os.geteuid() != 0:
            for path in (folder, *folder.rglob("*")):
                changed.append(path)
                path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        else:
            command = _frozen(folder, command)
            probe = subprocess.run(_frozen(folder, ["true"]), capture_output=True, check=False)
            if not shutil.which("unshare") or probe.returncode:
                pytest.skip("root, and no mount namespace: nothing is read-only here")
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    yield call
    for path in changed:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_what_only_reads_works(frozen: Frozen, synced: Path) -> None:
    for command in READING:
        ended = frozen(synced, *command, synced)
        assert (command, ended.code, ended.err) == (command, 0, "")
        assert ended.out


def test_what_writes_says_that_it_cannot(frozen: Frozen, synced: Path) -> None:
    for command in WRITING:
        ended = frozen(synced / "cache", *command, synced)
        assert (command, ended.code, ended.out, ended.err.count("\n")) == (command, 2, "", 1)
        assert "cache/index/lock cannot be written" in ended.err


def test_articles_that_cannot_be_written_are_listed_one_by_one(frozen: Frozen, synced: Path, tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (synced / name).write_text((synced / name).read_text().replace("    isCached: true\n", "", 1))
    (synced / "cache").rename(tmp_path / "cache")
    ended = frozen(synced, "sync", synced, "--cache", tmp_path / "cache", "--offline")
    assert ended.code == 1
    assert "article-unwritable (2)" in ended.out
    assert "Traceback" not in ended.err


def test_files_for_others_that_cannot_be_written(frozen: Frozen, synced: Path) -> None:
    for command in (("export", "jekyll"), ("init",), ("audit", "--offline", "--output", synced / "r.json")):
        ended = frozen(synced, *command, synced)
        assert (command, ended.code, ended.out, ended.err.count("\n")) == (command, 2, "", 1)
        assert "cannot be written" in ended.err
