"""What holds for every page, whatever stands in it: tried on pages that hypothesis makes up."""

from __future__ import annotations

import re
from typing import Any

import html5lib
from hypothesis import example, given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from imgcache.publisher.rewrite import FileKind, Rewritten, find, rewrite
from tests.publisher.rewrite.support import HOST, SITE, image

A, B, OTHER = f"{HOST}/a.jpg", f"{HOST}/b.jpg", "https://other.example/x.jpg"
IMAGES = {A: image(A), B: image(B, 90, 60, formats=("avif", "webp")), f"{HOST}/a.jpg?x=1&y=2": image(A, 320, 300)}
URLS = st.sampled_from([A, B, OTHER, "/own.png", "", f"{HOST}/a.jpg?x=1&amp;y=2", "//img.example/a.jpg", f" {A}\r\n"])
NAMES = st.sampled_from(
    [
        *(
            "p",
            "div",
            "b",
            "a",
            "table",
            "tr",
            "td",
            "ul",
            "li",
            "main",
            "header",
            "select",
            "option",
            "button",
            "form",
        ),
        *("svg", "math", "foreignObject", "desc", "noscript", "template", "picture", "figure", "title", "textarea"),
        *("script", "style", "plaintext", "head", "body", "html", "caption", "frameset", "ruby", "rt", "xmp", "iframe"),
    ]
)
QUOTES = st.sampled_from(['"', "'", ""])
NOISE = st.text(st.sampled_from("<>/=\"'& \t\r\n\f\0!-[]?;#xé日{}()\\"), max_size=6)


@st.composite
def image_tags(draw: st.DrawFn) -> str:
    quote = draw(QUOTES)
    url = draw(URLS)
    value = f"{quote}{url}{quote}" if quote or not re.search(r"\s|^$", url) else f'"{url}"'
    other = draw(
        st.sampled_from(
            ["", " alt", " width=40", ' style="border:0"', " style=color:red", " loading=eager", " data-imgcache=keep"]
        )
    )
    form = draw(
        st.sampled_from(
            [
                *(
                    "<img src={0}{1}>",
                    "<img{1} src={0}/>",
                    "<IMG\nSRC = {0} {1}\n>",
                    "<image src={0}>",
                    "<img data-src={0}>",
                ),
                *("<svg><image href={0} /></svg>", "<input type=image src={0}>", "<video poster={0}></video>"),
                *("<table background={0}>", "<meta property=og:image content={0}>", "<link rel=icon href={0}>"),
                *(
                    '<p style="background:url({2})">',
                    "<style>p{{background:url({2})}}</style>",
                    "<img srcset={0} src={0}>",
                ),
                *('<script type="application/ld+json">{{"image":"{2}"}}</script>', "<!-- <img src={0}> -->"),
                *("<iframe srcdoc='<img src={2}>'>", '<iframe srcdoc="<p style=&quot;background:url({2})&quot;>">'),
                *("<source srcset={0}>", "<base href={0}>", "<img src={0} src={0}", "<![CDATA[<img src={0}>]]>"),
            ]
        )
    )
    return form.format(value, other, url)


TAGS = st.one_of(NAMES.map("<{}>".format), NAMES.map("</{}>".format))
PAGES = st.lists(
    st.one_of(TAGS, image_tags(), NOISE, st.sampled_from(["text", "&amp;", "<!doctype html>"])), max_size=25
)


def run(page: str) -> tuple[bytes, Rewritten]:
    data = page.encode()
    return data, rewrite(data, "post/index.html", FileKind.HTML, IMAGES, SITE)


@given(PAGES.map("".join))
@example(f"<table><img src={A}><select><img src={B}></table><svg><img src={A}>")
@example(f"<img src={A} style=x'y\"><img src='{B}' style=''>")
def test_a_second_rewrite_changes_no_byte(page: str) -> None:
    _, done = run(page)
    again = rewrite(done.data, "post/index.html", FileKind.HTML, IMAGES, SITE)
    assert again.data == done.data
    assert again.rewritten == 0


@given(PAGES.map("".join))
def test_what_is_no_image_reference_stays(page: str) -> None:
    """The bytes of the result, in their order, hold those of the page but for the addresses that were replaced."""
    data, done = run(page)
    found = find(data, "post/index.html", FileKind.HTML, SITE)
    assert isinstance(found, tuple)
    kept = bytearray()
    position = 0
    for reference in sorted(found, key=lambda one: one.start):
        kept += data[position : max(position, reference.start)]
        position = max(position, reference.end)
    kept += data[position:]
    position = 0
    for byte in kept:
        position = done.data.find(byte, position) + 1
        assert position, (data, done.data)


@given(PAGES.map("".join))
@example(f"<p><img src={B}></p><main>x<img src={A}>y</main>")
@example(f"<img src={B}>")
def test_other_parsers_see_the_same_tree_but_for_the_images(page: str) -> None:
    data, done = run(page)
    assert _lexbor(data) == _lexbor(done.data)
    assert _html5lib(data) == _html5lib(done.data)


@given(st.binary(max_size=200), st.sampled_from(FileKind))
def test_no_bytes_are_too_odd(data: bytes, kind: FileKind) -> None:
    find(data, "x", kind, SITE)
    assert rewrite(data, "x", kind, IMAGES, SITE).rewritten in (0, 1)


@given(st.lists(st.one_of(NOISE, st.sampled_from([A, "url(", ")", "image-set(", "{", "}", "@import ", "/*", "*/"]))))
def test_style_sheets_keep_all_but_their_addresses(parts: list[str]) -> None:
    data = "".join(parts).encode()
    done = rewrite(data, "x/y.css", FileKind.CSS, IMAGES, SITE)
    assert rewrite(done.data, "x/y.css", FileKind.CSS, IMAGES, SITE).data == done.data
    for file in done.files:
        done = Rewritten(done.data.replace(f"../assets/imgcache/{file}".encode(), A.encode()))
    assert done.data == data


_CHANGING = ("img", "iframe", "image", "input", "video", "table", "meta", "link", "p", "source", "script", "style")


def _lexbor(data: bytes) -> list[tuple[str, ...]]:
    tree = LexborHTMLParser(data)
    for added in tree.css('style[data-imgcache="layout"]'):
        added.decompose()
    for picture in tree.css('picture[data-imgcache="formats"]'):
        for source in picture.css("source"):
            source.decompose()
        picture.unwrap()
    found = []
    for node in tree.root.traverse(include_text=False) if tree.root else ():
        attributes = () if node.tag in _CHANGING else tuple(map(str, sorted(node.attributes.items())))
        found.append((str(node.tag), str(node.parent.tag if node.parent else ""), *attributes))
    return found


def _html5lib(data: bytes) -> Any:
    return _outline(html5lib.parse(data, transport_encoding="utf-8", namespaceHTMLElements=False))


def _outline(element: Any) -> list[Any]:
    children: list[Any] = []
    for child in element:
        ours = child.get("data-imgcache") if isinstance(child.tag, str) else None
        if child.tag == "picture" and ours == "formats":
            children += [_outline(one) for one in child if one.tag != "source"]
        elif not (child.tag == "style" and ours == "layout"):
            children.append(_outline(child))
    tag = element.tag if isinstance(element.tag, str) else "comment"
    attributes = [] if tag.rpartition("}")[2] in _CHANGING else sorted(element.attrib.items())
    return [tag, attributes, children]
