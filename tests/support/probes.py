"""What the tests of the prober share: images, servers that answer ranges in many ways, and a prober."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import re
import struct
from collections.abc import Callable, Sequence

import httpx
from PIL import Image

from imgcache.core import FetchPolicy, ImageError, Limits, ProbedImage
from imgcache.downloader import ConnectTo, Guard, Prober
from tests.support.faults import Faults, Handler, fault, faults, response
from tests.support.network import LIMITS

RANGE = re.compile(rb"\r\nRange: bytes=(\d+)-(\d+)\r\n")
TOGETHER = b"\r\nRange: bytes=0-32767\r\n"


def drawn(form: str = "JPEG", size: tuple[int, int] = (400, 300), **options: object) -> bytes:
    """Noise, so that it has about 100 KB."""
    out = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(out, form, quality=97, **options)
    return out.getvalue()


PICTURE = drawn()
SMALL = drawn("PNG", (30, 20))
EXIF = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
TURNED = drawn("WEBP", exif=EXIF)
PROFILE = b"".join(b"\xff\xe2" + struct.pack(">H", 60_002) + bytes(60_000) for _ in range(2))
DEEP = PICTURE[:2] + PROFILE + PICTURE[2:]
ENDLESS = PICTURE[:2] + PROFILE * 40


def ranged(body: bytes, *fields: str) -> Handler:
    """A server that follows RFC 9110, section 14."""

    async def handler(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        asked = RANGE.search(head)
        if not asked:
            writer.write(response(body, "200 OK", *fields))
            return
        start, last = int(asked[1]), min(int(asked[2]), len(body) - 1)
        if start > last:
            writer.write(response(b"", "416 Range Not Satisfiable", f"Content-Range: bytes */{len(body)}"))
            return
        where = f"Content-Range: bytes {start}-{last}/{len(body)}"
        writer.write(response(body[start : last + 1], "206 Partial Content", where, *fields))

    return handler


fault("/look/picture")(ranged(PICTURE, 'ETag: "v1"', "Set-Cookie: __id=1; Path=/; Secure", "Set-Cookie: a\x1b=2"))
fault("/look/small")(ranged(SMALL))
fault("/look/empty")(ranged(b""))
fault("/look/turned")(ranged(TURNED, 'ETag: W/"v1"'))
fault("/look/deep")(ranged(DEEP, 'ETag: "v1"'))
fault("/look/endless")(ranged(ENDLESS))
fault("/look/page")(ranged(b"<!doctype html><p>no"))
fault("/look/cut")(ranged(SMALL[:30]))


@fault("/look/moved")
async def moved(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"", "301 Moved Permanently", "Location: /look/moved-on", "Set-Cookie: tracker=1"))


@fault("/look/moved-on")
async def moved_on(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(b"", "302 Found", "Location: /look/picture"))


@fault("/look/flood")
async def flood(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Ignores Range and never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE)
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


@fault("/look/whole-deep")
async def whole_deep(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(DEEP))


@fault("/look/gzipped")
async def gzipped(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(gzip.compress(TURNED + bytes(5000)), "200 OK", "Content-Encoding: gzip"))


@fault("/look/gzipped-small")
async def gzipped_small(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.write(response(gzip.compress(SMALL), "200 OK", "Content-Encoding: gzip"))


@fault("/look/changes")
async def changes(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    """Another image from the second response on, as If-Range detects."""
    if origin.counts["/look/changes"] == 1:
        await ranged(DEEP, 'ETag: "old"')(origin, writer, head)
    else:
        assert b'\r\nIf-Range: "old"\r\n' in head
        writer.write(response(PICTURE, "200 OK", 'ETag: "new"'))


def prober(
    *,
    limits: Limits = LIMITS,
    retries: int = 0,
    guard: Guard | None = None,
    connect_to: Sequence[ConnectTo] = (),
    transport: httpx.AsyncBaseTransport | None = None,
    respect_robots: bool = False,
    respect_robots_tag: bool = False,
    sleep: Callable[[float], object] | None = None,
) -> Prober:
    return Prober(
        limits=limits,
        policy=FetchPolicy(user_agent="imgcache/test (+https://e.org)", retries=retries),
        guard=guard or Guard(["127.0.0.0/8"]),
        connect_to=connect_to,
        transport=transport,
        respect_robots=respect_robots,
        respect_robots_tag=respect_robots_tag,
        rng=random.Random(7),
    )


async def outcome(looking: Prober, url: str) -> str:
    """`ok`, or the code of the error, whose message must be fit for a terminal."""
    try:
        await looking.probe(url)
    except ImageError as error:
        assert error.message.isprintable()
        assert len(error.message) < 400
        return error.code
    return "ok"


def looked(path: str, **options: object) -> tuple[ProbedImage, Faults]:
    async def scene() -> tuple[ProbedImage, Faults]:
        async with faults() as origin, prober(**options) as looking:  # type: ignore[arg-type]
            return await looking.probe(origin.url(path)), origin

    return asyncio.run(scene())
