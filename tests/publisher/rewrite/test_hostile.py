"""Files made to take long: four times as much takes about four times as long, and nothing breaks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from imgcache.publisher.rewrite import FileKind, checking, encodings, rewrite
from imgcache.publisher.rewrite.addresses import Addresses
from imgcache.publisher.rewrite.find_in_html import Page
from imgcache.publisher.rewrite.sources import root
from imgcache.publisher.rewrite.splices import Splice, apply
from tests.publisher.rewrite.support import HOST, SITE, held

A = f"{HOST}/a.jpg"
IMAGES = held("a.jpg", formats=("avif", "webp"))

HTML: dict[str, Callable[[int], str]] = {
    "attributes": lambda n: f"<p><img src={A} " + " ".join(f"a{i}=1" for i in range(n)) + ">",
    "the same attribute": lambda n: "<p><img" + f" src={A}" * n + ">",
    "unclosed elements": lambda n: "<div>" * n + f"<img src={A}>",
    "unclosed formatting": lambda n: "<b>" * n + f"<p><img src={A}>",
    "links in links": lambda n: "<a><b>" * n + f"<img src={A}>",
    "tables": lambda n: f"<table><img src={A}>" * (n // 20),
    "images": lambda n: f"<p><img src={A}>" * (n // 20),
    "images to keep": lambda n: "<div data-imgcache=keep>" * 100 + f"<img src={A}>" * (n // 20),
    "NULs": lambda n: f"\0<img src=\0{A}>\0" * (n // 10),
    "comments": lambda n: "<!--" * n + f"<img src={A}>",
    "angle brackets": lambda n: "<" * n,
    "unclosed quote": lambda n: "<p><img src='" + f"{A}<img src=" * (n // 4),
    "a long srcset": lambda n: f'<p><img srcset="{f"{A} 1x, " * (n // 10)}">',
    "commas": lambda n: f'<p><img srcset="{A} {"," * n}">',
    "entities": lambda n: f'<p><img src="{A}?{"&amp;" * n}">',
    "styles": lambda n: f"<p style='background:url({A})'>" * (n // 20),
    "style sheets": lambda n: "<style>" + f"p{{background:url({A})}}" * (n // 20) + "</style>",
    "brackets in CSS": lambda n: "<style>" + "url(" * n + "</style>",
    "unclosed CSS strings": lambda n: "<style>" + "url('\n" * n + "</style>",
    "open functions": lambda n: "<style>" + "a(" * n + f"url({A})</style>",
    "types in CSS": lambda n: f"<style>p{{background:image-set({f'url({A}) ' * (n // 20)}</style>",
    "structured data": lambda n: (
        '<script type="application/ld+json">{"image":[' + f'"{A}",' * (n // 10) + '"x"]}</script>'
    ),
    "metas": lambda n: (
        f'<meta property="og:image" content="{A}"><meta property="og:image:width" content="1">' * (n // 20)
    ),
    "preloads": lambda n: f"<link rel=preload as=image href={A}>" * (n // 20) + f"<p><img src={A}>",
    "pages in pages": lambda n: "<iframe/srcdoc=" * (n // 10) + f"<img/src={A}",
    "a page in a page": lambda n: f"<iframe srcdoc='{f'<p><img src={A}>' * (n // 20)}'></iframe>",
    "lines": lambda n: f"\r\n<img src={A}>\r\n" * (n // 20),
}
FEEDS: dict[str, Callable[[int], str]] = {
    "open elements": lambda n: "<a>" * n + "</b>" * n,
    "unclosed tags": lambda n: "<a " * n,
    "unclosed quotes": lambda n: "<a b='" * n + '<a b="' * n,
    "unclosed CDATA": lambda n: "<![CDATA[" * n,
    "unclosed declarations": lambda n: "<!a [" * n,
    "instructions": lambda n: "<?" * n,
    "name spaces": lambda n: "<a" + "".join(f" xmlns:a{i}='x'" for i in range(n // 4)) + ">",
    "escaped HTML": lambda n: f"<description>{f'&lt;img src=&quot;{A}&quot;>' * (n // 20)}</description>",
}
CSS: dict[str, Callable[[int], str]] = {
    "comments": lambda n: "/*" * n,
    "backslashes": lambda n: "\\" * n,
    "bad addresses": lambda n: "url(a b " * n,
    "words": lambda n: "a" * n,
    "at": lambda n: "@import " * n,
    "types": lambda n: f"image-set('{A}'" + " t" * n,
}
JSON: dict[str, Callable[[int], str]] = {
    "arrays": lambda n: "[" * n,
    "quotes": lambda n: '{"a":"' + '\\"' * n,
    "members": lambda n: "{" + ",".join(f'"a{i}":"{A}"' for i in range(n // 4)) + "}",
}
CASES = [
    *((FileKind.HTML, name, make) for name, make in HTML.items()),
    *((FileKind.FEED, name, make) for name, make in FEEDS.items()),
    *((FileKind.CSS, name, make) for name, make in CSS.items()),
    *((FileKind.JSON, name, make) for name, make in JSON.items()),
]


def cost(kind: FileKind, data: bytes) -> float:
    """Processor seconds, the least of two runs."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        rewrite(data, "a/index.html", kind, IMAGES, SITE)
        taken.append(time.process_time() - start)
    return min(taken)


@pytest.mark.parametrize(("kind", "name", "make"), CASES, ids=[f"{kind} {name}" for kind, name, _ in CASES])
def test_time_grows_with_the_size(kind: FileKind, name: str, make: Callable[[int], str]) -> None:
    small, large = make(2_000).encode(), make(8_000).encode()
    assert cost(kind, large) < 9 * cost(kind, small) + 0.005, "16 times would be quadratic"


def test_a_million_attributes() -> None:
    data = ("<!doctype html><body><img " + " a=1" * 1_000_000 + f" src={A}>").encode()
    assert rewrite(data, "a/index.html", FileKind.HTML, IMAGES, SITE).rewritten == 1


def test_a_change_of_the_structure_is_seen() -> None:
    text = f"<!doctype html><p><b>x</b><img src={A}></p>"

    def same(*splices: Splice) -> bool:
        page = Page(root(encodings.read_html(text.encode())), Addresses("index.html", SITE))
        touched = {reference.tag.start: reference.tag for reference in page.references() if reference.tag}
        return checking.same_tree(page, apply(text.encode(), splices).decode(), splices, touched)

    at = text.index(A)
    end = text.index(">", at)
    assert same(Splice(at, at + len(A), "x.jpg"), Splice(end, end, ' decoding="async"'))
    assert not same(Splice(at, at + len(A), "x.jpg"), Splice(end, end, ' alt="x"'))
    assert not same(Splice(at, at + len(A), "x.jpg><b>"))
    assert not same(Splice(end + 1, end + 1, "<i>"))
    assert not same(Splice(end + 1, end + 1, "text"))
    assert not same(Splice(at - 9, at - 9, "<div>"))
    assert not same(Splice(text.index("<b>"), text.index("<b>") + 3, "<u>"))
