"""The downloader on real sockets against an origin that misbehaves, and over httpx with respx."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import pathlib

import httpx
import pytest
import respx
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.core import (
    ConfigError,
    DiskFull,
    Fetched,
    FetchPolicy,
    FetchTimeout,
    HttpStatus,
    ImageError,
    Limits,
    NotModified,
    Validators,
)
from imgcache.downloader import Downloader, HostStatistics
from tests.support.faults import BOMB, HANDLERS, IMAGE, Faults, faults, response
from tests.support.network import LIMITS, Sleeper, contents, downloader, outcome


def test_a_fetch_returns_the_file_and_its_metadata(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            got = await fetching.fetch(origin.url("/to?/good"))
            assert isinstance(got, Fetched)
            assert contents(tmp_path) == [IMAGE]
            assert pathlib.Path(got.path).parent == tmp_path
            assert got.digest == hashlib.sha256(IMAGE).hexdigest()
            assert (got.bytes, got.format) == (len(IMAGE), "png")
            assert got.validators == Validators('"v1"', "Sun, 06 Nov 1994 08:49:37 GMT")
            assert got.final_url == origin.url("/good")
            line = fetching.statistics.hosts["127.0.0.1"]
            assert (line.requests, line.bytes, line.failures) == (2, len(IMAGE), 0)
            assert fetching.statistics.bytes == len(IMAGE)
            assert line.seconds > 0

    asyncio.run(scene())


@pytest.mark.parametrize(
    "path", ["/good?a=%20%2F+;'&b=%7E~//x", "//good//%7Ea+b;c'd%2Fe", "/100%.png", "/[x]|^.png?^|[]`"]
)
def test_a_path_is_sent_unchanged(tmp_path: pathlib.Path, path: str) -> None:
    async def scene() -> bytes:
        async with faults() as origin, downloader(tmp_path) as fetching:
            await outcome(fetching, origin.url(path))
            return origin.requests[0]

    sent = path.partition("?")[0].replace("^", "%5E") + path[len(path.partition("?")[0]) :]
    assert asyncio.run(scene()).startswith(b"GET " + sent.encode() + b" HTTP/1.1\r\n")


def test_a_request_has_the_expected_header_fields(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    async def scene() -> Faults:
        async with faults() as origin, downloader(tmp_path) as fetching:
            await fetching.fetch(origin.url("/good"))
            return origin

    origin = asyncio.run(scene())
    assert origin.requests[0].decode("ascii").split("\r\n") == [
        "GET /good HTTP/1.1",
        f"Host: 127.0.0.1:{origin.port}",
        "User-Agent: imgcache/test (+https://e.org)",
        "Accept: image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.8",
        "Accept-Encoding: identity",
        "",
        "",
    ]


def test_a_304_is_accepted_only_for_a_request_with_validators(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            held = Validators('"v1"', "Sun, 06 Nov 1994 08:49:37 GMT")
            answer = await fetching.fetch(origin.url("/always-304"), held)
            assert answer == NotModified(Validators('"v2"', held.last_modified))
            assert (
                b'\r\nIf-None-Match: "v1"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n' in origin.requests[0]
            )
            with pytest.raises(HttpStatus):
                await fetching.fetch(origin.url("/always-304"), Validators('"a"\r\nX-Injected: 1', "ü" * 3))
            assert b"If-" not in origin.requests[1]
            assert b"Injected" not in origin.requests[1]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        ("/good", len(IMAGE), len(IMAGE)),
        ("/silent-body", len(IMAGE), len(IMAGE)),
        ("/endless-chunks", LIMITS.bytes, 2 * LIMITS.bytes),
        ("/gzip-bomb", 1, len(BOMB)),
        ("/missing", 0, 0),
    ],
)
def test_received_bytes_are_counted_even_if_the_fetch_fails(
    tmp_path: pathlib.Path, path: str, least: int, most: int
) -> None:
    async def scene() -> None:
        limits = Limits(bytes=LIMITS.bytes, read=0.4)
        async with faults() as origin, downloader(tmp_path, retries=1, limits=limits, sleep=Sleeper()) as fetching:
            spent = HostStatistics()
            with contextlib.suppress(ImageError):
                await fetching.fetch(origin.url(path), spent=spent)
            tries = origin.counts[path]
            assert least * tries <= spent.bytes <= most * tries
            assert fetching.statistics.bytes == spent.bytes

    asyncio.run(scene())


def test_a_shared_request_is_counted_once(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            spent = [HostStatistics(), HostStatistics()]
            await asyncio.gather(*(fetching.fetch(origin.url("/slow-good"), spent=one) for one in spent))
            assert [one.bytes for one in spent] == [len(IMAGE), 0]

    asyncio.run(scene())


def test_a_busy_server_gets_fewer_simultaneous_requests(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers at once, since most of the time is waiting."""
    statuses = ("429 Too Many Requests", "503 Service Unavailable")

    async def scene(origin: Faults, status: str) -> None:
        at_work = most = 0

        async def busy_at_first(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
            nonlocal at_work, most
            number = origin.counts[path]
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0.2 if number <= 6 else 1.0)
            at_work -= 1
            writer.write(response(b"later", status) if number <= 6 else response())

        path = f"/busy-{status[:3]}"
        monkeypatch.setitem(HANDLERS, path, busy_at_first)
        limits = Limits(bytes=1_000_000, read=5.0, total=5.0)
        async with downloader(tmp_path, limits=limits) as fetching:
            first = await asyncio.gather(*(outcome(fetching, origin.url(f"{path}?{n}")) for n in range(6)))
            assert (first, most) == (["http-status"] * 6, 6)
            most = 0
            then = await asyncio.gather(*(outcome(fetching, origin.url(f"{path}?a{n}")) for n in range(7)))
            assert (then, most) == (["ok"] * 7, 3)  # half of fetch.per_host

    async def scenes() -> None:
        async with faults() as origin, asyncio.TaskGroup() as group:
            for status in statuses:
                group.create_task(scene(origin, status))

    asyncio.run(scenes())


