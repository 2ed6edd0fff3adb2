"""What one look at a remote picture tells, without fetching it: the nouns between the prober and the audit. Pure."""

from __future__ import annotations

import msgspec

from imgcache.core.models import Size

PROBE_BYTES = 32_768  # bytes of a picture that are asked for at first; headers of nearly all pictures fit


class Hop(msgspec.Struct, frozen=True, gc=False):
    """One redirect: its status (301, 302, 303, 307, 308) and the absolute URL it led to."""

    status: int
    url: str


class ProbedImage(msgspec.Struct, frozen=True):
    """What the first bytes of a picture, and the answers on the way to it, say.

    `size` is in pixels as displayed, after EXIF orientation. `total` counts the bytes of the whole picture, by
    Content-Range or Content-Length, None where the server does not say. `received` counts the bytes of bodies that were
    read. `head` is the SHA-256, in hex, of the first `HEAD` bytes, or of all where there are fewer: two looks with the
    same `head` and `total` are taken for the same picture. `cookies` are the names of cookies that answers set, sorted.
    `certificate_ends` is in seconds since the epoch, None over http. `seconds` is how long all of it took, waiting for
    a turn not counted.
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
