"""Pages in every encoding that the Web knows: the bytes that are no image reference stay."""

from __future__ import annotations

import codecs

import pytest

from imgcache.publisher.rewrite import FileKind, Unreadable, find
from tests.publisher.rewrite.support import HOST, SITE, held, local, references, run

A = f"{HOST}/a.jpg"
TEXTS = {
    "utf-8": "é–日本語😀",
    "windows-1252": "é–œ",
    "iso-8859-1": "é\x85",  # the Web means windows-1252
    "iso-8859-2": "řžł",
    "koi8-r": "привет",
    "shift_jis": "表ソ―能ｶ",  # second bytes that are backslashes, brackets and braces
    "euc-jp": "日本語表",
    "iso-2022-jp": "日本語表",
    "gbk": "中文镕",
    "gb18030": "中文\u20ac😀",
    "big5": "中文功許",
    "euc-kr": "한국어",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_declared_encoding(name: str) -> None:
    text = TEXTS[name]
    page = (
        f'<!doctype html>\r\n<html><meta http-equiv=content-type content="text/html; charset={name}">'
        f"<title>{text}</title>\r\n<p title='{text}'>{text}<img data-src='{A}' alt='{text}'>{text}"
        f'<style>/*{text}*/ p::before{{content:"{text}";background:url({A})}}</style>'
        f'<script type="application/ld+json">{{"a{text}": "{text[:-1]}", "image": "{A}"}}</script>{text}</html>'
    )
    codec = {"iso-8859-1": "latin-1", "big5": "big5hkscs"}.get(name, name)
    data = page.encode(codec)
    done = run(data, held("a.jpg"))
    assert done.error is None
    assert done.rewritten == 3
    exact = local("a.jpg", "original.jpeg")
    expected = page.replace(A, exact)
    at = expected.rindex(exact)
    expected = (
        expected[:at] + local("a.jpg", "original.jpeg", "https://site.example/blog/") + expected[at + len(exact) :]
    )
    assert done.data == expected.encode(codec)
    for found in references(data):
        assert data[found.start : found.end] == A.encode()


@pytest.mark.parametrize("bom", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_goes_before_what_is_declared(bom: bytes) -> None:
    codec = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}[bom]
    page = f"<!doctype html><meta charset=koi8-r><p>é😀<img data-src={A}>"
    data = bom + page.encode(codec)
    done = run(data, held("a.jpg"))
    assert done.data == bom + page.replace(A, local("a.jpg", "original.jpeg")).encode(codec)
    (found,) = references(data)
    assert data[found.start : found.end] == A.encode(codec)


def test_an_address_is_read_in_the_encoding_of_its_page() -> None:
    url = f"{HOST}/é.jpg"
    page = f"<!doctype html><meta charset=windows-1252><p><img data-src={url}>"
    assert [found.url for found in references(page.encode("cp1252"))] == [url]
    page = page.replace("windows-1252", "shift_jis").replace("é", "表")
    assert [found.url for found in references(page.encode("shift_jis"))] == [f"{HOST}/表.jpg"]


def test_without_a_declaration_it_is_utf_8_if_it_can_be() -> None:
    page = f"<!doctype html><p>é<img data-src={HOST}/é.jpg>"
    assert [found.url for found in references(page.encode())] == [f"{HOST}/é.jpg"]
    assert [found.url for found in references(page.encode("cp1252"))] == [f"{HOST}/é.jpg"]


def test_a_declaration_of_utf_16_that_can_be_read_is_wrong() -> None:
    page = f"<!doctype html><meta charset=utf-16><p>é<img data-src={A}>".encode()
    assert [found.url for found in references(page)] == [A]


@pytest.mark.parametrize(
    "data",
    [
        b"<!doctype html><meta charset=utf-8><p>\xff<img src=https://img.example/a.jpg>",
        codecs.BOM_UTF16_LE + b"<\0i\0m\0g\0>",
        codecs.BOM_UTF16_LE + "<p>x".encode("utf-16-le") + b"\x00\xd8",
        b"<!doctype html><meta charset=iso-2022-jp><p>\x1b$B\x1b(B<img src=https://img.example/a.jpg>",
        b"<!doctype html><meta charset=euc-jp><p>\xff\xff",
    ],
)
def test_a_page_that_cannot_be_decoded_is_left_alone(data: bytes) -> None:
    found = find(data, "index.html", FileKind.HTML, SITE)
    assert isinstance(found, Unreadable)
    assert "which the file declares" in found.message or "written back" in found.message
    done = run(data, held("a.jpg"))
    assert (done.data, done.rewritten, done.error) == (data, 0, found)


def test_style_sheets_and_feeds_say_theirs_in_their_own_way() -> None:
    sheet = f'@charset "shift_jis"; p::before{{content:"表";background:url({A})}}'.encode("shift_jis")
    assert run(sheet, held("a.jpg"), FileKind.CSS).rewritten == 1
    feed = f'<?xml version="1.0" encoding="windows-1252"?><rss><channel><image><url>{A}</url>é</image></channel></rss>'
    done = run(feed.encode("cp1252"), held("a.jpg"), FileKind.FEED)
    assert done.rewritten == 1
    assert "é".encode("cp1252") in done.data
    wide = feed.replace("windows-1252", "utf-16")
    assert run(codecs.BOM_UTF16_BE + wide.encode("utf-16-be"), held("a.jpg"), FileKind.FEED).rewritten == 1
