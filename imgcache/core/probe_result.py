"""The result of probing a remote image: what its first bytes and the responses on the way say."""

from __future__ import annotations

import msgspec

from imgcache.core.models import Size

PROBE_BYTES = 32_768  # bytes of an image that are requested at first; the headers of nearly all images fit


class Hop(msgspec.Struct, frozen=True, gc=False):
    """One redirect: its status (301, 302, 303, 307, 308) and its absolute target URL."""

    status: int
    url: str


class ProbedImage(msgspec.Struct, frozen=True):
    """An image as far as its first bytes and the responses on the way show it.

    Attributes:
        format: a key of `FORMATS`.
        media_type: of that format.
        size: in pixels as displayed, after EXIF orientation.
        total: bytes of the whole image, by Content-Range or Content-Length; None where the server gives neither.
        received: bytes of bodies that were read.
        head: SHA-256, in hex, of the first `PROBE_BYTES` bytes, or of all where there are fewer. Two results with the
            same `head` and `total` are taken for the same image.
        hops: the redirects, in order.
        cookies: the names of all cookies that were set, sorted.
        certificate_ends: when the certificate expires, in seconds since the epoch; None over http.
        seconds: the time of all requests, without waiting for a free slot.
    """

    format: str
    media_type: str
    size: Size
    total: int | None
    received: int
    head: str
    hops: tuple[Hop, ...] = ()
    cookies: tuple[str, ...] = ()
    certificate_ends: float | None = None
    seconds: float = 0.0
