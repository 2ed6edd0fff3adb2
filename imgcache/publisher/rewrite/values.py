"""Values that go into a rewrite and come out of it; any process can be sent them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FileKind(StrEnum):
    """How a file of a built site is read."""

    HTML = "html"
    CSS = "css"
    FEED = "feed"  # RSS, Atom and sitemaps: XML
    JSON = "json"  # JSON Feed and web app manifests


class Form(StrEnum):
    """What an image reference is for, which decides what may replace it."""

    IMAGE = "image"  # `<img src>`: the browser may be offered a choice
    CANDIDATE = "candidate"  # one URL of a srcset
    LAZY = "lazy"  # an attribute that a script reads
    EXACT = "exact"  # an image shown at its own size: backgrounds, posters, SVG images
    ICON = "icon"  # a format that is declared beside it, or that not every browser shows everywhere
    PRELOAD = "preload"
    SHARED = "shared"  # read by other programs from outside: absolute, JPEG or PNG
    LINK = "link"  # followed, not loaded: `<a href>`


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How pages are rewritten.

    Args:
        assets: the folder of the files in the built site, without a slash at either end.
        assets_url: where these files are published, if not in that folder; without a slash at its end.
        site_url: the address of the site's root, for what has to be absolute; without a slash at its end.
        links: whether links to an image lead to the local file as well.
        picture: whether several formats are offered by a `<picture>` around the `<img>`.
        styles: whether inline styles may be added. A Content-Security-Policy can forbid them.
        structural: selectors of the site's style sheets that depend on where in the tree an image is.
        placeholder: whether the image's colour and placeholder stand behind it until it is loaded.
    """

    assets: str = "assets/imgcache"
    assets_url: str = ""
    site_url: str = ""
    links: bool = False
    picture: bool = True
    styles: bool = True
    placeholder: bool = True
    structural: tuple[str, ...] = ()


class BuiltReference(msgspec.Struct, frozen=True, gc=False):
    """One remote image that a built file names.

    `url` is absolute, with entities and escapes undone. `start` and `end` are byte positions in the file.
    """

    url: str
    form: Form
    start: int
    end: int


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A file that is left as it is, and why."""

    message: str
    line: int = 1
    column: int = 1


class Rewritten(msgspec.Struct, frozen=True):
    """A file after its rewrite.

    Attributes:
        data: its new bytes.
        rewritten: the number of references that are local now.
        left: the number of references that are still remote.
        files: the paths, below the assets' folder, to which the new bytes refer.
        missing: the addresses that are still remote.
        error: why the file could not be read or safely edited; `data` is then what was given.
    """

    data: bytes
    rewritten: int = 0
    left: int = 0
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    error: Unreadable | None = None
