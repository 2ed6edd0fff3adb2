"""What is found in a file of a built folder, and what became of it: values that processes send one another."""

from __future__ import annotations

import msgspec

from imgcache.publisher.rewrite.offers import Held
from imgcache.publisher.rewrite.values import Options, Unreadable


class FolderTask(msgspec.Struct, frozen=True):
    """What a process has to know of the built folder. `site_url` tells the site's own images from remote ones."""

    root: str
    site_url: str | None
    options: Options


class FoundImage(msgspec.Struct, frozen=True, gc=False):
    """A place in a file that loads an image, by the characters of its line, both counted from 1.

    `digest` is that of the local file which is loaded, "" where the image is loaded from its host. `is_possible`:
    the address of a local file would do there.
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
    """One file as it was read. `files` are those of the assets' folder that it asks for.

    `mtime_ns` is 0 where the file was written so shortly before that its time proves nothing. `digest` is SHA-256 of
    its bytes, in hex; "" where it could not be read.
    """

    path: str
    mtime_ns: int
    size: int
    digest: str
    images: tuple[FoundImage, ...] = ()
    files: tuple[str, ...] = ()
    integrity: tuple[Integrity, ...] = ()
    wrong: Unreadable | None = None


class PageJob(msgspec.Struct, frozen=True):
    """A file to rewrite: SHA-256 of the bytes that were searched, in hex, and the images that are held."""

    path: str
    digest: str
    held: dict[str, Held]


class RewrittenPage(msgspec.Struct, frozen=True):
    """A file after its rewrite, not yet written. `data` is None where nothing changes.

    `identity` is device, inode, size and time in nanoseconds of the file that was read. `is_stale`: the file is no
    longer the one that was searched.
    """

    path: str
    data: bytes | None = None
    identity: tuple[int, int, int, int] = (0, 0, 0, 0)
    found: FoundPage | None = None
    wrong: Unreadable | None = None
    is_stale: bool = False
