"""Keeps every image at its place and size although the browser may choose among files of several sizes. Pure.

An image without `width` and `height` is shown at the size of its file, unless the site's style sheets say otherwise.
With a `srcset` the browser takes another file of another size. Attributes `width` and `height` would put that right
only where the style sheets set both sides or neither: `img {height: 40px}` alone would then distort the image, because
attributes count as style (HTML, section 15.3.9, "presentational hints").

So a rule that any other rule overrides, in a cascade layer that is declared first (CSS Cascade Level 5, section 6.4.4),
takes the sides back to `auto`, and gives the element the size of the true image whichever file is shown
(`contain-intrinsic-size`, CSS Box Sizing Level 4, section 4). The attributes still tell the shape before it is loaded.
With its size contained an element in a flex container would shrink to nothing, where an image keeps its own width (CSS
Flexible Box Layout, section 4.5); `flex-shrink` gives that back. Limits, all of them rare: a style sheet that tells
images with `width` attributes from others (`img:not([width])`), that gives images a `contain` of its own, or that lets
images of a flex container shrink (`min-width: 0`).
"""

from __future__ import annotations

import re

from turbohtml import Element

from imgcache.publisher.rewrite.find_in_html import Page
from imgcache.publisher.rewrite.offers import Held
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.tags import Tag

MARK = "data-imgcache"
_RULE = "".join(
    (
        f'<style {MARK}="layout">@layer imgcache{{',
        f":where([{MARK}~=width]){{width:auto}}",
        f":where([{MARK}~=height]){{height:auto}}",
        f"@supports (contain-intrinsic-size:1px 1px){{:where([{MARK}~=size])",
        "{contain:size;aspect-ratio:auto var(--imgcache-ratio);flex-shrink:0}}",
        "}</style>",
    )
)
_PLAIN_NUMBER = re.compile(r"\s*\+?(\d+)(?:\.\d*)?\s*(?:px)?\s*")
_POLICY = "content-security-policy"
_STYLE_SOURCES = re.compile(r"(?:^|;)\s*(?:style-src(?:-attr|-elem)?|default-src)\s[^;]*", re.IGNORECASE)


def declared_size(tag: Tag) -> tuple[int | None, int | None]:
    """Returns width and height in pixels from the attributes of an `<img>`; None for one that is not a number."""
    return _number(tag.get("width")), _number(tag.get("height"))


def fixed(tag: Tag, image: Held) -> tuple[list[tuple[str, str]], str]:
    """Returns the attributes that an `<img>` lacks, and the declarations for its `style`.

    An image of one file needs them as well: with its sides at `auto` it would take no room until it is loaded.
    """
    width, height = declared_size(tag)
    missing = [name for name in ("width", "height") if not tag.has(name)]
    attributes: list[tuple[str, str]] = []
    if len(missing) == 2:
        attributes = [("width", str(image.width)), ("height", str(image.height))]
    elif missing == ["height"] and width:
        attributes = [("height", str(max(1, round(width * image.height / image.width))))]
    elif missing == ["width"] and height:
        attributes = [("width", str(max(1, round(height * image.width / image.height))))]
    attributes.append((MARK, " ".join([*(name for name, _ in attributes), "size"])))
    style = f"contain-intrinsic-size:{image.width}px {image.height}px;--imgcache-ratio:{image.width}/{image.height}"
    return attributes, style


def allows_styles(page: Page) -> bool:
    """Returns whether the page's own policy allows inline styles (Content Security Policy Level 3, section 6.7.3)."""
    for meta in page.of("meta"):
        if (meta.attr("http-equiv") or "").strip().lower() != _POLICY:
            continue
        for found in _STYLE_SOURCES.finditer(meta.attr("content") or ""):
            if "'unsafe-inline'" not in found[0] or "'nonce-" in found[0] or "'sha" in found[0]:
                return False
    return True


def is_amp(page: Page) -> bool:
    """Returns whether the page is AMP, whose validator refuses style sheets and inline layout that are not its own."""
    root = next((child for child in page.tree.children if isinstance(child, Element)), None)
    return root is not None and any(name in root.attrs for name in ("amp", "\u26a1", "\u00e2\u009a\u00a1"))


def rule(page: Page) -> Splice | None:
    """Returns the change that adds the rule before every other style sheet; None if there is no place for it.

    Not at the start of the head: the declaration of the encoding has to stay within the first 1,024 bytes.
    """
    first = next((one for one in page.of("style", "link") if _is_sheet(one)), None)
    at = _start(first) if first is not None else _end_of_head(page)
    return page.source.splice(at, at, _RULE) if at is not None else None


def has_rule(page: Page) -> bool:
    """Returns whether an earlier rewrite added the rule."""
    return any(style.attr(MARK) == "layout" for style in page.of("style"))


def _number(value: str) -> int | None:
    found = _PLAIN_NUMBER.fullmatch(value)
    return int(found[1]) if found else None


def _is_sheet(element: Element) -> bool:
    """Returns whether an element is a style sheet of the head that every browser reads."""
    kinds = (element.attr("rel") or "").lower().split()
    return (
        (element.tag == "style" or "stylesheet" in kinds)
        and element.closest("head") is not None
        and element.closest("template,noscript") is None
    )


def _end_of_head(page: Page) -> int | None:
    """Returns where a head without style sheets ends, whichever tags are left out."""
    head, body = page.tree.select_one("head"), page.tree.select_one("body")
    if head is None or body is None:
        return None
    if head.source_location is not None and head.source_location.end_tag is not None:
        return head.source_location.end_tag.start_offset
    if body.source_location is not None:
        return _start(body)
    inside = [child for child in head.children if isinstance(child, Element) and child.source_location]
    if inside:
        location = inside[-1].source_location
        if location is None or (location.end_tag is None and inside[-1].tag not in ("meta", "link", "base")):
            return None
        return (location.end_tag or location.start_tag).end_offset
    return next((_start(child) for child in body.children if isinstance(child, Element)), None)


def _start(element: Element) -> int | None:
    location = element.source_location
    return location.start_tag.start_offset if location else None
