from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgcache.cache import CacheLock
from imgcache.core import CacheBusy, DiskFull

NOW = 1_700_000_000.0

_HOLDER = """
import os, sys, time
from pathlib import Path
from imgcache.cache.lock import CacheLock
with CacheLock(Path(sys.argv[1]), command="imgcache sync site", now=1700000000.0):
    if sys.argv[2:] == ["with a worker"]:
        told, tell = os.pipe()
        if os.fork() == 0:
            os.setsid()
            os.write(tell, b".")
            sys.stdin.read()
            os._exit(0)
        os.read(told, 1)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_names_the_process_that_holds_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "index"
    with held(folder) as process:
        with pytest.raises(CacheBusy) as caught, CacheLock(folder, command="imgcache gc", now=NOW):
            pass
        expected = f"{tmp_path}/cache is in use by process {process.pid} on {os.uname().nodename} (imgcache sync site)"
        assert str(caught.value).startswith(f"{expected} since 2023-11-14 22:13:20 UTC: wait until it has ended")


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert (tmp_path / "holder.json").exists()
        with CacheLock(tmp_path, command="imgcache sync", now=NOW):
            assert str(os.getpid()) in (tmp_path / "holder.json").read_text()
        assert not (tmp_path / "holder.json").exists()


def test_a_worker_that_outlives_a_killed_holder_does_not_hold_the_lock(tmp_path: Path) -> None:
    with held(tmp_path, "with a worker") as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with CacheLock(tmp_path, command="imgcache sync", now=NOW):
            assert str(os.getpid()) in (tmp_path / "holder.json").read_text()


def test_the_lock_is_free_after_use_and_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), CacheLock(tmp_path, command="x", now=NOW):
            raise ZeroDivisionError
    with CacheLock(tmp_path, command="x", now=NOW):
        with pytest.raises(CacheBusy), CacheLock(tmp_path, command="y", now=NOW):
            pass
        with pytest.raises(CacheBusy, match=r"\(x\)"), CacheLock(tmp_path, command="y", now=NOW):
            pass


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"\xff",
        b'{"pid":1,"host":"h","command":"c","since":1e99}',
        b'{"pid":1,"host":"h","command":"c","since":1e15}',
    ],
)
def test_an_unreadable_holder_file_still_means_busy(tmp_path: Path, note: bytes) -> None:
    with CacheLock(tmp_path, command="x", now=NOW):
        (tmp_path / "holder.json").write_bytes(note)
        with pytest.raises(CacheBusy, match="in use by another process"), CacheLock(tmp_path, command="y", now=NOW):
            pass


def test_a_command_line_with_escapes_is_cleaned(tmp_path: Path) -> None:
    with (
        CacheLock(tmp_path, command="imgcache \x1b]0;owned\x07 sync", now=NOW),
        pytest.raises(CacheBusy) as caught,
        CacheLock(tmp_path, command="y", now=NOW),
    ):
        pass
    assert "\x1b" not in str(caught.value)
    assert "imgcache \ufffd]0;owned\ufffd sync" in str(caught.value)


def test_a_file_in_place_of_the_cache_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with (
        pytest.raises(DiskFull, match=r"/cache/index cannot be written: Not a directory; move away what is there"),
        CacheLock(tmp_path / "cache" / "index", command="x", now=NOW),
    ):
        pass
