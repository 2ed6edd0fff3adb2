"""Finds images in RSS, Atom and sitemaps. Pure.

Their elements name images (RSS 2.0, RFC 4287, Media RSS, the podcast name space, Google's image sitemaps), and items
contain HTML, escaped or in CDATA, or XHTML as elements.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgcache.publisher.rewrite.addresses import Addresses, looks_like_image
from imgcache.publisher.rewrite.find_in_html import Page
from imgcache.publisher.rewrite.references import ImageReference, MetadataSpans
from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.srcset import candidates
from imgcache.publisher.rewrite.values import Form
from imgcache.publisher.rewrite.xml_text import Ended, Started, Text, events

_HTML = frozenset({"description", "content:encoded", "content", "summary", "title", "itunes:summary", "fullitem"})
_ADDRESSES = frozenset({"image:loc", "icon", "logo", "image", "thumbnail"})
_PLAIN = {"media:thumbnail": "url", "itunes:image": "href", "image": "href", "media:content": "url", "enclosure": "url"}
_TYPED = frozenset({"media:content", "enclosure", "link"})
_MARKS = ("<", "&")
_DEEPEST = 100  # end tags of elements further up are ignored, so that a hostile file takes linear time


def references(source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    """Yields every remote image that the file names, in its order."""
    path: list[str] = []
    for event in events(source.text):
        if isinstance(event, Started):
            yield from _of_tag(event, source, addresses)
            if not event.empty:
                path.append(event.name)
        elif isinstance(event, Ended):
            if event.name in path[-_DEEPEST:]:
                while path.pop() != event.name:
                    pass
        elif path:
            yield from _of_text(event, path, source, addresses)


def _of_tag(tag: Started, source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    if tag.name == "img":
        yield from _address(tag, "src", source, addresses)
        if "srcset" in tag.attributes:
            value = source.xml(*tag.attributes["srcset"])
            for one in candidates(value.text):
                if url := addresses.remote(value.read(one.start, one.end)):
                    yield ImageReference(url, Form.SHARED, value, one.start, one.end, addresses)
    elif tag.name == "link":
        if _value(tag, "rel", source) == "enclosure" and _is_image(tag, "href", source):
            yield from _address(tag, "href", source, addresses)
    elif tag.name in _PLAIN and (tag.name not in _TYPED or _is_image(tag, _PLAIN[tag.name], source)):
        yield from _address(tag, _PLAIN[tag.name], source, addresses)


def _of_text(text: Text, path: list[str], source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    name = path[-1]
    raw = source.text[text.start : text.end]
    if "/" not in raw:
        return
    if name in _ADDRESSES or (name == "url" and path[-2:-1] == ["image"]):
        start = text.start + len(raw) - len(raw.lstrip())
        end = text.start + len(raw.rstrip())
        part = source.inner(start, end) if text.cdata else source.xml(start, end)
        if url := addresses.remote(part.read_all()):
            yield ImageReference(url, Form.SHARED, source, start, end, addresses)
    elif name in _HTML and any(mark in raw for mark in _MARKS):
        part = source.inner(text.start, text.end) if text.cdata else source.xml(text.start, text.end)
        if "<" in part.text:
            yield from Page(part, addresses).references()


def _is_image(tag: Started, name: str, source: Source) -> bool:
    media_type = _value(tag, "type", source)
    medium = _value(tag, "medium", source)
    if media_type or medium:
        return medium == "image" or media_type.startswith("image/")
    return looks_like_image(_value(tag, name, source))


def _address(tag: Started, name: str, source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    span = tag.attributes.get(name)
    if span is None:
        return
    url = addresses.remote(source.xml(*span).read_all())
    if url:
        metadata = MetadataSpans()
        if tag.name in _TYPED or tag.name == "media:thumbnail":
            at = tag.attributes
            metadata = MetadataSpans(
                at.get("width"), at.get("height"), at.get("type"), at.get("length") or at.get("fileSize")
            )
        yield ImageReference(url, Form.SHARED, source, *span, addresses, None, name, "", metadata)


def _value(tag: Started, name: str, source: Source) -> str:
    span = tag.attributes.get(name)
    return source.text[slice(*span)].strip().lower() if span else ""
