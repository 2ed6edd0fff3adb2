"""The store on a disk that fails or fills up: durable images stay, incomplete ones are not visible."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgcache.cache.store import barrier
from imgcache.core import DiskFull
from tests.support.cache_samples import opened, put, sha256

BIG = b"original " * 100
SMALL = {"thumb.jpg": b"thumb", "w320.webp": b"webp 320"}


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "cache" / "index" / "staging" / "tmpabc"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"...")
    store = opened(tmp_path / "cache")
    assert list(store.scratch.iterdir()) == []
    store.close()


def test_after_a_failed_sync_nothing_counts_as_durable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:  # as the kernel does: told once, and never again
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(barrier, "find_syncfs", lambda: full)
    broken = opened(tmp_path / "other")
    put(broken, BIG, SMALL)
    for _ in range(2):  # the record of what was put is never written
        with pytest.raises(DiskFull, match=r"other.*No space left on device; free some space"):
            broken.make_durable()
    broken.close()
    assert list(broken.scratch.iterdir()) == []


class CountingCondition(threading.Condition):
    """Counts the threads that began to wait."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        return super().wait(timeout)


def test_without_syncfs_every_file_is_synced_before_its_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log: list[str] = []

    def fsync(descriptor: int) -> None:
        log.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(barrier, "find_syncfs", lambda: None)
    monkeypatch.setattr(os, "fsync", fsync)
    store = opened(tmp_path)
    asset = put(store, BIG, SMALL)
    assert log == []
    store.make_durable()
    store.close()
    files = {"original.jpg", "thumb.jpg", "w320.webp"}
    assert set(log[:3]) == files
    assert log[3:] == [asset.digest, asset.digest[:2], "assets"]


def test_waiting_threads_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    inside, go_on = threading.Event(), threading.Event()

    def syncfs(descriptor: int) -> None:
        calls.append(descriptor)
        inside.set()
        assert go_on.wait(10)

    monkeypatch.setattr(barrier, "find_syncfs", lambda: syncfs)
    turns = CountingCondition()
    gate = barrier.Barrier(tmp_path, condition=turns)
    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(gate.wait, [])
        assert inside.wait(10)
        # These come while one is under way, which may have passed their files: they need the next, all of them one.
        others = [threads.submit(gate.wait, []) for _ in range(4)]
        deadline = time.monotonic() + 10
        while turns.waits < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        go_on.set()
        for future in (first, *others):
            future.result(10)
    gate.close()
    assert len(calls) == 2


def _mount(folder: Path, options: str) -> bool:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_full_disk_is_reported_and_keeps_existing_files(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    if not _mount(cache, "size=64k,nr_inodes=16"):
        pytest.skip("mounting a small disk needs root")
    try:
        store = opened(cache)
        asset = put(store, b"fits", {})
        for number in range(20):
            last = cache / f"filler{number}"
            try:
                last.touch()
            except OSError:
                break
        with pytest.raises(DiskFull, match=r"cache/index/staging.*No space left on device; free some space"):
            put(store, BIG, SMALL)
        assert store.damage(asset) == ()
        assert list(store.digests()) == [asset.digest]
        (cache / "filler0").unlink()
        (cache / "filler1").unlink()
        (cache / "filler2").unlink()
        (cache / "filler3").unlink()
        assert store.damage(put(store, BIG, {})) == ()
        store.close()
    finally:
        subprocess.run(["umount", str(cache)], check=True)


# Forks once for every event that the interpreter reports while an image is committed, and kills the child there.
_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.support.cache_samples import opened, put
root = Path(sys.argv[1])
STEPS = {
    "os.rename", "os.mkdir", "os.chmod", "os.remove", "os.rmdir", "open", "shutil.rmtree", "os.scandir",
    "ctypes.call_function",
}

def run(cache):
    store = opened(cache)
    put(store, b"original" * 9, {"thumb.jpg": b"t", "w320.webp": b"one"})
    put(store, None, {"thumb.jpg": b"t", "w320.webp": b"two", "w640.webp": b"three"}, "b" * 12, __DIGEST__)
    store.remove(__OTHER__)

for step in range(1, 400):
    cache = root / str(step)
    store = opened(cache)
    put(store, b"other", {"thumb.jpg": b"o"})
    store.close()
    pid = os.fork()
    if pid == 0:
        seen = 0
        def hook(event, args):
            global seen
            seen += event in STEPS
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        run(cache)
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        print(step)
        break
"""


def test_killed_at_any_step_no_partial_image_is_visible(tmp_path: Path) -> None:
    original, other = b"original" * 9, b"other"
    script = _KILLED.replace("__DIGEST__", repr(sha256(original))).replace("__OTHER__", repr(sha256(other)))
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    steps = int(ran.stdout)
    assert steps > 30
    states: set[tuple[int, int]] = set()
    for step in range(1, steps + 1):
        store = opened(tmp_path / str(step))
        assert list(store.scratch.iterdir()) == []
        held = list(store.digests())
        assert set(held) <= {sha256(original), sha256(other)}
        for digest in held:
            files = {p.name: p.read_bytes() for p in (tmp_path / str(step) / "assets" / digest[:2] / digest).iterdir()}
            if digest == sha256(other):
                assert files == {"original.jpg": other, "thumb.jpg": b"o"}
                continue
            states.add((len(held), len(files)))
            first = {"original.jpg": original, "thumb.jpg": b"t", "w320.webp": b"one"}
            second = {"w320.bbbbbbbb.webp": b"two", "w640.webp": b"three"}
            assert first.items() <= files.items() <= {**first, **second}.items()
        put(store, other, {"thumb.jpg": b"o"})
        put(store, original, {"thumb.jpg": b"t", "w320.webp": b"one"})
        asset = put(store, None, {"w320.webp": b"two", "w640.webp": b"three"}, "b" * 12, sha256(original))
        assert store.damage(asset) == ()
        assert store.usage().files == 7
        store.close()
    assert states == {(2, 3), (2, 4), (2, 5), (1, 5)}
