"""robots.txt: the rules (RFC 9309, section 2.2), and their effects for site owners and users."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protego import Protego

from examples.origin import Answer, Origin
from imgcache.downloader.http.robots_rules import product_token, relevant_rules
from tests.conftest import Command, MakeSite, article, picture
from tests.support.robots import FORBID_ALL

A = "https://pictures.example/a/1.jpg"
B = "https://pictures.example/b/2.jpg"


def test_only_urls_that_robots_txt_allows_are_requested(run: Command, origin: Origin, make_site: MakeSite) -> None:
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


def test_robots_txt_is_requested_once_per_origin_and_only_if_needed(
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


def test_respect_robots_false_does_not_request_robots_txt(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    origin.answers.set("https://pictures.example/robots.txt", Answer(body=FORBID_ALL))
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": "respect_robots: false\n"})
    assert run("sync", site).code == 0
    assert origin.requests["https://pictures.example/robots.txt"] == 0


def test_a_cached_copy_stays_if_robots_txt_forbids_it_later(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    origin.answers.set("https://pictures.example/robots.txt", Answer(body=FORBID_ALL))
    ended = run("sync", site, "--refresh", "--json")
    assert [(problem["code"], problem["severity"]) for problem in ended.json()["problems"]] == [("robots", "warning")]
    assert (ended.code, origin.requests[A]) == (0, 1)


def is_allowed(text: str, path: str, token: str = "imgcache") -> bool:
    return Protego.parse(relevant_rules(text.encode(), token)).can_fetch(f"https://e.org{path}", "imgcache")


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
def test_the_longest_matching_rule_of_the_group_decides(text: str, path: str, allowed: bool) -> None:
    assert is_allowed(text, path) is allowed
    assert is_allowed(text.replace("\n", "\r\n"), path) is allowed


@pytest.mark.parametrize(
    ("agent", "token"),
    [("imgcache/1.2 (+https://e.org)", "imgcache"), ("My_Bot", "my_bot"), ("Bot2/1", "bot2"), ("(x)", "imgcache")],
)
def test_the_product_token_comes_from_the_user_agent(agent: str, token: str) -> None:
    assert product_token(agent) == token


@settings(max_examples=300)
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
def test_no_robots_txt_makes_the_parser_fail(body: bytes, path: str) -> None:
    text = relevant_rules(body, "imgcache")
    assert text == "" or all(line.isprintable() for line in text.split("\n"))  # it is logged by the parser
    parsed = Protego.parse(text)
    parsed.can_fetch(f"https://e.org/{path}", "imgcache")
    delay = parsed.crawl_delay("imgcache")
    assert delay is None or 0 <= delay < float("inf")