def test_an_unknown_host_name_is_a_dns_failure(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with downloader(tmp_path) as fetching:
            assert await outcome(fetching, "http://no-such-name.invalid/x.png") == "dns"

    asyncio.run(scene())


def test_two_callers_make_one_request_and_get_a_file_each(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            url = origin.url("/slow-good")
            tasks = [asyncio.create_task(fetching.fetch(u)) for u in (url, url + "#a", " " + url, url)]
            await asyncio.sleep(0.01)
            tasks[0].cancel()  # the one that asks; the next in line takes over
            tasks[3].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            paths = {got.path for got in results if isinstance(got, Fetched)}
            assert len(paths) == 2
            assert origin.counts["/slow-good"] == 2  # the cancelled one, and the one that counts
            both = await asyncio.gather(*(outcome(fetching, origin.url("/gone")) for _ in range(3)))
            assert both == ["http-status"] * 3
            assert origin.counts["/gone"] == 1

    asyncio.run(scene())
    assert contents(tmp_path) == [IMAGE] * 2


@pytest.mark.parametrize("path", ["/slow-body", "/silent", "/endless-headers"])
def test_a_cancelled_fetch_leaves_no_file(tmp_path: pathlib.Path, path: str) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            task = asyncio.create_task(fetching.fetch(origin.url(path)))
            await asyncio.sleep(0.05)  # in the midst of it
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await outcome(fetching, origin.url("/good")) == "ok"

    asyncio.run(scene())
    assert contents(tmp_path) == [IMAGE]


def test_a_folder_that_cannot_be_written_is_disk_full(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path / "none") as fetching:
            with pytest.raises(DiskFull, match="none cannot be written"):
                await fetching.fetch(origin.url("/good"))

    asyncio.run(scene())


def test_a_full_disk_is_disk_full_and_leaves_no_file(tmp_path: pathlib.Path) -> None:
    resource = pytest.importorskip("resource")

    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # writing beyond: EFBIG (SIGXFSZ is ignored)
            try:
                assert await outcome(fetching, origin.url("/good")) == "disk-full"
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

    asyncio.run(scene())
    assert list(tmp_path.iterdir()) == []


def test_a_user_agent_with_a_line_break_is_a_config_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="user_agent"):
        downloader(tmp_path, policy=FetchPolicy(user_agent="a\r\nX: 1"))


@pytest.fixture
def router() -> respx.Router:
    return respx.Router(assert_all_called=False)


def over(router: respx.Router, folder: pathlib.Path, retries: int = 0) -> Downloader:
    return downloader(folder, transport=httpx.MockTransport(router.async_handler), sleep=Sleeper(), retries=retries)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (httpx.ConnectTimeout, "timeout"),
        (httpx.ReadTimeout, "timeout"),
        (httpx.ConnectError, "connect"),
        (httpx.ReadError, "connect"),
        (httpx.RemoteProtocolError, "connect"),
        (httpx.UnsupportedProtocol, "bad-url"),
    ],
)
def test_every_exception_of_an_httpx_transport_has_a_code(
    tmp_path: pathlib.Path, router: respx.Router, raised: type[httpx.TransportError], code: str
) -> None:
    async def scene() -> None:
        route = router.get("https://e.org/a.png").mock(side_effect=raised("no\x1b"))
        async with over(router, tmp_path, retries=2) as fetching:
            assert await outcome(fetching, "https://e.org/a.png") == code
            assert route.call_count == (1 if code == "bad-url" else 3)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("length", "code"), [(len(IMAGE) + 1, "truncated"), (len(IMAGE) - 1, "truncated"), (10**7, "too-large")]
)
def test_the_announced_length_is_checked_for_any_transport(
    tmp_path: pathlib.Path, router: respx.Router, length: int, code: str
) -> None:
    async def scene() -> None:
        answer = httpx.Response(200, headers={"Content-Length": str(length)}, stream=httpx.ByteStream(IMAGE))
        router.get("https://e.org/a.png").mock(return_value=answer)
        async with over(router, tmp_path) as fetching:
            assert await outcome(fetching, "https://e.org/a.png") == code

    asyncio.run(scene())
    assert contents(tmp_path) == []


