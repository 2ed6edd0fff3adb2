"""Good manners: robots.txt as RFC 9309 has it, on real sockets and through `imgcache sync`."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import pathlib
import shutil
import time
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protego import Protego

from examples.origin import Answer, Origin
from examples.origin.drawing import draw
from imgcache.downloader import Downloader
from imgcache.errors import ImageError, Robots
from imgcache.models import FetchPolicy, Limits
from imgcache.net import robots
from imgcache.net.guard import Guard
from imgcache.net.robots_tag import forbidden_by
from tests.conftest import Command, MakeSite, article, picture
from tests.faults import HANDLERS, IMAGE, Faults, Handler, faults, response
from tests.network import LIMITS, Sleeper, contents, outcome, sniff

A = "https://pictures.example/a/1.jpg"
B = "https://pictures.example/b/2.jpg"
FORBID_ALL = b"User-agent: *\nDisallow: /\n"

Scene = Callable[[Faults, Downloader], Awaitable[None]]
Says = Callable[[Handler | bytes], None]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    """Sets what an origin says for /robots.txt: whole responses, or a handler."""

    def set_to(answer: Handler | bytes) -> None:
        async def write(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
            assert isinstance(answer, bytes)
            writer.write(answer)

        monkeypatch.setitem(HANDLERS, "/robots.txt", write if isinstance(answer, bytes) else answer)

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


async def told(fetching: Downloader, url: str) -> ImageError:
    with pytest.raises(ImageError) as caught:
        await fetching.fetch(url)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    return caught.value


# -- what a site owner and a user see --------------------------------------------------------------------------------


def test_what_robots_txt_forbids_is_not_asked_for_and_the_rest_is(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    for url in (A, B):
        origin.answers.set(url, picture(40, 30))
    rules = b"User-agent: *\nDisallow: /\n\nUser-agent: ImgCache/1.0\nDisallow: /a/\n"
    origin.answers.set("https://pictures.example/robots.txt", Answer(body=rules, media_type="text/plain"))
    site = make_site({"a.md": article((A, 40, 30), (B, 40, 30))})
    ended = run("sync", site, "--json")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["code"], problem["url"], problem["retryable"]) == (1, "robots", A, False)
    assert "https://pictures.example/robots.txt asks imgcache not to fetch this" in problem["message"]
    assert problem["references"][0]["line"] == 4
    assert (origin.requests[A], origin.requests[B]) == (0, 1)
    assert (site / "a.md").read_text().count("isCached: true") == 1


def test_once_an_origin_and_run_and_not_where_there_is_nothing_to_do(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    urls = [f"https://pictures.example/{n}.jpg" for n in range(30)] + ["http://pictures.example/x.jpg"]
    for url in urls:
        origin.answers.set(url, picture(40, 30))
    site = make_site({"a.md": article(*((url, 40, 30) for url in urls))})
    assert run("sync", site).code == 0
    assert origin.requests["http://pictures.example/robots.txt"] == 2  # http and https are two origins
    assert run("sync", site).code == 0
    assert origin.requests["http://pictures.example/robots.txt"] == 2


def test_respect_robots_false_does_not_ask(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    origin.answers.set("https://pictures.example/robots.txt", Answer(body=FORBID_ALL))
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": "respect_robots: false\n"})
    assert run("sync", site).code == 0
    assert origin.requests["https://pictures.example/robots.txt"] == 0


def test_a_held_copy_stays_where_robots_txt_forbids_it_later(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    origin.answers.set("https://pictures.example/robots.txt", Answer(body=FORBID_ALL))
    ended = run("sync", site, "--refresh", "--json")
    assert [(problem["code"], problem["severity"]) for problem in ended.json()["problems"]] == [("robots", "warning")]
    assert (ended.code, origin.requests[A]) == (0, 1)


# -- what an answer means (RFC 9309, section 2.3.1) ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (response(FORBID_ALL, "200 OK"), "robots"),
        (response(FORBID_ALL, "200 OK", "Content-Type: text/html"), "robots"),
        (response(b"\xef\xbb\xbf" + FORBID_ALL.replace(b"\n", b"\r")), "robots"),
        (response(gzip.compress(FORBID_ALL), "200 OK", "Content-Encoding: gzip"), "robots"),
        (response(FORBID_ALL, "203 Non-Authoritative Information"), "robots"),
        (response(b"User-agent: *\nDisallow:\n"), "ok"),
        (response(b""), "ok"),
        *((response(FORBID_ALL, f"{status} No"), "ok") for status in (300, 400, 401, 403, 404, 410, 429)),
        (response(b"", "304 Not Modified"), "ok"),
        *((response(b"", f"{status} No"), "robots") for status in (500, 503, 599)),
        (response(b"<!doctype html>\nUser-agent: *\nDisallow: /\n"), "ok"),
        (response(IMAGE + b"\n" + FORBID_ALL), "ok"),
        (response(FORBID_ALL, "200 OK", "Content-Encoding: br"), "ok"),
        (response(FORBID_ALL, "200 OK", "Content-Encoding: gzip"), "ok"),
        (response(b"", "302 Found"), "ok"),
        (response(b"", "302 Found", "Location: ftp://e.org/robots.txt"), "ok"),
        (response(b"", "302 Found", "Location: http://u:p@e.org/"), "ok"),
        (response(b"", "302 Found", "Location: /robots.txt"), "ok"),  # for ever
        (response(b"", "302 Found", "Location: http://10.0.0.1/robots.txt"), "ok"),
        (response(b"", "302 Found", "Location: http://127.0.0.1:1/robots.txt"), "robots"),
        (response(b"", "302 Found", "Location: /silent"), "robots"),
        (response(FORBID_ALL, length=1000), "timeout"),
        (b"SSH-2.0-OpenSSH_9.9\x1b[31m\r\n", "connect"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "truncated"),
    ],
)
def test_what_an_answer_means(tmp_path: pathlib.Path, says: Says, answer: bytes, code: str) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(answer)
        assert await outcome(fetching, origin.url("/good")) == code
        assert origin.counts["/good"] == (code == "ok")

    play(tmp_path, scene, limits=Limits(connect=1.0, read=0.2, total=0.5))
    assert len(contents(tmp_path)) == (code == "ok")


def test_a_server_error_closes_the_origin_for_this_run_and_says_so(tmp_path: pathlib.Path, says: Says) -> None:
    sleeper = Sleeper()

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"", "503 Service\x9b31m"))
        errors = [await told(fetching, origin.url("/good"))]
        waited = len(sleeper.waits)
        errors += [await told(fetching, origin.url(f"/good?{n}")) for n in range(2)]
        assert len(sleeper.waits) == waited  # nobody waits for what this run will not change
        assert all(isinstance(error, Robots) and error.retryable for error in errors)
        assert "the server answered 503 Service Unavailable" in errors[0].message
        assert "nothing is fetched from there in this run; try again later" in errors[0].message
        assert origin.counts == {"/robots.txt": 2}

    play(tmp_path, scene, sleep=sleeper, retries=1)


def test_a_server_error_that_passes_is_asked_again(tmp_path: pathlib.Path, says: Says) -> None:
    async def twice_busy(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(b"", "503 Busy") if origin.counts["/robots.txt"] < 3 else response(b"User-agent: *\n"))

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(twice_busy)
        assert await outcome(fetching, origin.url("/good")) == "ok"
        assert origin.counts == {"/robots.txt": 3, "/good": 1}

    play(tmp_path, scene, sleep=Sleeper(), retries=2)


@pytest.mark.parametrize(("hops", "code"), [(5, "robots"), (6, "ok")])
def test_five_redirects_are_followed(tmp_path: pathlib.Path, says: Says, hops: int, code: str) -> None:
    async def stairs(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        step = int(head.split(b" ")[1].partition(b"?")[2] or b"0")
        moved = response(b"", "301 Moved", f"Location: /robots.txt?{step + 1}")
        writer.write(response(FORBID_ALL) if step == hops else moved)

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(stairs)
        assert await outcome(fetching, origin.url("/good")) == code
        assert origin.counts["/robots.txt"] == 6

    play(tmp_path, scene)


def test_the_rules_of_where_robots_txt_has_moved_to_are_for_where_it_was(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        async with faults() as other:

            async def moved(served: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
                there = response(b"", "301 Moved", f"Location: {other.url('/robots.txt')}")
                writer.write(response(FORBID_ALL) if served is other else there)

            says(moved)
            assert await outcome(fetching, origin.url("/good")) == "robots"
            assert (dict(origin.counts), dict(other.counts)) == ({"/robots.txt": 1}, {"/robots.txt": 1})

    play(tmp_path, scene)


def test_an_address_that_is_not_public_is_not_asked_for_robots_txt_either(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        assert await outcome(fetching, origin.url("/good")) == "blocked-address"
        assert origin.connections == 0

    play(tmp_path, scene, allow="192.0.2.0/24")


@pytest.mark.parametrize("filler", [b"#" * 79 + b"\n", b"Allow: /" + b"x" * 71 + b"\n"])
def test_five_hundred_kibibytes_are_read_and_no_line_is_cut(tmp_path: pathlib.Path, says: Says, filler: bytes) -> None:
    head = b"User-agent: *\nDisallow: /first\n"
    body = head + filler * ((robots.LARGEST - len(head) - 10) // len(filler))
    body += b"#" * (robots.LARGEST - len(body) - 13) + b"\nDisallow: /good-not-all\n"  # cut: "Disallow: /g"

    async def endless(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(body, length=10**9))
        while True:
            writer.write(filler * 100)
            await writer.drain()

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(endless)
        assert await outcome(fetching, origin.url("/good")) == "ok"
        assert await outcome(fetching, origin.url("/first")) == "robots"
        assert fetching.statistics.bytes < robots.LARGEST + 2_000_000

    play(tmp_path, scene, limits=Limits(total=20.0))


# -- who asks, and when ----------------------------------------------------------------------------------------------


def test_one_request_however_many_wait_and_the_next_asks_where_the_first_is_gone(
    tmp_path: pathlib.Path, says: Says
) -> None:
    async def slow(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        await asyncio.sleep(0.1)
        writer.write(response(b"User-agent: *\nDisallow: /x\n"))

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(slow)
        tasks = [asyncio.create_task(outcome(fetching, origin.url(f"/good?{n}"))) for n in range(20)]
        await asyncio.sleep(0.03)
        tasks[0].cancel()
        assert await asyncio.gather(*tasks[1:]) == ["ok"] * 19
        assert origin.counts == {"/robots.txt": 2, "/good": 19}

    play(tmp_path, scene)


def test_every_hop_is_asked_about(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        async with faults() as other:

            async def forbids(served: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
                writer.write(response(FORBID_ALL) if served is other else response(b"User-agent: *\nDisallow: /html\n"))

            says(forbids)
            assert await outcome(fetching, origin.url(f"/to?{other.url('/good')}")) == "robots"
            assert await outcome(fetching, origin.url("/to?/html")) == "robots"
            assert other.counts == {"/robots.txt": 1}
            assert origin.counts == {"/robots.txt": 1, "/to": 2}

    play(tmp_path, scene)


def test_a_host_that_is_down_fails_as_if_robots_txt_were_not(tmp_path: pathlib.Path) -> None:
    never = "http://127.0.0.1:1/x.png"

    async def one_by_one(_: Faults, fetching: Downloader) -> None:
        codes = [await outcome(fetching, f"{never}?{n}") for n in range(7)]
        assert codes == ["connect"] * 5 + ["host-down"] * 2
        assert fetching.statistics.hosts["127.0.0.1"].failures == 5

    async def at_once(_: Faults, fetching: Downloader) -> None:
        codes = await asyncio.gather(*(outcome(fetching, f"{never}?{n}") for n in range(12)))
        assert sorted(codes) == ["connect"] * 5 + ["host-down"] * 7
        assert fetching.statistics.hosts["127.0.0.1"].failures == 1  # one connection was tried, for all of them

    play(tmp_path, one_by_one)
    play(tmp_path, at_once)


def test_a_silent_robots_txt_is_the_images_own_timeout_and_says_where(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(HANDLERS["/silent"])
        began = time.monotonic()
        errors = await asyncio.gather(*(told(fetching, origin.url(f"/good?{n}")) for n in range(10)))
        assert {error.code for error in errors} == {"timeout"}
        assert errors[0].message.endswith("(while asking for robots.txt)")
        assert time.monotonic() - began < 2 * LIMITS.read
        assert origin.counts == {"/robots.txt": 1}

    play(tmp_path, scene)


def test_a_crawl_delay_lies_between_requests(
    tmp_path: pathlib.Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[float] = []

    async def noted(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        starts.append(time.monotonic())
        writer.write(response())

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"User-agent: *\nCrawl-delay: 0.2\n"))
        monkeypatch.setitem(HANDLERS, "/good", noted)
        assert await asyncio.gather(*(outcome(fetching, origin.url(f"/good?{n}")) for n in range(5))) == ["ok"] * 5

    play(tmp_path, scene)
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) > 0.15


def test_a_crawl_delay_of_a_day_is_ten_seconds(tmp_path: pathlib.Path, says: Says) -> None:
    sleeper = Sleeper()

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"User-agent: *\nCrawl-delay: 86400\n"))
        for n in range(3):
            assert await outcome(fetching, origin.url(f"/good?{n}")) == "ok"

    play(tmp_path, scene, sleep=sleeper)
    assert 19.0 < sum(sleeper.waits) <= 20.0


def test_robots_txt_is_asked_for_as_text_by_our_name(tmp_path: pathlib.Path, says: Says) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(b"User-agent: my-site\nDisallow: /good\n\nUser-agent: *\nDisallow: /slow-good\n"))
        assert await outcome(fetching, origin.url("/good")) == "robots"
        assert await outcome(fetching, origin.url("/slow-good")) == "ok"
        assert origin.requests[0].decode("ascii").split("\r\n")[:5] == [
            "GET /robots.txt HTTP/1.1",
            f"Host: 127.0.0.1:{origin.port}",
            "User-Agent: My-Site/2.1 (+https://e.org)",
            "Accept: text/plain,*/*;q=0.5",
            "Accept-Encoding: identity",
        ]

    play(tmp_path, scene, user_agent="My-Site/2.1 (+https://e.org)")


def test_rules_that_there_is_no_room_for_are_read_again(
    tmp_path: pathlib.Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def parse(text: str) -> Protego:
        parsed.append(text)
        return Protego.parse(text)

    async def by_port(origin: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(f"User-agent: *\nDisallow: /good?{origin.port}\n".encode()))

    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(by_port)
        async with faults() as other:
            for here in (origin, other, origin, other):
                assert await outcome(fetching, here.url(f"/good?{here.port}")) == "robots"
                assert await outcome(fetching, here.url(f"/good?{here.port + 1}0")) == "ok"
            assert (origin.counts["/robots.txt"], other.counts["/robots.txt"]) == (1, 1)

    monkeypatch.setattr(robots, "ROOM", 60)
    monkeypatch.setattr(robots, "Protego", type("Counting", (), {"parse": staticmethod(parse)}))
    play(tmp_path, scene)
    assert len(parsed) == 4  # two at a time do not fit


# -- the rules (section 2.2) -----------------------------------------------------------------------------------------


def may(text: str, path: str, token: str = "imgcache") -> bool:
    return Protego.parse(robots.rules(text.encode(), token)).can_fetch(f"https://e.org{path}", "imgcache")


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True),  # the longest match counts
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),  # of equals, Allow
        ("User-agent: *\nDisallow: /*.gif$", "/x/y.gif", False),
        ("User-agent: *\nDisallow: /*.gif$", "/x/y.gif?1", True),
        ("User-agent: *\nDisallow: /ü", "/%C3%BC", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: imgcache\nDisallow:", "/a", True),  # our group, and no other
        ("User-agent: IMGCACHE\nDisallow: /\n", "/a", False),
        ("user agent imgcache/2.0\nDisallow: /", "/a", False),
        ("User-agent: imgcache-news\nDisallow: /", "/a", True),  # names are compared whole
        ("User-agent: img\nDisallow: /", "/a", True),
        ("User-agent: a\nUser-agent: imgcache\nUser-agent: b\nDisallow: /a", "/a", False),
        ("User-agent: imgcache\nDisallow: /a\nUser-agent: other\nDisallow: /b", "/b", True),
        ("User-agent: imgcache\nDisallow: /a\n\nUser-agent: imgcache\nDisallow: /b", "/a", False),  # groups combine
        ("User-agent: other\nDisallow: /", "/a", True),
        ("Disallow: /", "/a", True),  # no group
        ("User-agent: *  # all\nDisallow: /a # this", "/a", False),
        ("User-agent:\t*\nDisallow:\t/a\x0c", "/a", False),
        ("User-agent:\u00a0*\nDisallow: /a\u00a0", "/a", False),
    ],
)
def test_the_rules(text: str, path: str, allowed: bool) -> None:
    assert may(text, path) is allowed
    assert may(text.replace("\n", "\r\n"), path) is allowed


@pytest.mark.parametrize(
    ("agent", "token"),
    [("imgcache/1.2 (+https://e.org)", "imgcache"), ("My_Bot", "my_bot"), ("Bot2/1", "bot2"), ("(x)", "imgcache")],
)
def test_the_product_token(agent: str, token: str) -> None:
    assert robots.product(agent) == token


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.tuples(
                st.sampled_from([b"User-agent", b"useragent", b"Allow", b"Disallow", b"crawl-delay", b"request-rate"]),
                st.sampled_from([b":", b" ", b": ", b""]),
                st.one_of(st.sampled_from([b"*", b"imgcache", b"/", b"/*", b"$", b"%"]), st.binary(max_size=20)),
                st.sampled_from([b"\n", b"\r", b"\n\n"]),
            ).map(b"".join),
            max_size=12,
        ).map(b"".join),
    ),
    st.text("/ab*$%?.[]", max_size=20),
)
def test_no_bytes_make_the_parser_fail(body: bytes, path: str) -> None:
    text = robots.rules(body, "imgcache")
    assert text == "" or all(line.isprintable() for line in text.split("\n"))  # it is logged by the parser
    parsed = Protego.parse(text)
    parsed.can_fetch(f"https://e.org/{path}", "imgcache")
    delay = parsed.crawl_delay("imgcache")
    assert delay is None or 0 <= delay < float("inf")


@pytest.mark.parametrize(
    "body",
    [
        b"".join(b"User-agent: x%d\n" % n for n in range(12_000))
        + b"".join(b"Allow:/%d$\n" % n for n in range(25_000)),
        b"User-agent: *\nDisallow: /" + b"a*" * 200_000 + b"b$\n",
        b"User-agent: *\n" + b"".join(b"Disallow: /*a*%d*a$\n" % n for n in range(24_000)),
        b"\n" * 500_000,
        b"user " * 100_000,
        b"User-agent: *\nCrawl-delay: " + b"9" * 400_000,
    ],
)
def test_no_half_megabyte_takes_long(tmp_path: pathlib.Path, says: Says, body: bytes) -> None:
    async def scene(origin: Faults, fetching: Downloader) -> None:
        says(response(body[: robots.LARGEST]))
        began = time.monotonic()
        with contextlib.suppress(Robots):
            await fetching.fetch(origin.url("/good?" + "a" * 6000))
        assert time.monotonic() - began < 8

    play(tmp_path, scene, limits=Limits())


# -- X-Robots-Tag ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (["noai"], "noai"),
        (["noarchive, NoImageIndex"], "noimageindex"),
        (["imgcache: none"], "none"),
        (["*: noimageai"], "noimageai"),
        (["googlebot: nofollow", "noai"], "noai"),
        (["googlebot: nofollow, imgcache: noai"], "noai"),
        (["unavailable_after: Sun, 06 Nov 2044 08:49:37 GMT, noai"], "noai"),
        (["googlebot: noai, noimageindex"], None),
        (["max-image-preview: none"], None),
        (["imgcachebot: none"], None),
        (["noindex, nofollow, noaic", ""], None),
        ([], None),
    ],
)
def test_what_a_tag_asks_of_us(fields: list[str], rule: str | None) -> None:
    assert forbidden_by(fields, "imgcache") == rule


@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_tag_makes_the_parser_fail(fields: list[str]) -> None:
    assert forbidden_by(fields, "imgcache") in {None, "noai", "noimageai", "noimageindex", "none"}


def test_a_tag_is_recorded_and_only_where_there_is_one(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30, headers={"X-Robots-Tag": "noimageindex, noai"}))
    origin.answers.set(B, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30), (B, 40, 30))})
    assert run("sync", site).code == 0
    file = site / "cache/manifest.json"
    before = file.read_bytes()
    images = json.loads(before)["images"]
    assert images[A].pop("robots_tag") == "noimageindex, noai"
    assert list(images[A]) == list(images[B])
    assert run("verify", site).code == 0
    assert run("sync", site).code == 0
    assert file.read_bytes() == before
    shutil.rmtree(site / "cache/index")  # what a rebuild knows of the tag, it knows from manifest.json
    assert run("sync", site).code == 0
    assert file.read_bytes() == before


def test_a_tag_that_comes_or_goes_is_recorded(run: Command, origin: Origin, make_site: MakeSite) -> None:
    body = draw((40, 30), "jpeg", "a", "")
    site = make_site({"a.md": article((A, 40, 30))})
    tags: list[str | None] = []
    for headers in ({}, {"X-Robots-Tag": "noai"}, {}):
        origin.answers.set(A, Answer(body=body, headers=headers, etag=False))
        assert run("sync", site, "--refresh").code == 0
        tags.append(json.loads((site / "cache/manifest.json").read_bytes())["images"][A].get("robots_tag"))
    assert tags == [None, "noai", None]


def test_respect_robots_tag_refuses_before_the_body_is_read(tmp_path: pathlib.Path) -> None:
    async def tagged(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        fields = ("X-Robots-Tag: other: nofollow", "X-Robots-Tag: Imgcache: noai")
        writer.write(response(b"", "200 OK", *fields, length=1_000_000))
        await writer.drain()
        await asyncio.sleep(60)

    async def scene() -> None:
        async with faults() as origin, Downloader(
            folder=tmp_path, sniff=sniff, guard=Guard(["127.0.0.0/8"]), respect_robots_tag=True
        ) as fetching:  # fmt: skip
            error = await told(fetching, origin.url("/good"))
            assert (error.code, error.retryable) == ("robots", False)
            assert "X-Robots-Tag: noai" in error.message
            assert await outcome(fetching, origin.url("/chunks")) == "ok"

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HANDLERS, "/good", tagged)
        asyncio.run(scene())
    assert contents(tmp_path) == [IMAGE]


def test_respect_robots_tag_through_the_front_door(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30, headers={"X-Robots-Tag": "noai"}))
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": "respect_robots_tag: true\n"})
    ended = run("sync", site, "--json")
    assert [(problem["code"], problem["severity"]) for problem in ended.json()["problems"]] == [("robots", "error")]
    assert "isCached" not in (site / "a.md").read_text()
