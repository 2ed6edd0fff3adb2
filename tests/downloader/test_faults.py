"""One test for each fault: its code, its time, and no effect on other images."""

from __future__ import annotations

import asyncio
import pathlib
import time

import pytest
import trustme

from tests.support import large_downloads
from tests.support.faults import IMAGE, faults
from tests.support.network import LIMITS, contents, downloader, outcome


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """One authority, which is read faster than all of the system's; nothing here has a certificate."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    return file


@pytest.mark.parametrize(
    ("path", "code"),
    [
        *(("/good", "ok"), ("/chunks", "ok"), ("/until-close", "ok"), ("/interim", "ok"), ("/gzip", "ok")),
        *(("/deflate", "ok"), ("/too-long", "ok"), ("/stairs", "ok")),
        *(("/slow-body", "timeout"), ("/silent-body", "timeout"), ("/slow-headers", "timeout"), ("/silent", "timeout")),
        *(("/endless-headers", "connect"), ("/endless-field", "connect"), ("/many-headers", "connect")),
        *(("/interim-flood", "connect"), ("/two-lengths", "connect"), ("/garbage", "connect"), ("/reset", "connect")),
        *(("/early-close", "connect"), ("/bad-chunks", "truncated"), ("/late-bad-chunks", "truncated")),
        *(("/cut-chunks", "truncated"), ("/too-short", "truncated"), ("/gzip-cut", "truncated")),
        *(("/endless-chunks", "too-large"), ("/announces-much", "too-large"), ("/gzip-bomb", "too-large")),
        *(("/gzip-not", "undecodable"), ("/brotli", "undecodable"), ("/html", "not-an-image")),
        *(("/empty", "not-an-image"), ("/no-content", "http-status"), ("/partial", "http-status")),
        *(("/always-304", "http-status"), ("/gone", "http-status"), ("/missing", "http-status")),
        *(("/busy-for-hours", "http-status"), ("/escape", "http-status"), ("/loop-a", "redirects")),
        *(("/more-stairs", "redirects"), ("/nowhere", "redirects"), ("/to?ftp://e.org/", "bad-scheme")),
        *(("/to?https://u:p@e.org/", "bad-url"), ("/to?http://0x7f.1/", "bad-url")),
        ("/to?http://10.0.0.1/", "blocked-address"),
    ],
)
def test_a_fault_has_its_code_and_time_and_affects_no_other_image(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, authority: pathlib.Path, path: str, code: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            healthy = [origin.url(f"/slow-good?{n}") for n in range(6)]
            begun = time.monotonic()
            first, *others = await asyncio.gather(*(outcome(fetching, url) for url in [origin.url(path), *healthy]))
            assert first == code
            assert others == ["ok"] * 6
            assert time.monotonic() - begun < 4 * LIMITS.total
            again = await asyncio.gather(*(outcome(fetching, origin.url(f"/good?{n}")) for n in range(6)))
            assert again == ["ok"] * 6  # no connection was left in a state that hurts the next one

    asyncio.run(scene())
    assert contents(tmp_path) == [IMAGE] * (12 + (code == "ok"))


def test_memory_does_not_grow_with_the_size_of_downloads() -> None:
    """16 of 8 MB at once; `python -m tests.large_downloads` is the same with 64 of 50 MB."""
    told = asyncio.run(large_downloads.measured(16, 8_000_000))
    assert told["bytes"] == 128_000_000
    assert told["peak"] - told["before"] < 32_000_000
    assert told["peak"] < 120_000_000
