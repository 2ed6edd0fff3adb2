"""Helpers for the tests of robots.txt: responses of an origin, and a downloader that obeys them."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Awaitable, Callable

import pytest

from imgcache.core import FetchPolicy, ImageError, Limits
from imgcache.downloader import Downloader, Guard
from tests.support.faults import HANDLERS, Faults, Handler, faults
from tests.support.network import LIMITS, Sleeper, sniff

FORBID_ALL = b"User-agent: *\nDisallow: /\n"

Scene = Callable[[Faults, Downloader], Awaitable[None]]
Says = Callable[[Handler | bytes], None]


def saying(patch: pytest.MonkeyPatch) -> Says:
    """Sets the responses of an origin for /robots.txt: complete responses, or a handler."""

    def set_to(answer: Handler | bytes) -> None:
        async def write(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
            assert isinstance(answer, bytes)
            writer.write(answer)

        patch.setitem(HANDLERS, "/robots.txt", write if isinstance(answer, bytes) else answer)

    return set_to


def polite(
    folder: pathlib.Path,
    *,
    sleep: Sleeper | None = None,
    limits: Limits = LIMITS,
    allow: str = "127.0.0.0/8",
    **policy: float | str,
) -> Downloader:
    return Downloader(
        folder=folder,
        sniff=sniff,
        limits=limits,
        policy=FetchPolicy(**({"retries": 0} | policy)),  # type: ignore[arg-type]
        guard=Guard([allow]),
        sleep=sleep or asyncio.sleep,
        monotonic=sleep.monotonic if sleep else time.monotonic,
        respect_robots=True,
    )


def play(folder: pathlib.Path, scene: Scene, **options: object) -> None:
    async def all_of_it() -> None:
        async with faults() as origin, polite(folder, **options) as fetching:  # type: ignore[arg-type]
            await scene(origin, fetching)

    asyncio.run(all_of_it())


async def error_of(fetching: Downloader, url: str) -> ImageError:
    with pytest.raises(ImageError) as caught:
        await fetching.fetch(url)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    return caught.value
