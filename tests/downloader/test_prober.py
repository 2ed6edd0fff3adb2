"""The prober on real sockets against servers that treat ranges in many ways, and over httpx."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import pathlib
import time

import httpx
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcache.core import PROBE_BYTES, Hop, ImageError, Limits, Size
from imgcache.downloader import ConnectTo
from tests.support.faults import Faults, faults, response
from tests.support.network import downloader, tls_origin
from tests.support.network import outcome as sync_outcome
from tests.support.probes import (
    DEEP,
    PICTURE,
    PROFILE,
    RANGE,
    SMALL,
    TOGETHER,
    TURNED,
    looked,
    outcome,
    prober,
    ranged,
)


def test_a_probe_returns_format_size_and_trace() -> None:
    async def scene() -> None:
        async with faults() as origin, prober() as looking:
            begun = time.monotonic()
            told = await looking.probe(origin.url("/look/moved"))
            assert (told.format, told.media_type, told.size) == ("jpeg", "image/jpeg", Size(400, 300))
            assert (told.total, told.received) == (len(PICTURE), PROBE_BYTES)
            assert told.head == hashlib.sha256(PICTURE[:PROBE_BYTES]).hexdigest()
            assert told.hops == (Hop(301, origin.url("/look/moved-on")), Hop(302, origin.url("/look/picture")))
            assert told.cookies == ("__id", "a\ufffd", "tracker")
            assert told.certificate_ends is None
            assert 0 < told.seconds <= time.monotonic() - begun
            assert all(TOGETHER in head for head in origin.requests)
            assert not any(b"ookie" in head for head in origin.requests)
            assert origin.connections == 1
            line = looking.statistics.hosts["127.0.0.1"]
            assert (line.requests, line.bytes, line.failures) == (3, PROBE_BYTES, 0)

    asyncio.run(scene())


def test_a_request_has_the_expected_header_fields() -> None:
    _, origin = looked("/look/picture")
    assert origin.requests[0].decode("ascii").split("\r\n") == [
        "GET /look/picture HTTP/1.1",
        f"Host: 127.0.0.1:{origin.port}",
        "User-Agent: imgcache/test (+https://e.org)",
        "Accept: image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.8",
        "Accept-Encoding: identity",
        "Range: bytes=0-32767",
        "",
        "",
    ]


def test_a_small_file_is_read_completely_and_may_be_a_single_pixel() -> None:
    told, origin = looked("/look/small")
    assert (told.size, told.total, told.received) == (Size(30, 20), len(SMALL), len(SMALL))
    assert told.head == hashlib.sha256(SMALL).hexdigest()
    assert len(origin.requests) == 1


def test_a_server_that_ignores_the_range_is_cut_off() -> None:
    told, origin = looked("/look/flood")
    assert (told.size, told.total, told.received) == (Size(400, 300), None, PROBE_BYTES)
    assert origin.open_connections == 0
    assert told.head == hashlib.sha256(PICTURE[:PROBE_BYTES]).hexdigest()


@pytest.mark.parametrize(
    ("path", "size", "requests", "condition"),
    [
        ("/look/turned", Size(300, 400), 2, b""),  # a weak validator says nothing of bytes
        ("/look/deep", Size(400, 300), 3, b'\r\nIf-Range: "v1"\r\n'),
    ],
)
def test_a_header_that_continues_elsewhere_is_followed(path: str, size: Size, requests: int, condition: bytes) -> None:
    told, origin = looked(path)
    assert told.size == size
    assert len(origin.requests) == requests
    assert all(condition in head and (b"If-Range" in head) == bool(condition) for head in origin.requests[1:])
    assert told.received <= PROBE_BYTES + (8192 if requests == 2 else 3 * 8192)


def test_a_deep_header_of_a_server_that_ignores_the_range_takes_one_request() -> None:
    told, origin = looked("/look/whole-deep")
    assert told.size == Size(400, 300)
    assert len(origin.requests) == 1
    assert len(PROFILE) < told.received < len(DEEP)


def test_an_image_that_changes_between_ranges_is_probed_again() -> None:
    told, origin = looked("/look/changes")
    assert (told.size, told.total, len(origin.requests)) == (Size(400, 300), len(PICTURE), 2)
    assert told.head == hashlib.sha256(PICTURE[:PROBE_BYTES]).hexdigest()


def test_a_compressed_body_is_decoded() -> None:
    told, _ = looked("/look/gzipped")
    assert (told.size, told.total) == (Size(300, 400), None)
    told, _ = looked("/look/gzipped-small")
    assert (told.size, told.total, told.head) == (Size(30, 20), len(SMALL), hashlib.sha256(SMALL).hexdigest())


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([], PICTURE[:PROBE_BYTES]),
        (["Content-Range: bytes 5-32767/99999"], PICTURE[5:PROBE_BYTES]),
        (["Content-Range: bytes 0-32767/100"], PICTURE[:PROBE_BYTES]),
        (["Content-Range: bytes 7-3/100"], b""),
        (["Content-Range: lines 0-1/2"], PICTURE[:PROBE_BYTES]),
        (["Content-Type: multipart/byteranges; boundary=x"], b"--x\r\nContent-Range: bytes 0-1/2\r\n\r\nab\r\n--x--"),
        (["Content-Range: bytes 0-32767/99999", "Content-Encoding: gzip"], gzip.compress(PICTURE)[:PROBE_BYTES]),
    ],
)
def test_an_invalid_partial_response_is_requested_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, fields: list[str], body: bytes
) -> None:
    from tests.support.faults import HANDLERS

    async def odd(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        is_odd = RANGE.search(head) or origin.counts["/look/odd"] > 2
        writer.write(response(body, "206 Partial Content", *fields) if is_odd else response(PICTURE))

    monkeypatch.setitem(HANDLERS, "/look/odd", odd)

    async def scene() -> None:
        async with faults() as origin, prober() as looking:
            told = await looking.probe(origin.url("/look/odd"))
            assert (told.size, told.received) == (Size(400, 300), PROBE_BYTES)
            assert [b"Range:" in head for head in origin.requests] == [True, False]
            assert await outcome(looking, origin.url("/look/odd")) == "http-status"

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("path", "code", "requests"),
    [
        ("/look/empty", "not-an-image", 2),  # 416, and then the emptiness itself
        ("/look/page", "not-an-image", 1),
        ("/look/cut", "undecodable", 1),
        ("/look/endless", "undecodable", 7),
    ],
)
def test_a_body_that_is_not_an_image_has_the_code_of_a_sync(path: str, code: str, requests: int) -> None:
    async def scene() -> None:
        async with faults() as origin, prober(limits=Limits(read=2.0)) as looking:
            assert await outcome(looking, origin.url(path)) == code
            assert len(origin.requests) == requests
            assert looking.statistics.bytes <= 1_048_576

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("path", "code"),
    [
        *(("/slow-headers", "timeout"), ("/silent", "timeout"), ("/endless-headers", "connect")),
        *(("/endless-field", "connect"), ("/many-headers", "connect"), ("/interim-flood", "connect")),
        *(("/two-lengths", "connect"), ("/garbage", "connect"), ("/reset", "connect"), ("/early-close", "connect")),
        *(("/announces-much", "too-large"), ("/brotli", "undecodable"), ("/html", "not-an-image")),
        *(("/gzip-not", "undecodable"), ("/no-content", "http-status"), ("/gone", "http-status")),
        *(("/missing", "http-status"), ("/busy-for-hours", "http-status"), ("/escape", "http-status")),
        *(("/loop-a", "redirects"), ("/more-stairs", "redirects"), ("/nowhere", "redirects")),
        *(("/to?ftp://e.org/", "bad-scheme"), ("/to?https://u:p@e.org/", "bad-url"), ("/empty", "not-an-image")),
        *(("/to?http://10.0.0.1/", "blocked-address"), ("/bad-chunks", "truncated"), ("/always-304", "http-status")),
    ],
)
def test_a_fault_has_the_code_of_a_sync(tmp_path: pathlib.Path, path: str, code: str) -> None:
    async def scene() -> None:
        async with faults() as origin, prober() as looking, downloader(tmp_path) as fetching:
            codes = await asyncio.gather(
                outcome(looking, origin.url(path)),
                sync_outcome(fetching, origin.url(path)),
                *(outcome(looking, origin.url("/look/picture")) for _ in range(4)),
            )
            assert codes == [code, code, "ok", "ok", "ok", "ok"]

    asyncio.run(scene())


def test_a_bot_wall_is_named_and_a_robots_rule_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.faults import HANDLERS

    async def wall(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(b"no", "403 Forbidden", "cf-mitigated: challenge"))

    async def tagged(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        await ranged(PICTURE, "X-Robots-Tag: noimageindex")(origin, writer, head)

    async def rules(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(b"User-agent: *\nDisallow: /look/small\n", "200 OK", "Content-Type: text/plain"))

    for path, handler in (("/look/wall", wall), ("/look/tagged", tagged), ("/robots.txt", rules)):
        monkeypatch.setitem(HANDLERS, path, handler)

    async def scene() -> None:
        async with faults() as origin, prober(respect_robots=True, respect_robots_tag=True) as looking:
            with pytest.raises(ImageError) as refused:
                await looking.probe(origin.url("/look/wall"))
            assert (refused.value.code, refused.value.status, refused.value.wall) == ("http-status", 403, "Cloudflare")
            assert await outcome(looking, origin.url("/look/tagged")) == "robots"
            assert await outcome(looking, origin.url("/look/small")) == "robots"
            assert origin.counts["/look/small"] == 0
            assert origin.counts["/robots.txt"] == 1

    asyncio.run(scene())


def test_an_image_announced_too_large_is_refused_from_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.faults import HANDLERS

    frames = io.BytesIO()
    Image.new("L", (30, 20)).save(
        frames, "PNG", save_all=True, append_images=[Image.new("L", (30, 20), shade) for shade in (50, 100, 150)]
    )
    monkeypatch.setitem(HANDLERS, "/look/frames", ranged(frames.getvalue()))
    bytes_, pixels, many = Limits(bytes=90_000), Limits(pixels=119_999), Limits(frames=3)

    async def code(path: str, limits: Limits) -> str:
        async with faults() as origin, prober(limits=limits) as looking:
            return await outcome(looking, origin.url(path))

    assert len(PICTURE) > 90_000
    assert asyncio.run(code("/look/picture", bytes_)) == "too-large"
    assert asyncio.run(code("/look/picture", pixels)) == "too-many-pixels"
    assert asyncio.run(code("/look/frames", many)) == "too-many-frames"
    assert asyncio.run(code("/look/frames", Limits(pixels=2_399))) == "too-many-pixels"
    assert asyncio.run(code("/look/frames", Limits(pixels=2_400, frames=4))) == "ok"


@pytest.mark.parametrize("body", [PICTURE, SMALL])
def test_the_expiry_of_the_certificate_is_reported(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    from tests.support.faults import HANDLERS

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    monkeypatch.setitem(HANDLERS, "/look/secure", ranged(body))

    async def scene() -> None:
        async with tls_origin(authority, "pics.example.org", days=10) as origin:
            rule = ConnectTo.parse(f"pics.example.org:443:127.0.0.1:{origin.port}")
            async with prober(connect_to=[rule]) as looking:
                for _ in range(2):  # the second on the same connection
                    told = await looking.probe("https://pics.example.org/look/secure")
                    assert told.certificate_ends == pytest.approx(time.time() + 10 * 86_400, abs=60)
                assert origin.connections == 1

    asyncio.run(scene())


FIELDS = ["Content-Length", "Content-Encoding", "Content-Range", "Location", "ETag", "Retry-After", "Set-Cookie"]
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
    st.sampled_from(
        ["gzip", "0", "5", "99999999999", "//e.org/b", "?1", "bytes 0-9/100", "bytes 0-32767/99999", '"e"']
    ),
    st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300)).map(lambda n: "bytes {}-{}/{}".format(*n)),
)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([200, 206, 206, 301, 304, 404, 416, 503]),
            st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
            st.one_of(
                st.binary(max_size=60), st.sampled_from([PICTURE[:300], SMALL, TURNED[:PROBE_BYTES], SMALL[:40]])
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_responses_end_in_a_result_or_a_code(answers: list[tuple[int, dict[str, str], bytes]]) -> None:
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        status, fields, content = answers[min(asked, len(answers) - 1)]
        asked += 1
        raw = [(name, value.encode("latin-1")) for name, value in fields.items()]
        return httpx.Response(status, headers=[(n.encode(), v) for n, v in raw], stream=httpx.ByteStream(content))

    async def scene() -> None:
        async with prober(transport=httpx.MockTransport(answer)) as looking, asyncio.timeout(20):
            await outcome(looking, "https://e.org/a")

    asyncio.run(scene())
    assert asked < 60
