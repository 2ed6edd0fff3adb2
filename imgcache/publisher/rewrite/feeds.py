"""Images in RSS, Atom and sitemaps. Pure.

Beside the addresses that their elements hold (RSS 2.0, RFC 4287, Media RSS, the podcast name space, Google's image
sitemaps) items carry HTML, escaped or in CDATA, or XHTML as elements.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgcache.publisher.rewrite.addresses import Place, looks_like_image
from imgcache.publisher.rewrite.html import Page
from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.spots import Beside, Spot
from imgcache.publisher.rewrite.srcset import candidates
from imgcache.publisher.rewrite.values import Form
from imgcache.publisher.rewrite.xml_text import Ended, Started, Text, events

_HTML = frozenset({"description", "content:encoded", "content", "summary", "title", "itunes:summary", "fullitem"})
_ADDRESSES = frozenset({"image:loc", "icon", "logo", "image", "thumbnail"})
_PLAIN = {"media:thumbnail": "url", "itunes:image": "href", "image": "href", "media:content": "url", "enclosure": "url"}
_TYPED = frozenset({"media:content", "enclosure", "link"})
_MARKS = ("<", "&")
_DEEPEST = 100  # end tags further up than that are passed over: a hostile file takes linear time


def spots(source: Source, place: Place) -> Iterator[Spot]:
    """Every remote image that the file names, in its order."""
    path: list[str] = []
    for event in events(source.text):
        if isinstance(event, Started):
            yield from _of_tag(event, source, place)
            if not event.empty:
                path.append(event.name)
        elif isinstance(event, Ended):
            if event.name in path[-_DEEPEST:]:
                while path.pop() != event.name:
                    pass
        elif path:
            yield from _of_text(event, path, source, place)


def _of_tag(tag: Started, source: Source, place: Place) -> Iterator[Spot]:
    if tag.name == "img":
        yield from _address(tag, "src", source, place)
        if "srcset" in tag.attributes:
            value = source.xml(*tag.attributes["srcset"])
            for one in candidates(value.text):
                if url := place.remote(value.read(one.start, one.end)):
                    yield Spot(url, Form.SHARED, value, one.start, one.end, place)
    elif tag.name == "link":
        if _value(tag, "rel", source) == "enclosure" and _is_image(tag, "href", source):
            yield from _address(tag, "href", source, place)
    elif tag.name in _PLAIN and (tag.name not in _TYPED or _is_image(tag, _PLAIN[tag.name], source)):
        yield from _address(tag, _PLAIN[tag.name], source, place)


def _of_text(text: Text, path: list[str], source: Source, place: Place) -> Iterator[Spot]:
    name = path[-1]
    raw = source.text[text.start : text.end]
    if "/" not in raw:
        return
    if name in _ADDRESSES or (name == "url" and path[-2:-1] == ["image"]):
        start = text.start + len(raw) - len(raw.lstrip())
        end = text.start + len(raw.rstrip())
        part = source.inner(start, end) if text.cdata else source.xml(start, end)
        if url := place.remote(part.read_all()):
            yield Spot(url, Form.SHARED, source, start, end, place)
    elif name in _HTML and any(mark in raw for mark in _MARKS):
        part = source.inner(text.start, text.end) if text.cdata else source.xml(text.start, text.end)
        if "<" in part.text:
            yield from Page(part, place).spots()


def _is_image(tag: Started, name: str, source: Source) -> bool:
    media_type = _value(tag, "type", source)
    medium = _value(tag, "medium", source)
    if media_type or medium:
        return medium == "image" or media_type.startswith("image/")
    return looks_like_image(_value(tag, name, source))


def _address(tag: Started, name: str, source: Source, place: Place) -> Iterator[Spot]:
    span = tag.attributes.get(name)
    if span is None:
        return
    url = place.remote(source.xml(*span).read_all())
    if url:
        beside = Beside()
        if tag.name in _TYPED or tag.name == "media:thumbnail":
            at = tag.attributes
            beside = Beside(at.get("width"), at.get("height"), at.get("type"), at.get("length") or at.get("fileSize"))
        yield Spot(url, Form.SHARED, source, *span, place, None, name, "", beside)


def _value(tag: Started, name: str, source: Source) -> str:
    span = tag.attributes.get(name)
    return source.text[slice(*span)].strip().lower() if span else ""
