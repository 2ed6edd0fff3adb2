"""What the tests of the network share: a downloader with short limits, DNS and sleep of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import pathlib
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from imgcache.core import FetchPolicy, ImageError, Limits, NotAnImage
from imgcache.downloader import ConnectTo, Downloader, Guard
from tests.support.faults import Faults, faults

LIMITS = Limits(bytes=1_000_000, connect=2.0, read=0.8, total=2.0)  # a busy machine may stand still for half a second


def sniff(head: bytes) -> str | None:
    if head.lstrip().startswith(b"<"):
        raise NotAnImage("this is a page")
    return "png" if head.startswith(b"\x89PNG") else None


class Sleeper:
    """Takes no time, and remembers what was asked of it."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.waits)


def downloader(
    folder: pathlib.Path,
    *,
    guard: Guard | None = None,
    names: Names | None = None,
    retries: int = 0,
    limits: Limits = LIMITS,
    policy: FetchPolicy | None = None,
    connect_to: Sequence[ConnectTo] = (),
    transport: httpx.AsyncBaseTransport | None = None,
    sleep: Sleeper | None = None,
    clock: Callable[[], float] = time.time,
    respect_robots: bool = False,
) -> Downloader:
    return Downloader(
        folder=folder,
        sniff=sniff,
        limits=limits,
        policy=policy or FetchPolicy(user_agent="imgcache/test (+https://e.org)", retries=retries),
        guard=guard or Guard(["127.0.0.0/8"]),
        resolver=names,
        connect_to=connect_to,
        transport=transport,
        sleep=sleep or asyncio.sleep,
        monotonic=sleep.monotonic if sleep else time.monotonic,
        clock=clock,
        rng=random.Random(7),
        respect_robots=respect_robots,
    )


def contents(folder: pathlib.Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.iterdir()]


async def outcome(fetching: Downloader, url: str) -> str:
    """`ok`, or the code of the error, whose message must be fit for a terminal."""
    try:
        await fetching.fetch(url)
    except ImageError as error:
        assert error.message.isprintable()
        assert len(error.message) < 400
        return error.code
    return "ok"


class Names(AbstractResolver):
    """DNS with the answers of a test; each name may answer differently each time it is asked."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(rounds) for name, rounds in answers.items()}
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked += 1
        rounds = self.answers.get(host)
        if not rounds:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def tls_origin(authority: trustme.CA, *names: str, days: int = 1) -> AsyncIterator[Faults]:
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    starts = expires - datetime.timedelta(days=10)
    authority.issue_cert(*names, not_before=starts, not_after=expires).configure_cert(context)
    async with faults(context) as origin:
        yield origin
