"""Replaces one address by that of a local file, and what stands beside it: size, media type, length. Pure."""

from __future__ import annotations

from imgcache.publisher.rewrite import offers
from imgcache.publisher.rewrite.offers import File, Held
from imgcache.publisher.rewrite.references import ImageReference
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.values import Form

_OUTSIDE = frozenset({Form.SHARED})


def choose_file(reference: ImageReference, image: Held) -> File:
    """Returns the file of an image that fits where its address stands."""
    if reference.form in _OUTSIDE or reference.addresses.is_syndicated:
        return offers.shared(image)
    if reference.form in (Form.ICON, Form.LINK):
        return offers.icon(image)
    return offers.exact(image, reference.declared)


def address_changes(reference: ImageReference, file: File) -> list[Splice]:
    """Returns the changes that make a reference lead to a file; none if the file has no address there."""
    address = reference.addresses.local(file.path, absolute=reference.form in _OUTSIDE)
    if not address:
        return []
    return [reference.source.splice(reference.start, reference.end, address), *_metadata_changes(reference, file)]


def _metadata_changes(reference: ImageReference, file: File) -> list[Splice]:
    metadata = reference.metadata
    values = (
        (metadata.width, str(file.width)),
        (metadata.height, str(file.height)),
        (metadata.media_type, file.media_type),
        (metadata.bytes, str(file.bytes)),
    )
    return [
        reference.source.splice(*span, value)
        for span, value in values
        if span is not None and reference.source.text[slice(*span)] != value
    ]
