"""With a low limit on open files, a run continues more slowly, with any number of hosts."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import NoOpenFiles, StoreError, contain_image_errors, descriptors
from imgcache.core.unexpected import WAITS
from tests.conftest import ROOT, MakeSite, article
from tests.support.network import Sleeper, downloader, outcome

CONFIG = "allow_networks: [127.0.0.0/8]\nvariants: [{name: w4, width: 4, format: webp, effort: 0}]\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of an origin in another process; every address of 127.0.0.0/8 is a separate host."""
    command = [sys.executable, str(ROOT / "scripts/benches/bench_origin.py"), "tiny"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as origin:
        assert origin.stdout is not None
        assert origin.stdin is not None
        yield int(origin.stdout.readline())
        origin.stdin.close()


def _at_most(files: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def _run(limit: tuple[int, int], command: str, site: Path) -> tuple[int, dict[str, object], str]:
    ended = subprocess.run(
        [sys.executable, "-m", "imgcache", command, str(site), "--json"],
        check=False, capture_output=True, text=True, timeout=120, cwd=ROOT, preexec_fn=_at_most(*limit),
    )  # fmt: skip
    return ended.returncode, msgspec.json.decode(ended.stdout or "{}"), ended.stderr


@pytest.mark.parametrize(("limit", "hosts"), [((64, 64), 60), ((64, 1024), 60)])
def test_a_sync_completes_with_more_hosts_than_descriptors(
    make_site: MakeSite, port: int, limit: tuple[int, int], hosts: int
) -> None:
    images = [(f"http://127.0.1.{number + 1}:{port}/a.jpg", 8, 8) for number in range(hosts)]
    site = make_site({"a.md": article(*images), "imgcache.yml": CONFIG})
    code, report, log = _run(limit, "sync", site)
    assert (code, report["cached"], report["flags_set"]) == (0, hosts, hosts), log
    is_tight = limit[1] == 64
    assert ("requests at once instead of 64 (fetch.concurrency): at most 64 files" in log) == is_tight


def test_an_audit_completes_with_more_hosts_than_descriptors(make_site: MakeSite, port: int) -> None:
    images = [(f"http://127.0.2.{number + 1}:{port}/a.jpg", 8, 8) for number in range(80)]
    site = make_site({"a.md": article(*images), "imgcache.yml": CONFIG})
    code, report, log = _run((64, 64), "audit", site)
    assert code == 0, log
    assert report["summary"]["by_rule"] == {"not-secure": 80}  # type: ignore[index]


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(1, 500))
def test_the_divided_descriptors_fit_below_the_limit(limit: int, in_use: int, wanted: int) -> None:
    room = descriptors.compute_limits(limit, in_use, wanted)
    assert 1 <= room.requests <= wanted
    assert 0 <= room.idle <= descriptors.MAX_IDLE_CONNECTIONS
    if room.requests > 1 or room.idle:
        assert in_use + descriptors.RESERVE + 3 * room.requests + room.idle <= limit
    if limit >= in_use + descriptors.RESERVE + 3 * wanted:
        assert room.requests == wanted


def test_the_soft_limit_is_raised_as_far_as_permitted() -> None:
    script = "from imgcache.core.descriptors import raise_descriptor_limit as up; print(up(), up())"
    command = [sys.executable, "-c", script]
    for soft, hard in ((100, 200), (200, 200)):
        ended = subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=ROOT, preexec_fn=_at_most(soft, hard)
        )
        assert ended.stdout.split() == ["200", "200"]


def test_a_lack_of_sockets_does_not_blame_a_host(tmp_path: Path) -> None:
    async def scene() -> list[str]:
        async with downloader(tmp_path) as fetching:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            full = os.dup(0)  # the lowest number that is free: none below it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (full + 1, hard))
            try:
                urls = [f"http://{host}:1/{number}" for host in ("127.0.0.1", "localhost") for number in range(7)]
                return [await outcome(fetching, url) for url in urls]
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                os.close(full)

    assert asyncio.run(scene()) == ["open-files"] * 14


def _failing(times: int, error: Exception) -> Callable[[], object]:
    left = iter([error] * times)

    async def work() -> str:
        for each in left:
            raise each
        return "done"

    return work


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_work_is_retried_when_descriptors_are_free(number: int) -> None:
    sleeper, error = Sleeper(), StoreError("cannot be written")
    error.__cause__ = OSError(number, os.strerror(number))
    work = _failing(len(WAITS), error)
    assert asyncio.run(contain_image_errors(work, "https://e.org/a", sleep=sleeper)) == "done"  # type: ignore[arg-type]
    assert sleeper.waits == list(WAITS)
    forever = _failing(99, OSError(number, os.strerror(number)))
    with pytest.raises(NoOpenFiles, match="ulimit -n"):
        asyncio.run(contain_image_errors(forever, "https://e.org/a", sleep=sleeper))  # type: ignore[arg-type]
