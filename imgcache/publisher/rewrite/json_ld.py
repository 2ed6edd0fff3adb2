"""Finds images in structured data (JSON-LD, schema.org), JSON Feed and web app manifests. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from imgcache.publisher.rewrite import json_text
from imgcache.publisher.rewrite.addresses import Addresses, looks_like_image
from imgcache.publisher.rewrite.json_text import Items, Members, NotJson, Scalar, Value
from imgcache.publisher.rewrite.references import ImageReference, MetadataSpans
from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form

_LINKED = frozenset({"image", "logo", "thumbnailUrl", "thumbnail", "photo", "primaryImageOfPage"})
_FEED = frozenset({"image", "banner_image", "icon", "favicon", "avatar"})
_MANIFEST = frozenset({"icons", "screenshots"})


def references(source: Source, addresses: Addresses, tag: Tag | None = None) -> Iterator[ImageReference]:
    """Yields the remote images of JSON-LD; none if it is not valid JSON, which no other reader accepts either."""
    try:
        value = json_text.parse(source.text)
    except NotJson:
        return
    yield from _linked(value, source, addresses, tag, within=False)


def file_references(source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    """Yields the remote images of a JSON Feed (version 1.1) or a web app manifest.

    Raises:
        NotJson: the file is not JSON.
    """
    value = json_text.parse(source.text)
    if isinstance(value, Members):
        version = value.values.get("version")
        if isinstance(version, Scalar) and "jsonfeed.org/version" in version.value:
            yield from _feed(value, source, addresses)
        else:
            yield from _manifest(value, source, addresses)


def feed_contents(source: Source) -> Iterator[Source]:
    """Yields the HTML of each item of a JSON Feed."""
    value = json_text.parse(source.text)
    items = value.values.get("items") if isinstance(value, Members) else None
    for item in items.values if isinstance(items, Items) else ():
        content = item.values.get("content_html") if isinstance(item, Members) else None
        if isinstance(content, Scalar) and content.quoted:
            yield source.json(content.start, content.end)


def _linked(
    value: Value, source: Source, addresses: Addresses, tag: Tag | None, *, within: bool
) -> Iterator[ImageReference]:
    """Yields the images of a value; `within` says that it is the value of a property that names images."""
    if isinstance(value, Scalar):
        if within:
            yield from _reference(value, Form.SHARED, source, addresses, tag)
    elif isinstance(value, Items):
        for one in value.values:
            yield from _linked(one, source, addresses, tag, within=within)
    else:
        is_image = within or _is_image(value)
        for name, member in value.values.items():
            if is_image and name in ("url", "contentUrl") and isinstance(member, Scalar):
                yield from _reference(member, Form.SHARED, source, addresses, tag, metadata=_metadata(value))
            elif name == "@id" and within and isinstance(member, Scalar) and looks_like_image(member.value):
                continue  # a name, which other parts of the data refer to
            elif not isinstance(member, Scalar) or name in _LINKED:
                yield from _linked(member, source, addresses, tag, within=name in _LINKED)


def _is_image(value: Members) -> bool:
    kind = value.values.get("@type")
    kinds = kind.values if isinstance(kind, Items) else [kind]
    return any(isinstance(one, Scalar) and one.value == "ImageObject" for one in kinds)


def _metadata(value: Members) -> MetadataSpans:
    def plain(name: str) -> tuple[int, int] | None:
        member = value.values.get(name)
        return (member.start, member.end) if isinstance(member, Scalar) and member.value.isdecimal() else None

    kind = value.values.get("encodingFormat")
    return MetadataSpans(
        width=plain("width"),
        height=plain("height"),
        media_type=(kind.start, kind.end) if isinstance(kind, Scalar) and kind.value.startswith("image/") else None,
    )


def _feed(value: Members, source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    for name, member in value.values.items():
        if isinstance(member, Scalar):
            if name in _FEED:
                yield from _reference(member, Form.SHARED, source, addresses)
            continue
        for one in member.values if isinstance(member, Items) else [member]:
            if not isinstance(one, Members):
                continue
            kind = one.values.get("mime_type")
            url = one.values.get("url")
            if isinstance(kind, Scalar) and kind.value.startswith("image/") and isinstance(url, Scalar):
                size = one.values.get("size_in_bytes")
                metadata = MetadataSpans(
                    media_type=(kind.start, kind.end),
                    bytes=(size.start, size.end) if isinstance(size, Scalar) else None,
                )
                yield from _reference(url, Form.SHARED, source, addresses, metadata=metadata)
            yield from _feed(one, source, addresses)


def _manifest(value: Members, source: Source, addresses: Addresses) -> Iterator[ImageReference]:
    for name, member in value.values.items():
        if not isinstance(member, Items):
            continue
        for one in member.values:
            if not isinstance(one, Members):
                continue
            url = one.values.get("src")
            if name in _MANIFEST and isinstance(url, Scalar):
                yield from _reference(url, Form.ICON, source, addresses)
            yield from _manifest(one, source, addresses)


def _reference(
    value: Scalar,
    form: Form,
    source: Source,
    addresses: Addresses,
    tag: Tag | None = None,
    *,
    metadata: MetadataSpans | None = None,
) -> Iterator[ImageReference]:
    if not value.quoted:
        return
    url = addresses.remote(json_text.unescaped(source.read(value.start, value.end)))
    if url:
        yield ImageReference(
            url, form, source, value.start, value.end, addresses, tag, "", "", metadata or MetadataSpans()
        )
