"""Finds every reference of an HTML page to a remote image. Pure.

The tree is that of the HTML standard, so that comments, scripts, text areas and all that browsers do not read as markup
are ignored. The content of `<noscript>` and `<template>` counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import turbohtml
from turbohtml import Document, Element

from imgcache.publisher.rewrite import head_elements, json_ld
from imgcache.publisher.rewrite.addresses import Addresses, looks_like_image
from imgcache.publisher.rewrite.references import ImageReference, MetadataSpans
from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.srcset import candidates
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form
from imgcache.scanner.markup import css
from imgcache.scanner.markup.names import BACKGROUNDS, LAZY_ADDRESSES, LAZY_SETS

LAZY = frozenset({*LAZY_ADDRESSES, *LAZY_SETS})
_BACKGROUND_NAMES = frozenset(BACKGROUNDS)
_ANYWHERE = ("style", "background", *BACKGROUNDS)
_NAMES = (
    *("img", "source", "video", "input", "link", "meta", "image", "feImage", "object", "embed", "style"),
    "iframe[srcdoc]",
    *("amp-img", "amp-anim", "amp-video", 'script[type="application/ld+json" i]'),
)
_KEEP = '[data-imgcache="keep"]'
SELECTOR = ",".join((*_NAMES, "base[href]", _KEEP, *(f"[{name}]" for name in _ANYWHERE)))
_IN_CSS = re.compile(r"url\(|image-set\(", re.IGNORECASE)
_BACKGROUND_URL = re.compile(r"\s*url\(", re.IGNORECASE)
_MAY_LEAD_AWAY = re.compile(r"//|\\|&")  # an entity can be a slash
_WITH_CONTENT = frozenset({"style", "script"})
_NO_IMAGES = frozenset({"iframe", "script"})
_CHOICES = frozenset({Form.IMAGE, Form.PRELOAD})


class Page:
    """An HTML text as a tree, with the references to remote images in it.

    Args:
        source: the text. Its file can be of another kind, as a feed is.
        place: where the file is.
    """

    def __init__(self, source: Source, addresses: Addresses) -> None:
        self.source = source
        self.tree = parsed(source.text)
        links = ",a[href]" if addresses.options.links else ""
        found = self.tree.select(f"{SELECTOR}{links}")
        base = next((one for one in found if one.tag == "base"), None)
        self.addresses = replace(addresses, base=(base.attr("href") or "").strip()) if base else addresses
        self._kept = any(one.attr("data-imgcache") == "keep" for one in found)
        self.elements = [one for one in found if one.position is not None]

    def of(self, *names: str) -> list[Element]:
        """Returns the elements of these names in the order of the tree. Only names in `SELECTOR` are found."""
        return [element for element in self.elements if element.tag in names]

    def references(self) -> Iterator[ImageReference]:
        """Yields every reference to a remote image, in the order of the tree."""
        text = self.source.text
        own = not self.addresses.base
        for element in self.elements:
            if self._kept and element.closest(_KEEP) is not None:
                continue
            tag = Tag(element, self.source)
            if own and element.tag not in _WITH_CONTENT and not _MAY_LEAD_AWAY.search(text, tag.start, tag.end):
                continue
            finder = _FINDERS.get(element.tag)
            if finder is not None and (element.tag != "a" or self.addresses.options.links):
                yield from finder(self, tag)
            yield from self._anywhere(tag)

    def _anywhere(self, tag: Tag) -> Iterator[ImageReference]:
        if tag.has("style") and _IN_CSS.search(tag.get("style")):
            yield from self.styles(tag, "style")
        if tag.has("background"):
            yield from self.address(tag, "background", Form.EXACT)
        if tag.any_of(_BACKGROUND_NAMES) and tag.element.tag not in _NO_IMAGES:
            for name in BACKGROUNDS:
                if not tag.has(name):
                    continue
                if _BACKGROUND_URL.match(tag.get(name)):
                    yield from self.styles(tag, name)
                elif name.endswith("set"):
                    yield from self.candidates(tag, name)
                else:
                    yield from self.address(tag, name, Form.LAZY)

    def address(self, tag: Tag, name: str, form: Form, declared: str = "") -> Iterator[ImageReference]:
        """Yields the remote image that an attribute names, if it names one."""
        span = tag.value(name)
        if span is None:
            return
        raw = self.source.text[slice(*span)]
        start = span[0] + len(raw) - len(raw.lstrip(" \t\n\f\r"))
        end = start + len(raw.strip(" \t\n\f\r"))
        url = self.addresses.remote(self.source.attribute(start, end).read_all())
        if url:
            yield ImageReference(url, form, self.source, start, end, self.addresses, tag, name, declared)

    def candidates(self, tag: Tag, name: str, declared: str = "") -> Iterator[ImageReference]:
        """Yields the remote images that a srcset names."""
        span = tag.value(name)
        if span is None:
            return
        value = self.source.attribute(*span)
        for one in candidates(value.text):
            url = self.addresses.remote(value.read(one.start, one.end))
            if url:
                yield ImageReference(
                    url, Form.CANDIDATE, value, one.start, one.end, self.addresses, tag, name, declared
                )

    def styles(self, tag: Tag, name: str) -> Iterator[ImageReference]:
        """Yields the remote images of an attribute that holds CSS."""
        span = tag.value(name)
        if span is not None:
            yield from sheet(self.source.attribute(*span), self.addresses, tag)


def parsed(text: str, *, attributes: bool = True) -> Document:
    """Parses a text into a tree with the position of each tag, and of each attribute if wanted.

    A carriage return is white space in every place where it matters to the tree; the parser would count it and the line
    feed after it as one character.
    """
    return turbohtml.parse(text.replace("\r", " "), source_locations=attributes, allow_declarative_shadow_roots=False)


def sheet(source: Source, addresses: Addresses, tag: Tag | None = None) -> Iterator[ImageReference]:
    """Yields the remote images of a style sheet."""
    for one in css.addresses(source.text):
        url = addresses.remote(css.unescaped(source.read(one.start, one.end)))
        if url:
            at = (one.type_at, one.type_at + len(one.media_type)) if one.media_type else None
            declared = one.media_type.lower()
            metadata = MetadataSpans(media_type=at)
            yield ImageReference(
                url, Form.EXACT, source, one.start, one.end, addresses, tag, "style", declared, metadata
            )


def _image(page: Page, tag: Tag) -> Iterator[ImageReference]:
    yield from page.address(tag, "src", Form.IMAGE)
    if tag.has("srcset"):
        yield from page.candidates(tag, "srcset")
    if not tag.any_of(LAZY):
        return
    for name in LAZY_SETS:
        if tag.has(name):
            yield from page.candidates(tag, name)
    for name in LAZY_ADDRESSES:
        if tag.has(name):
            yield from page.address(tag, name, Form.LAZY)


def _source(page: Page, tag: Tag) -> Iterator[ImageReference]:
    parent = tag.element.parent
    if not isinstance(parent, Element) or parent.tag in ("video", "audio"):
        return
    for name in ("srcset", *LAZY_SETS):
        if tag.has(name):
            yield from page.candidates(tag, name, tag.get("type").strip().lower())


def _video(page: Page, tag: Tag) -> Iterator[ImageReference]:
    for name in ("poster", "data-poster"):
        if tag.has(name):
            yield from page.address(tag, name, Form.EXACT)


def _input(page: Page, tag: Tag) -> Iterator[ImageReference]:
    if tag.get("type").strip().lower() == "image":
        yield from page.address(tag, "src", Form.EXACT)


def _svg_image(page: Page, tag: Tag) -> Iterator[ImageReference]:
    for name in ("href", "xlink:href"):
        yield from page.address(tag, name, Form.EXACT)


def _object(page: Page, tag: Tag) -> Iterator[ImageReference]:
    name = "data" if tag.element.tag == "object" else "src"
    media_type = tag.get("type").strip().lower()
    if media_type.startswith("image/") or (not media_type and looks_like_image(tag.get(name))):
        yield from page.address(tag, name, Form.ICON, media_type)


def _link(page: Page, tag: Tag) -> Iterator[ImageReference]:
    form = head_elements.link_form(tag)
    if form is not None:
        yield from page.address(tag, "href", form, tag.get("type").strip().lower())
        if tag.has("imagesrcset"):
            yield from page.candidates(tag, "imagesrcset", tag.get("type").strip().lower())


def _meta(page: Page, tag: Tag) -> Iterator[ImageReference]:
    form = head_elements.meta_form(tag)
    if form is not None:
        yield from page.address(tag, "content", form)


def _inner_page(page: Page, tag: Tag) -> Iterator[ImageReference]:
    """Yields the images of the page in a `srcdoc`, but not those of a page in that page: it takes linear time.

    Only their addresses are replaced, for the changes of one page cannot follow the tree of another.
    """
    span = tag.value("srcdoc")
    if span is None or page.source.outer is not None:
        return
    for reference in Page(page.source.attribute(*span), page.addresses).references():
        form = Form.EXACT if reference.form in _CHOICES else reference.form
        yield msgspec.structs.replace(reference, form=form, tag=tag, attribute="srcdoc", declared="")


def _anchor(page: Page, tag: Tag) -> Iterator[ImageReference]:
    if looks_like_image(tag.get("href")):
        yield from page.address(tag, "href", Form.LINK)


def _style(page: Page, tag: Tag) -> Iterator[ImageReference]:
    if tag.content:
        yield from sheet(page.source.inner(*tag.content), page.addresses, tag)


def _script(page: Page, tag: Tag) -> Iterator[ImageReference]:
    if tag.content and tag.get("type").strip().lower() == "application/ld+json":
        yield from json_ld.references(page.source.inner(*tag.content), page.addresses, tag)


_FINDERS: dict[str, Callable[[Page, Tag], Iterator[ImageReference]]] = {
    "img": _image,
    "amp-img": _image,
    "amp-anim": _image,
    "source": _source,
    "video": _video,
    "amp-video": _video,
    "input": _input,
    "image": _svg_image,
    "feImage": _svg_image,
    "object": _object,
    "embed": _object,
    "link": _link,
    "meta": _meta,
    "style": _style,
    "script": _script,
    "a": _anchor,
    "iframe": _inner_page,
}
