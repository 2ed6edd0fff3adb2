"""A reference to a remote image in a built file, with its position and what stands around it."""

from __future__ import annotations

import msgspec

from imgcache.publisher.rewrite.addresses import Addresses
from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form


class MetadataSpans(msgspec.Struct, frozen=True):
    """The positions of values beside an address that describe the image, and change with it."""

    width: tuple[int, int] | None = None
    height: tuple[int, int] | None = None
    media_type: tuple[int, int] | None = None
    bytes: tuple[int, int] | None = None


class ImageReference(msgspec.Struct, frozen=True):
    """A reference to a remote image.

    Attributes:
        url: its address, absolute, with entities and escapes decoded.
        form: what it is for, which decides what may replace it.
        source: the text in which it stands.
        start: where its address begins in `source`.
        end: where its address ends.
        addresses: resolves addresses of the file.
        tag: the tag in which it stands, if it is in one.
        attribute: the attribute in which it stands; "" if it is in none.
        declared: the media type that stands beside it, in lower case; "" if there is none.
        metadata: further values beside it.
    """

    url: str
    form: Form
    source: Source
    start: int
    end: int
    addresses: Addresses
    tag: Tag | None = None
    attribute: str = ""
    declared: str = ""
    metadata: MetadataSpans = MetadataSpans()
