"""Any bytes for an answer: the downloader ends in a file or a code, in time, and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import itertools
import pathlib
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcache.core import Fetched, FetchPolicy, ImageError, Limits, NotModified, Validators
from imgcache.downloader import Downloader, Guard
from imgcache.downloader.http.tls import ssl_context
from tests.support.faults import IMAGE
from tests.support.network import contents, sniff

LIMITS = Limits(bytes=20_000, connect=1.0, read=0.05, total=0.1, redirects=2)
ZIPPED = gzip.compress(IMAGE)

_line = st.one_of(
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 304 Not Modified", b"HTTP/1.0 200", b"HTTP/1.1 302 Found"]),
    st.sampled_from([b"HTTP/1.1 103 Early", b"HTTP/1.1 999 x", b"HTTP/2 200", b"HTTP/1.1 -1 x", b"HTTP/1.1 2000 x"]),
    st.builds(lambda status, text: b"HTTP/1.1 %d %s" % (status, text), st.integers(0, 999), st.binary(max_size=8)),
    st.binary(max_size=20),
)
_name = st.one_of(
    st.sampled_from([b"Content-Length", b"Transfer-Encoding", b"Content-Encoding", b"Location", b"Connection"]),
    st.sampled_from(
        [b"ETag", b"Last-Modified", b"Retry-After", b"X-Robots-Tag", b"Set-Cookie", b"Trailer", b"Upgrade"]
    ),
    st.binary(max_size=6),
)
_value = st.one_of(
    st.sampled_from([b"%d" % len(IMAGE), b"%d" % len(ZIPPED), b"0", b"5", b"-1", b"+5", b"5, 5", b"9" * 30, b"0x10"]),
    st.sampled_from([b"chunked", b"gzip", b"deflate", b"br", b"identity", b"gzip, chunked", b"chunked, chunked"]),
    st.sampled_from([b"close", b"keep-alive", b"upgrade", b"/", b"//[", b"?1", b"http://127.0.0.1:1/", b"ftp://e.org"]),
    st.binary(max_size=20),
    st.just(b"x" * 9000),
)
_field = st.builds(
    lambda name, colon, value: name + colon + value, _name, st.sampled_from([b": ", b":", b" : "]), _value
)
_good_field = st.builds(
    lambda name, value: name + b": " + value,
    st.sampled_from(
        [b"Content-Encoding", b"Location", b"Connection", b"ETag", b"Retry-After", b"X-Robots-Tag", b"Upgrade"]
    ),
    st.sampled_from(
        [b"gzip", b"br", b"close", b"keep-alive", b"upgrade", b"/", b"//[", b"?1", b"ftp://e.org", b'"\xfc"', b"9"]
    ),
)
_chunk = st.one_of(
    st.binary(max_size=30).map(lambda data: b"%x\r\n%s\r\n" % (len(data), data)),
    st.sampled_from([b"%x\r\n%s\r\n" % (len(IMAGE), IMAGE), b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"zz\r\n", b"-1\r\n"]),
    st.sampled_from([b"5;a=b\r\nhello\r\n", b"f" * 17 + b"\r\n", b"5\r\nhi", b"00005\nhello\n", b"5\r\nhello!!\r\n"]),
)
_body = st.one_of(
    st.sampled_from([IMAGE, IMAGE[:100], ZIPPED, ZIPPED[:50], b"", b"<html>"]),
    st.lists(_chunk, max_size=5).map(b"".join),
    st.just(IMAGE).map(lambda image: image * 5),  # more than limits.bytes
    st.binary(max_size=60),
)


@st.composite
def _answers(draw: st.DrawFn) -> bytes:
    """A response with one to all of its parts made up: what is wrong everywhere is refused at its first line."""
    made_up = draw(st.sets(st.sampled_from(["line", "fields", "odd fields", "framing", "body", "tear"]), min_size=1))
    line = draw(_line) if "line" in made_up else b"HTTP/1.1 200 OK"
    body = draw(_body) if "body" in made_up else IMAGE
    fields = draw(st.lists(_good_field, max_size=4)) if "fields" in made_up else []
    fields += draw(st.lists(_field, max_size=3)) if "odd fields" in made_up else []
    if "framing" not in made_up:
        fields.append(b"Content-Length: %d" % len(body))
    elif draw(st.booleans()):
        fields.append(b"Transfer-Encoding: chunked")
        body = draw(st.lists(_chunk, max_size=5).map(b"".join)) + draw(st.sampled_from([b"0\r\n\r\n", b""]))
    whole = b"\r\n".join([line, *fields, b"", b""]) + body
    if "tear" in made_up:
        at = draw(st.integers(0, len(whole)))
        whole = whole[:at] + draw(st.binary(max_size=5)) + whole[at + draw(st.integers(0, 3)) :]
    return draw(st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n"])) + whole


class Speaker:
    """Sends the same bytes to every request, in the pieces of a test, and then closes the connection, or does not."""

    def __init__(self, answer: bytes, cuts: list[int], hangs_up: bool) -> None:
        edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
        self._pieces = [answer[start:end] for start, end in itertools.pairwise(edges)]
        self._hangs_up = hangs_up

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                for piece in self._pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self._hangs_up:
                    break
        writer.transport.abort() if not self._hangs_up else writer.close()


async def _fetched(
    folder: pathlib.Path, speaker: Speaker, validators: Validators | None, respect_robots: bool
) -> Fetched | NotModified | ImageError:
    """Returns the downloader's result. Any other exception, also one in the event loop, fails the test."""
    stray: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: stray.append(context))
    server = await asyncio.start_server(speaker.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.png"
    fetching = Downloader(
        folder=folder,
        sniff=sniff,
        limits=LIMITS,
        policy=FetchPolicy(retries=0),
        guard=Guard(["127.0.0.0/8"]),
        respect_robots=respect_robots,
    )
    try:
        async with fetching:
            return await fetching.fetch(url, validators)
    except ImageError as error:
        return error
    finally:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        assert stray == []


@pytest.fixture(scope="module", autouse=True)
def _one_context() -> Iterator[None]:
    """Reads the system's unused certificates once: that is most of the time of an example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgcache.downloader.http.transport.ssl_context", functools.cache(ssl_context))
        yield


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    _answers(),
    st.lists(st.integers(0, 10_000), max_size=4),
    st.sampled_from([True, True, True, False]),
    st.booleans(),
    st.booleans(),
)
def test_any_bytes_end_in_a_file_or_a_code(
    tmp_path_factory: pytest.TempPathFactory,
    answer: bytes,
    cuts: list[int],
    hangs_up: bool,
    conditional: bool,
    respect_robots: bool,
) -> None:
    folder = tmp_path_factory.mktemp("fuzz", numbered=True)
    began = time.monotonic()
    speaker = Speaker(answer, cuts, hangs_up)
    ended = asyncio.run(_fetched(folder, speaker, Validators('"x"') if conditional else None, respect_robots))
    assert time.monotonic() - began < 2 * LIMITS.total + LIMITS.connect + 1.0
    if isinstance(ended, Fetched):
        [held] = contents(folder)
        assert len(held) == ended.bytes <= LIMITS.bytes
        assert held.startswith(b"\x89PNG")
        return
    assert contents(folder) == []
    if isinstance(ended, NotModified):
        assert conditional
        return
    assert ended.message.isprintable()
    assert len(ended.message) < 400
