"""Images in bodies: which are found, and that each stands where its URL stands."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from imgcache.scanner.frontmatter import parse
from imgcache.scanner.markup import Syntax, markdown, references
from imgcache.scanner.markup.bodies import is_one_html_block
from imgcache.scanner.markup.html import image_urls, srcset_urls


def find(text: str, *, html: bool = False) -> list[tuple[str, int, int]]:
    """URL, line and column of each image."""
    found = references(text, "a.md", first_line=1, html=html)
    assert all(r.field == "body" and not r.flaggable and r.declared.width is None for r in found)
    return [(r.url, r.line, r.column) for r in found]


def urls(text: str, *, html: bool = False) -> list[str]:
    return [url for url, _, _ in find(text, html=html)]


# --- Markdown --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![a](http://h/a.png)", ("http://h/a.png", 1, 6)),
        ("é😀 ![a](x.png 'title')", ("x.png", 1, 9)),
        ("![a]( <b c.png> )", ("b c.png", 1, 8)),
        ("![a](<>) ![b](c)", ("c", 1, 15)),
        ("![a](\n   x.png)", ("x.png", 2, 4)),
        ("# ![a](x.png) #", ("x.png", 1, 8)),
        ("![a](x.png)\n===", ("x.png", 1, 6)),
        ("> - 1. ![a](x.png)", ("x.png", 1, 13)),
        (">  para\n>   ![a](x.png)", ("x.png", 2, 10)),
        ("> lazy\n![a](x.png)", ("x.png", 2, 6)),
        ("\t- a\n\n- b\n\n\t![a](x.png)", ("x.png", 5, 7)),
        ("[![a](x.png)](y.html)", ("x.png", 1, 7)),
        ("**![a](x.png)**", ("x.png", 1, 8)),
        ("![a](x&amp;y\\_z.png)", ("x&y_z.png", 1, 6)),
        ("![a](/ü%20%zz|.png)", ("/ü%20%zz|.png", 1, 6)),
        ("![a](javascript:x)", ("javascript:x", 1, 6)),
        ("![a ![b](no)](x)", ("x", 1, 15)),
        ("![a][B]\n\n[b]: <x.png> 'no'", ("x.png", 3, 7)),
        ("![b][]\n\n> [B]:\n> x.png", ("x.png", 4, 3)),
        ("![b]\n\n- [b]: x.png", ("x.png", 3, 8)),
        ("text <img alt='' src=x.png> text", ("x.png", 1, 22)),
        ("text <img\n  src='x.png'> text", ("x.png", 2, 8)),
        ("> <div>\n> <img src=' x.png'>\n> </div>", ("x.png", 2, 14)),
        ("- a\n\n  <p><img src=x.png></p>", ("x.png", 3, 15)),
    ],
)
def test_markdown_image(text: str, expected: tuple[str, int, int]) -> None:
    assert find(text) == [expected]
    windows = text.replace("\n", "\r\n")
    assert find(windows) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "", "plain", "[link](x.png)", "`![a](x.png)`", "    ![a](x.png)", "```\n![a](x.png)\n<img src=x>\n```",
        "\\![a](x.png)", "![a](b c.png)", "![a][nowhere]", "[a]: x.png", "![a]({{ url }})", "![a]({{url}}/x.png)",
        "![a]()", "a <!-- <img src=x> --> b", "<!--\n<img src=x>\n\n![a](x.png)\n-->", "`<img src=x>`",
        "<img src=''>", "<img src>", "<img src='{% link a.png %}'>", "<a data-src=x>", "<video src=x.mp4>",
        "<p style='color: red'>", "<style>@import 'a.css'; a { fill: url(#x) }</style>",
        "<source src=x.mp4>",
        "{% comment %}\n![a](x.png)\n{% endcomment %}", "{%- highlight html -%}<img src=x>{%- endhighlight -%}",
    ],
)  # fmt: skip
def test_no_image(text: str) -> None:
    assert find(text) == []


def test_the_same_url_twice_stands_in_two_places() -> None:
    assert find("![a](x.png) ![a](x.png)\n![a](x.png)") == [("x.png", 1, 6), ("x.png", 1, 18), ("x.png", 2, 6)]


def test_a_definition_used_twice_is_one_place_to_change() -> None:
    assert find("![a][l] ![b][l]\n\n[l]: x.png") == [("x.png", 3, 6)]


def test_lines_count_from_the_first_line_of_the_body() -> None:
    (found,) = references("\n![a](x.png)", "a.md", first_line=10, html=False)
    assert (found.line, found.article) == (11, "a.md")


def test_liquid_blocks_hide_only_their_content() -> None:
    text = "{% comment %}{% highlight %}![a](no){% endcomment %} ![a](x)\n{% highlight %} ![a](y)"
    assert find(text) == [("x", 1, 59), ("y", 2, 22)]


# --- HTML ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<IMG\tSRC = 'a b.png' src=no>", ["a b.png"]),
        ("<img/src=a.png/>", ["a.png/"]),
        ('<img src="&#32;a"><img src="b&#32;"><img src=" c"><img alt="" src="d&amp;e" a="">', ["a", "b", "c", "d&e"]),
        ('<img src=\n"\n a.png \n">', ["a.png"]),
        ("<img alt='<img src=no>' src=a>", ["a"]),
        ('<a title="> <img src=no>"><img src=a>', ["a"]),
        ("<imgx src=no><img-x src=no><img src=a>", ["a"]),
        ("<!-- <img src=no> --><!--><img src=a><!---><img src=b><!-- --!><img src=c>", ["a", "b", "c"]),
        ("<!--!><img src=no>--><img src=a>", ["a"]),
        ("<script>'<img src=no>'</scripty></SCRIPT ><img src=a>", ["a"]),
        ("<style><img src=no></style><textarea><img src=no></textarea><title><img src=no></title><img src=a>", ["a"]),
        ("<noscript><img src=a></noscript>", ["a"]),
        ("<?x <img src=no> <!x <img src=no> </ <img src=no><img src=a>", ["a"]),
        ("a < b <img src=a> <> <1", ["a"]),
        ("<img src=a", []),
        ("<img src='a><img src=b>", []),
        ("<plaintext><img src=no>", []),
        ("<img src=?a&amp;b&copy=1&copyx&copy;&#x41;&#66&lt&nope;>", ["?a&b&copy=1&copyx©AB<&nope;"]),
        (
            "<picture><source srcset='a.webp, b.webp 2x'><img src=c srcset='d 1x'></picture>",
            ["a.webp", "b.webp", "c", "d"],
        ),
        ("<img srcset='{{ x }} 1x, a 2x'>", []),
        ("<img {% if a %}src=x{% endif %}>", []),
    ],
)
def test_html(text: str, expected: list[str]) -> None:
    assert urls(text, html=True) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []), (" , ,", []), ("a", ["a"]), ("a,b", ["a,b"]), ("a, b", ["a", "b"]), ("a 1x,b 2x", ["a", "b"]),
        ("a,,, b", ["a", "b"]), ("a 1x (x, y) , b", ["a", "b"]),
        ("data:image/gif;base64,AA== 1x, /i,c_fill/b 2x", ["data:image/gif;base64,AA==", "/i,c_fill/b"]),
        ("a (b, c", ["a"]), ("\na\t100w\n,\n b 1.5x", ["a", "b"]),
    ],
)  # fmt: skip
def test_srcset_as_the_standard_splits_it(value: str, expected: list[str]) -> None:
    found = list(srcset_urls(value))
    assert [url for url, _ in found] == expected
    assert all(value.startswith(url, at) for url, at in found)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_html_places(line_end: str) -> None:
    text = line_end.join(["<p>é😀", "<img alt='a.png'", '  src="&#97;.png" srcset="&amp;1 1x,', '  &amp;2 2x">'])
    assert find(text, html=True) == [("a.png", 3, 8), ("&1", 3, 27), ("&2", 4, 3)]


# --- laws ------------------------------------------------------------------------------------------------------------

PIECES = [
    "<", ">", "img", "<img ", "<IMG/", "src=", " src='", '"', "'", " ", "=", "/", "x.png", "&amp;", "&copy", "&copy=",
    "&#x41;", "<!--", "-->", "--!>", "<!", "</", "<script>", "</script>", "<style ", "</style>", "<p ", "title=", "\n",
    "\t", "a", "é", "<b>", '<img src="x.png"', '<img alt="a" src="?&amp;&lt" ', ' src="&#9;y&amp;b&#32;"', ' src=" y"',
    ' a="b"', "/>",
]  # fmt: skip


@settings(max_examples=800)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@example('<script><!--<script></script><img src="x.png">')
@example('<script><!--<script></script></script><img src="x.png">')
@example('<script><!--<script>--></script><img src="x.png">')
@example('<script><!--></script><img src="x.png">')
@example('<script><!--></script><script><script></script><img src="x.png">')
@example('<script><!--<script></script><script></script></script><img src="x.png">')
def test_finds_what_a_browser_engine_finds(body: str) -> None:
    """Lexbor builds the tree; the URLs in it are the judge."""
    tree = LexborHTMLParser(f"<!doctype html><body><div>{body}")
    sources = (node.attributes.get("src") for node in tree.css("img"))
    expected = [url for source in sources if source and (url := source.strip(" \t\n\f\r"))]
    assert [url for url, _ in image_urls(f"<div>{body}")] == expected


BLOCKS = st.lists(
    st.sampled_from(
        ["<p>", "<DIV class='a'", "</div>", "<tr\n", "<h1>", "<pre>", "<p", ">", "/>", " ", "   ", "\t", "\n",
         "\r\n", "\r", "\u00a0", "\f", "text", "- ", "> ", "`", "<!--", "-->", "<script>", "</script>",
         "<img src='x.png'>", "![a](y.png)", "![a]", "[a]: z.png"]
    ),
    max_size=16,
).map("".join)  # fmt: skip


@settings(max_examples=800)
@given(BLOCKS)
@example("<p>\n<img src='x.png'>\r\n</p>\n \n")
@example("   <div\n    <img src='x.png'>\n\u00a0\n![a](y.png)")
@example("<p>\n \t\n    <img src='x.png'>")
@example("<p>\r\r    <img src='x.png'>")
@example("    <p><img src='x.png'>")
@example("<pre>\n<img src='x.png'>")
@example("<p>text <!--\n<img src='x.png'>")
def test_markdown_that_is_html_throughout_is_read_as_html(text: str) -> None:
    """The Markdown parser is the judge."""
    if is_one_html_block(text):
        by_parser = markdown.images(text, Syntax(), image_urls, is_jsx=False)
        assert find(text, html=True) == sorted(
            [(url, line + 1, column + 1) for url, line, column, _ in by_parser], key=lambda found: found[1:]
        )


def test_what_most_bodies_of_html_look_like_needs_no_markdown_parser() -> None:
    assert is_one_html_block("<p>One</p>\r\n<table>\r\n  <tr></table>\r\n\r\n")
    assert not is_one_html_block("<p>One</p>\n\nTwo")
    assert not is_one_html_block("<plaintext>")


URLS = st.text(st.sampled_from("abcäé😀/.:?=%-,#"), min_size=1, max_size=12).map(lambda path: f"http://h/{path}")


FORMS = st.sampled_from(["![é]({})", "![x](<{}> 't')", "a <img src='{}'>", "a <b>{}</b>", "`![a]({})`"])
BETWEEN = st.sampled_from([" ", "\n", "\n> ", "\n\n- ", "\n\n# ", "\r\n\r\n1. "])


@settings(max_examples=150)
@given(st.lists(st.tuples(URLS, FORMS), max_size=6), BETWEEN)
def test_every_place_holds_its_url(images: list[tuple[str, str]], between: str) -> None:
    text = between.join(form.format(url) for url, form in images)
    lines = re.split(r"\r?\n", text)
    found = find(text)
    assert [url for url, _, _ in found] == [url for url, form in images if not form.startswith(("a <b", "`"))]
    assert all(lines[line - 1].startswith(url, column - 1) for url, line, column in found)


@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "![" * 3000 + "a" + "](b)" * 3000, "<img src='x" * 9000, "<" * 50_000 + "<img ", "<img " + "a " * 50_000,
        "![a](b" * 2000, "<!--" * 20_000 + "<img ", "<img src=a>" * 3000, "<script>" * 9000 + "<img src=a>",
        "<img src=a><!--" * 3000, "{% comment %}" * 9000 + "<img src=a>", ">" * 5000 + "![a](b)",
        "<p>" + "&amp" * 20_000 + "<img src=" + "&amp" * 20_000 + ">",
    ],
)  # fmt: skip
def test_time_is_linear(text: str, html: bool) -> None:
    started = time.monotonic()
    find(text, html=html)
    assert time.monotonic() - started < 10


# --- the real site ---------------------------------------------------------------------------------------------------


def test_every_body_image_of_the_real_site_is_at_its_place(shared: Path) -> None:
    total = 0
    for path in sorted((shared / "site").rglob("*")):
        if path.suffix not in {".md", ".html"}:
            continue
        data = path.read_bytes()
        front = parse(data, path.name)
        body = data[front.body_offset :].decode()
        lines = data.decode().split("\n")
        found = references(body, path.name, first_line=front.body_line, html=path.suffix == ".html")
        for reference in found:
            source = lines[reference.line - 1][reference.column - 1 :]
            assert source.replace("&amp;", "&").startswith(reference.url), (path, reference)
        tree = LexborHTMLParser(body)
        sources = [node.attributes["src"] for node in tree.css("img") if node.attributes.get("src")]
        if path.suffix == ".html":  # beside them are backgrounds, in attributes and in CSS
            images = [r.url for r in found if lines[r.line - 1][: r.column - 1].endswith('src="')]
            assert images == sources, path
        total += len(found)
    assert total > 1000
