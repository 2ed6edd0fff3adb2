"""Values that processes send one another: what is found in a file of a built folder, and what became of it."""

from __future__ import annotations

import msgspec

from imgcache.publisher.rewrite.offers import Held
from imgcache.publisher.rewrite.values import Options, Unreadable


class FolderTask(msgspec.Struct, frozen=True):
    """What a process needs to know of the built folder. `site_url` tells the site's own images from remote ones."""

    root: str
    site_url: str | None
    options: Options


class FoundImage(msgspec.Struct, frozen=True, gc=False):
    """A place in a file that loads an image.

    Attributes:
        url: the address of a remote image; "" for a local file.
        digest: SHA-256 of the image whose local file is loaded, in hex; "" if it is loaded from its host.
        line: counted from 1.
        column: in characters, counted from 1.
        is_possible: whether the address of a local file would work there.
    """

    url: str
    digest: str
    line: int
    column: int
    is_possible: bool = True


class Integrity(msgspec.Struct, frozen=True, gc=False):
    """A place that names a file of the folder, by its path, and the checksum that its bytes must have."""

    path: str
    line: int
    column: int


class FoundPage(msgspec.Struct, frozen=True):
    """One file as it was read.

    Attributes:
        path: relative to the built folder.
        mtime_ns: when it was written; 0 if that was so shortly before that the time proves nothing.
        size: in bytes.
        digest: SHA-256 of its bytes, in hex; "" if it could not be read.
        images: the places that load images.
        files: the files of the assets' folder to which it refers.
        integrity: the places that name a file with its checksum.
        error: why it is left as it is.
    """

    path: str
    mtime_ns: int
    size: int
    digest: str
    images: tuple[FoundImage, ...] = ()
    files: tuple[str, ...] = ()
    integrity: tuple[Integrity, ...] = ()
    error: Unreadable | None = None


class PageJob(msgspec.Struct, frozen=True):
    """A file to rewrite: SHA-256 of the bytes that were searched, in hex, and the images that are held."""

    path: str
    digest: str
    held: dict[str, Held]


class RewrittenPage(msgspec.Struct, frozen=True):
    """A file after its rewrite, not yet written.

    Attributes:
        path: relative to the built folder.
        data: its new bytes; None if nothing changes.
        identity: device, inode, size and time in nanoseconds of the file that was read.
        found: what the new bytes load.
        error: why it is left as it is.
        is_stale: whether the file is no longer the one that was searched.
    """

    path: str
    data: bytes | None = None
    identity: tuple[int, int, int, int] = (0, 0, 0, 0)
    found: FoundPage | None = None
    error: Unreadable | None = None
    is_stale: bool = False
