"""URLs: what is asked for, and what never gets as far."""

from __future__ import annotations

import unicodedata

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import BadScheme, BadUrl, ImageError, clean_text, join_url, redact, request_url, split_url
from imgcache.core.urls import host_of


@pytest.mark.parametrize(
    ("article", "wire"),
    [
        ("//cdn.example.org/a.png", "https://cdn.example.org/a.png"),
        ("http://Example.ORG", "http://example.org/"),
        ("HTTPS://example.org:443/a", "https://example.org/a"),
        ("http://example.org:080/a", "http://example.org/a"),
        ("http://example.org:8080/a", "http://example.org:8080/a"),
        ("https://example.org/a b/ü.png?q=ü x#part", "https://example.org/a%20b/%C3%BC.png?q=%C3%BC%20x"),
        ("https://example.org//a//b.png", "https://example.org//a//b.png"),
        ("https://e.org/%2F%7e+;'?sig=a%2Fb+c'd&e=;", "https://e.org/%2F%7e+;'?sig=a%2Fb+c'd&e=;"),
        ("https://e.org/100%.png?x=%zz", "https://e.org/100%.png?x=%zz"),
        ("https://e.org/a/../b/./c/%2E%2e/d", "https://e.org/b/d"),
        ("https://e.org/../../a//../b/..", "https://e.org/a/"),
        ("https:\\\\e.org\\a.png?b\\c", "https://e.org/a.png?b\\c"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://my_bucket.example.org/", "https://my_bucket.example.org/"),
        ("  https://e.org/a\n", "https://e.org/a"),
        ("https://e.org?x=/../y", "https://e.org/?x=/../y"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://１２７.０.０.１/", "http://127.0.0.1/"),
        ("http://[::FFFF:7f00:1]:81/", "http://[::ffff:7f00:1]:81/"),
        ("http://localhost./", "http://localhost./"),
        ('https://e.org/<a>"`{}^', "https://e.org/%3Ca%3E%22%60%7B%7D%5E"),
    ],
)
def test_the_normal_form_of_a_url(article: str, wire: str) -> None:
    assert request_url(article) == wire
    assert request_url(wire) == wire


@pytest.mark.parametrize(
    ("article", "error"),
    [
        ("", BadUrl),
        ("   ", BadUrl),
        ("a.png", BadUrl),
        ("/assets/a.png", BadUrl),
        ("https:a.png", BadUrl),
        ("https:/e.org/a.png", BadUrl),
        ("https://", BadUrl),
        ("https:///a.png", BadUrl),
        ("https://e.org/a\x1b[31m.png", BadUrl),
        ("https://e.org/a\nb.png", BadUrl),
        ("https://e.org/\ud800", BadUrl),
        ("https://user:secret@e.org/", BadUrl),
        ("https://secret@e.org/", BadUrl),
        ("https://e%2eorg/", BadUrl),
        ("https://e..org/", BadUrl),
        ("https://-e.org/", BadUrl),
        ("https://e org/", BadUrl),
        ("https://" + "a" * 64 + ".org/", BadUrl),
        ("https://" + "a." * 130 + "org/", BadUrl),
        ("https://e.org:0/", BadUrl),
        ("https://e.org:65536/", BadUrl),
        ("https://e.org:١/", BadUrl),
        ("https://e.org:" + "9" * 5000 + "/", BadUrl),
        ("https://[::1", BadUrl),
        ("https://[::1]x/", BadUrl),
        ("https://[fe80::1%25eth0]/", BadUrl),
        ("https://[::g]/", BadUrl),
        ("http://2130706433/", BadUrl),
        ("http://0x7f000001/", BadUrl),
        ("http://0x7f.1/", BadUrl),
        ("http://017700000001/", BadUrl),
        ("http://0177.0.0.1/", BadUrl),
        ("http://127.1/", BadUrl),
        ("http://127.0.0.1./", BadUrl),
        ("http://1.2.3.4.5/", BadUrl),
        ("http://１２７.1/", BadUrl),
        ("http://0/", BadUrl),
        ("http://e.org/" + "a" * 20_000, BadUrl),
        ("ftp://e.org/a.png", BadScheme),
        ("file:///etc/passwd", BadScheme),
        ("javascript:alert(1)", BadScheme),
        ("data:image/png;base64,AA==", BadScheme),
    ],
)
def test_an_invalid_or_unsupported_url_is_refused(article: str, error: type[ImageError]) -> None:
    with pytest.raises(error) as caught:
        request_url(article)
    assert "secret" not in caught.value.message
    assert caught.value.message.isprintable()


@given(st.text(max_size=60))
def test_a_tail_of_any_text_is_refused_or_stable_and_survives_httpx(tail: str) -> None:
    try:
        wire = request_url("https://e.org/" + tail)
    except BadUrl:
        return
    assert request_url(wire) == wire
    assert str(httpx.URL(wire)) == wire
    assert host_of(wire) == "e.org"


@given(st.text(max_size=40))
def test_a_host_of_any_text_is_refused_or_plain_ascii(host: str) -> None:
    try:
        wire = request_url(f"http://{host}/x")
    except BadUrl:
        return
    assert httpx.URL(wire).raw_host.decode() == split_url(wire)[1]
    assert set(split_url(wire)[1]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b.png", "https://e.org:8443/x//y/b.png"),
        ("../b.png", "https://e.org:8443/x//b.png"),
        ("/b//c.png", "https://e.org:8443/b//c.png"),
        ("//cdn.org/b", "https://cdn.org/b"),
        ("\\\\cdn.org\\b", "https://cdn.org/b"),
        ("?v=2", "https://e.org:8443/x//y/a.png?v=2"),
        ("#top", "https://e.org:8443/x//y/a.png?v=1"),
        ("http://cdn.org", "http://cdn.org/"),
    ],
)
def test_a_location_is_resolved_against_the_request(location: str, target: str) -> None:
    assert join_url("https://e.org:8443/x//y/a.png?v=1", location) == target


@pytest.mark.parametrize("location", ["ftp://e.org/", "https://u:p@e.org/", "http://0x7f.1/", "//u@e.org/"])
def test_a_location_is_checked_like_any_url(location: str) -> None:
    with pytest.raises((BadScheme, BadUrl)):
        join_url("https://e.org/", location)


@given(st.text())
def test_clean_text_contains_no_control_characters(text: str) -> None:
    shown = clean_text(text, 30)
    assert len(shown) <= 30
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    if text.isprintable() and len(text) <= 30:
        assert shown == text


def test_credentials_do_not_reach_a_log() -> None:
    assert redact("https://user:secret@e.org/a@b") == "https://***@e.org/a@b"
    assert redact("https:\\\\user:secret@e.org\\") == "https:\\\\***@e.org\\"
    assert redact("//secret@e.org/") == "//***@e.org/"
    assert redact("https://e.org/a@b?c@d") == "https://e.org/a@b?c@d"
    assert redact(" https://secret@e.org/\x1b[2J") == "https://***@e.org/\ufffd[2J"
