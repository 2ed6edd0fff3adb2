"""One address replaced by that of a local file, and what is said beside it put right. Pure."""

from __future__ import annotations

from imgcache.publisher.rewrite import offers
from imgcache.publisher.rewrite.offers import File, Held
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.spots import Beside, Spot
from imgcache.publisher.rewrite.values import Form

_OUTSIDE = frozenset({Form.SHARED})


def file_for(spot: Spot, image: Held) -> File:
    """The file that fits where the address stands."""
    if spot.form in _OUTSIDE or spot.place.abroad:
        return offers.shared(image)
    if spot.form in (Form.ICON, Form.LINK):
        return offers.icon(image)
    return offers.exact(image, spot.declared)


def swap(spot: Spot, file: File) -> list[Splice]:
    """The changes that make a place lead to a file; none where its address cannot be told."""
    address = spot.place.local(file.path, absolute=spot.form in _OUTSIDE)
    if not address:
        return []
    return [spot.source.splice(spot.start, spot.end, address), *_beside(spot, spot.beside, file)]


def _beside(spot: Spot, beside: Beside, file: File) -> list[Splice]:
    values = (
        (beside.width, str(file.width)),
        (beside.height, str(file.height)),
        (beside.media_type, file.media_type),
        (beside.bytes, str(file.bytes)),
    )
    return [
        spot.source.splice(*span, value)
        for span, value in values
        if span is not None and spot.source.text[slice(*span)] != value
    ]