def test_redirects_respect_the_limits_of_each_host(tmp_path: pathlib.Path, router: respx.Router) -> None:
    async def scene() -> None:
        router.get("https://a.org/x").mock(
            return_value=httpx.Response(302, headers=[(b"Location", "http://b.org/ü".encode())])
        )
        router.get("http://b.org/%C3%BC").mock(
            return_value=httpx.Response(200, content=IMAGE, headers={"X-Robots-Tag": "noai\t, noimageindex"})
        )
        async with over(router, tmp_path) as fetching:
            got = await fetching.fetch("//a.org/x#y")
            assert isinstance(got, Fetched)
            assert got.final_url == "http://b.org/%C3%BC"
            assert got.robots_tag == "noai\ufffd, noimageindex"
            assert {host: line.requests for host, line in fetching.statistics.hosts.items()} == {"a.org": 1, "b.org": 1}

    asyncio.run(scene())


def test_the_total_time_includes_all_hops(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async def slow(request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(0.2)
            step = int(request.url.query or b"0")
            return httpx.Response(302, headers={"Location": f"?{step + 1}"})

        limits = Limits(total=0.5, redirects=20)
        async with downloader(tmp_path, transport=httpx.MockTransport(slow), limits=limits) as fetching:
            with pytest.raises(FetchTimeout, match=r"limits\.total"):
                await fetching.fetch("https://e.org/")
            assert 2 <= fetching.statistics.requests <= 3

    asyncio.run(scene())


FIELDS = ["Content-Length", "Content-Encoding", "Location", "ETag", "Retry-After", "X-Robots-Tag", "Last-Modified"]
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
    st.sampled_from(["gzip", "deflate", "br", "0", "5", "99999999999", "//e.org/b", "ftp://e.org", "?1", "http://["]),
)


@settings(max_examples=150)
@given(
    st.sampled_from([200, 200, 203, 204, 206, 301, 304, 307, 404, 429, 500, 599]),
    st.dictionaries(st.sampled_from(FIELDS), VALUES),
    st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda tail: IMAGE + tail)),
    st.booleans(),
)
def test_any_answer_ends_in_a_file_or_a_code(
    tmp_path_factory: pytest.TempPathFactory, status: int, fields: dict[str, str], content: bytes, conditional: bool
) -> None:
    folder = tmp_path_factory.mktemp("answers", numbered=True)

    async def respond(_: httpx.Request) -> httpx.Response:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))

    async def scene() -> None:
        transport = httpx.MockTransport(respond)
        async with downloader(folder, transport=transport, sleep=Sleeper()) as fetching:
            answer = None
            with contextlib.suppress(ImageError):
                answer = await fetching.fetch("https://e.org/a", Validators('"x"') if conditional else None)
            assert len(contents(folder)) == isinstance(answer, Fetched)
            if isinstance(answer, NotModified):
                assert conditional
                assert status == 304

    asyncio.run(scene())
