"""A cache or a whole site that cannot be written: commands that read work, others say so in one line, status 2."""

from __future__ import annotations

import json
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
# Runs the commands of the first argument (JSON) one after the other and prints how each ended.
RUN_ALL = """
import json, sys
from click.testing import CliRunner
from imgcache.cli import imgcache
ended = [CliRunner().invoke(imgcache, words) for words in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, one.stdout, one.stderr) for one in ended]))
"""
RunReadOnly = Callable[[Path, list[list[str | Path]]], list[Ended]]


def _mounted_read_only(folder: Path, words: list[str]) -> list[str]:
    """Returns a command before which the folder is mounted read-only, since permissions do not stop root."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(folder), *words]


@pytest.fixture
def run_read_only() -> Iterator[RunReadOnly]:
    """Runs commands in a new process while a folder cannot be written."""
    changed: list[Path] = []

    def call(folder: Path, commands: list[list[str | Path]]) -> list[Ended]:
        process = [sys.executable, "-c", RUN_ALL, json.dumps(commands, default=str)]
        if os.geteuid() != 0:
            for path in (folder, *folder.rglob("*")):
                changed.append(path)
                path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        else:
            process = _mounted_read_only(folder, process)
            probe = subprocess.run(_mounted_read_only(folder, ["true"]), capture_output=True, check=False)
            if not shutil.which("unshare") or probe.returncode:
                pytest.skip("root without a mount namespace: nothing is read-only here")
        done = subprocess.run(process, capture_output=True, text=True, check=True, timeout=60)
        return [Ended(*one) for one in json.loads(done.stdout)]

    yield call
    for path in changed:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_commands_that_only_read_work(run_read_only: RunReadOnly, synced: Path) -> None:
    for command, ended in zip(READING, run_read_only(synced, [[*one, synced] for one in READING]), strict=True):
        assert (command, ended.code, ended.err) == (command, 0, "")
        assert ended.out


def test_commands_that_write_report_that_they_cannot(run_read_only: RunReadOnly, synced: Path) -> None:
    results = run_read_only(synced / "cache", [[*one, synced] for one in WRITING])
    for command, ended in zip(WRITING, results, strict=True):
        assert (command, ended.code, ended.out, ended.err.count("\n")) == (command, 2, "", 1)
        assert "cache/index/lock cannot be written" in ended.err


def test_articles_that_cannot_be_written_are_listed_one_by_one(
    run_read_only: RunReadOnly, synced: Path, tmp_path: Path
) -> None:
    for name in ("a.md", "b.md"):
        (synced / name).write_text((synced / name).read_text().replace("    isCached: true\n", "", 1))
    (synced / "cache").rename(tmp_path / "cache")
    [ended] = run_read_only(synced, [["sync", synced, "--cache", tmp_path / "cache", "--offline"]])
    assert ended.code == 1
    assert "article-unwritable (2)" in ended.out
    assert "Traceback" not in ended.err


def test_output_files_that_cannot_be_written_are_reported(run_read_only: RunReadOnly, synced: Path) -> None:
    commands = [("export", "jekyll"), ("init",), ("audit", "--offline", "--output", synced / "r.json")]
    results = run_read_only(synced, [[*one, synced] for one in commands])
    for command, ended in zip(commands, results, strict=True):
        assert (command, ended.code, ended.out, ended.err.count("\n")) == (command, 2, "", 1)
        assert "cannot be written" in ended.err
