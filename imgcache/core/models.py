"""The values that all packages pass around: references, copies, assets, variants, failures, problems, limits.

Sizes are in pixels as displayed (after EXIF orientation), byte counts in bytes, times in seconds since the epoch. Paths
are relative and use `/`. Lines and columns count from 1; a column counts characters.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from imgcache.core.formats import FORMATS


class Size(msgspec.Struct, frozen=True, gc=False):
    """Width and height in pixels, as displayed."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}×{self.height}"


class Declared(msgspec.Struct, frozen=True, gc=False):
    """The size that an article declares for an image; None where it declares nothing usable."""

    width: int | None = None
    height: int | None = None


class Place(msgspec.Struct, frozen=True, gc=False, order=True):
    """Where an article refers to an image. `field` is the path of the list (`related.images`) or `body`."""

    article: str
    line: int
    column: int
    field: str


class Focus(msgspec.Struct, frozen=True, gc=False):
    """The focal point that an entry gives for its image, with the line and column of the value.

    `point` is in fractions of width and height from the left and the top, each 0 to 1; None for an invalid value.
    """

    point: tuple[float, float] | None
    line: int
    column: int


class Reference(msgspec.Struct, frozen=True, gc=False):
    """One reference to an image in an article.

    `url` is the URL as written, after decoding YAML or HTML. `flaggable` is true for an entry of a front matter list
    that is a mapping, so that a line can be added to it. `is_cached` is the flag of that entry, None if it has none.
    `list_field` is the path of that list or mapping, as `flag` names it. `guessed`: it may turn out to be no image.
    """

    url: str
    article: str
    line: int
    column: int
    field: str
    declared: Declared = Declared()
    is_cached: bool | None = None
    flaggable: bool = False
    focus: Focus | None = None
    list_field: str = ""
    guessed: bool = False

    @property
    def place(self) -> Place:
        """Where the reference is in the article."""
        return Place(self.article, self.line, self.column, self.field)


class Kind(StrEnum):
    """Where the image of a URL is."""

    REMOTE = "remote"  # on another server: fetched, cached, flagged
    OWN = "own"  # a file of the site: checked, never fetched or flagged
    INLINE = "inline"  # a data: URI: only counted


class Edit(msgspec.Struct, frozen=True, gc=False):
    """One change to one reference, which is found by the line and column of its URL.

    `flag` True writes `isCached: true`, False removes the line, None leaves it. `size` writes width and height where
    the entry declares them. Both are for entries of front matter. `url` replaces the URL, in front matter and body.
    `was` is the URL expected there: the edit is refused if another one is found.
    """

    line: int
    column: int
    flag: bool | None = None
    size: Size | None = None
    url: str | None = None
    was: str | None = None


class Variant(msgspec.Struct, frozen=True, gc=False):
    """One file made from an original.

    `path` is relative to the cache, `recipe` is a `Recipe.fingerprint`, and `digest` is the SHA-256 of the file's
    bytes, by which `verify` detects damage.
    """

    name: str
    width: int
    height: int
    format: str
    bytes: int
    path: str
    recipe: str
    digest: str
    frames: int = 1  # of an animation


def _is_animation(format: str, frames: int) -> bool:  # noqa: A002 (the name of the field)
    return frames > 1 and format in FORMATS and FORMATS[format].motion


class Asset(msgspec.Struct, frozen=True):
    """One original and its variants, identified by the SHA-256 of the original's bytes.

    `recipes` are the fingerprints of all requested recipes. Recipes with the same result share one variant.
    """

    digest: str
    media_type: str
    format: str
    width: int
    height: int
    frames: int
    bytes: int
    color: str  # "#rrggbb"
    placeholder: str  # a data: URI of at most 400 bytes
    original: str
    variants: tuple[Variant, ...]
    recipes: tuple[str, ...]

    @property
    def size(self) -> Size:
        """The size as displayed."""
        return Size(self.width, self.height)

    @property
    def moves(self) -> bool:
        """Whether it is an animation."""
        return _is_animation(self.format, self.frames)


class Validators(msgspec.Struct, frozen=True, gc=False):
    """The validators that make a request conditional (RFC 9110, section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


class Copy(msgspec.Struct, frozen=True):
    """The cached copy of a URL: which asset it is, and when the server last confirmed it."""

    digest: str
    fetched_at: float
    checked_at: float
    validators: Validators = Validators()
    final_url: str | None = None  # after redirects, if it is another
    robots_tag: str | None = None  # X-Robots-Tag, as sent


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The record of a failing URL: `count` failures in a row since its last success."""

    code: str
    message: str
    first_at: float
    last_at: float
    count: int
    status: int | None = None
    retryable: bool = False
    last_good: float | None = None
    wall: str | None = None  # the bot wall that refused
    digest: str | None = None  # of the body that was refused
    rests: int = 0  # failures since the URL is dead or gone: the wait between requests grows with them


class Fetched(msgspec.Struct, frozen=True):
    """One complete body in a temporary file. `format` is determined by its first bytes."""

    path: str
    digest: str
    bytes: int
    format: str
    validators: Validators
    final_url: str | None = None
    robots_tag: str | None = None


class NotModified(msgspec.Struct, frozen=True):
    """The server confirmed that the cached copy is current (RFC 9110, section 15.4.5)."""

    validators: Validators


class Header(msgspec.Struct, frozen=True, gc=False):
    """What the header of an image says, before anything is decoded."""

    format: str  # a key of `FORMATS`
    media_type: str
    width: int
    height: int
    frames: int
    has_alpha: bool

    @property
    def size(self) -> Size:
        """The size as displayed."""
        return Size(self.width, self.height)

    @property
    def moves(self) -> bool:
        """Whether it is an animation."""
        return _is_animation(self.format, self.frames)


class Rendered(msgspec.Struct, frozen=True):
    """The result of rendering one original. The paths of `variants` are file names in the output folder.

    `notes` describe harmless defects of the original, for people.
    """

    header: Header
    color: str
    placeholder: str
    variants: tuple[Variant, ...]
    recipes: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Severity(StrEnum):
    """How serious a problem or finding is. Only an error sets exit status 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one image or one article, and where. `status` is set for `http-status` only."""

    code: str
    url: str | None
    message: str
    retryable: bool = False
    severity: Severity = Severity.ERROR
    status: int | msgspec.UnsetType = msgspec.UNSET
    references: tuple[Place, ...] = ()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one image may cost: bytes, pixels (of all frames together) and seconds."""

    bytes: int = 50_000_000
    pixels: int = 50_000_000
    frames: int = 300
    redirects: int = 5
    connect: float = 5.0
    read: float = 15.0
    total: float = 60.0
    decode_memory: int = 1_000_000_000
    decode_time: float = 20.0


class FetchPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requests are made. `interval` is the least time between two requests to one host, in seconds."""

    user_agent: str = ""
    concurrency: int = 64
    per_host: int = 6
    interval: float = 0.0
    retries: int = 3
    refresh_after: float = 30 * 86_400.0


class UrlState(StrEnum):
    """The state of a URL, by its recent successes and failures."""

    OK = "ok"
    FLAKY = "flaky"  # failures and successes within the last 30 days
    SUSPECT = "suspect"  # it fails, but is not dead yet
    DEAD = "dead"  # at least 5 failures in a row over at least 7 days
    GONE = "gone"  # 410 (RFC 9110, section 15.5.11)
    BLOCKED = "blocked"  # a bot wall refuses requests


class SharedImageRow(NamedTuple):
    """One reference to an image whose bytes occur under several URLs. `true` is the size of the image."""

    image: int
    host: str
    digest: str
    url: str
    true: Size
    declared: Declared
