"""The nouns of the trade: frozen, comparable, picklable values that every other room passes around.

Sizes are in pixels as displayed (after EXIF orientation), byte counts in bytes, times in seconds since the epoch, paths
relative with `/`. Lines and columns count from 1; a column counts characters.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec


class Size(msgspec.Struct, frozen=True, gc=False):
    """Width and height in pixels, as displayed."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}×{self.height}"


class Declared(msgspec.Struct, frozen=True, gc=False):
    """What an article says of an image's size; None where it says nothing usable."""

    width: int | None = None
    height: int | None = None


class Place(msgspec.Struct, frozen=True, gc=False, order=True):
    """Where an article names an image. `field` is the path of the list (`related.images`) or `body`."""

    article: str
    line: int
    column: int
    field: str


class Focus(msgspec.Struct, frozen=True, gc=False):
    """The focal point that an entry gives of its image, and where: line and column of the value.

    `point` is in fractions of width and height from the left and the top, each 0 to 1; None where that is not what
    stands there.
    """

    point: tuple[float, float] | None
    line: int
    column: int


class Reference(msgspec.Struct, frozen=True, gc=False):
    """One mention of an image in an article.

    `url` is what the article has, with YAML or HTML undone and nothing else. `flaggable` is true for an entry of a
    front matter list that is a mapping, so that a line can be added to it; `is_cached` is that entry's flag, None if it
    has none.
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

    @property
    def place(self) -> Place:
        """Where to open the article."""
        return Place(self.article, self.line, self.column, self.field)


class Kind(StrEnum):
    """Whose image a URL names."""

    REMOTE = "remote"  # on another server: fetched, cached, flagged
    OWN = "own"  # a file of the site: checked, never fetched or flagged
    INLINE = "inline"  # a data: URI: counted, nothing else


class Edit(msgspec.Struct, frozen=True, gc=False):
    """One change to one reference, found by the line and column of its URL.

    `flag` True writes `isCached: true`, False takes the line away, None leaves it. `size` writes width and height where
    the entry declares them. Both are for entries of front matter. `url` is written in place of the URL, in front matter
    and body. `was` is the URL expected there: where another stands the edit is refused.
    """

    line: int
    column: int
    flag: bool | None = None
    size: Size | None = None
    url: str | None = None
    was: str | None = None


class Variant(msgspec.Struct, frozen=True, gc=False):
    """One file made from an original.

    `path` is relative to the cache; `recipe` is a `Recipe.fingerprint`; `digest` is the SHA-256 of the file's bytes, so
    that `verify` can tell a flipped bit.
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


_MOVING = frozenset({"gif", "png", "webp", "avif"})  # further pictures in other formats are no animation


class Asset(msgspec.Struct, frozen=True):
    """One original and what was made of it: known by the SHA-256 of its bytes, whatever URLs it came from.

    `recipes` are the fingerprints of all recipes that were asked for; those that come out the same share a variant.
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
        """As displayed."""
        return Size(self.width, self.height)

    @property
    def moves(self) -> bool:
        """Whether it is an animation."""
        return self.frames > 1 and self.format in _MOVING


class Validators(msgspec.Struct, frozen=True, gc=False):
    """What makes a request conditional (RFC 9110, section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


class Copy(msgspec.Struct, frozen=True):
    """That the image at a URL is held: which asset it is, and when the server last said so."""

    digest: str
    fetched_at: float
    checked_at: float
    validators: Validators = Validators()
    final_url: str | None = None  # where redirects led, if anywhere else
    robots_tag: str | None = None  # X-Robots-Tag, as sent


class Failure(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a URL that fails: a row of `count` failures since it last answered."""

    code: str
    message: str
    first_at: float
    last_at: float
    count: int
    status: int | None = None
    retryable: bool = False
    last_good: float | None = None
    wall: str | None = None  # the bot wall that refused
    digest: str | None = None  # of the bytes that came and were refused
    rests: int = 0  # failures since it is dead or gone: it is asked less and less often


class Fetched(msgspec.Struct, frozen=True):
    """One downloaded body, whole, in a temporary file. `format` is what its first bytes say."""

    path: str
    digest: str
    bytes: int
    format: str
    validators: Validators
    final_url: str | None = None
    robots_tag: str | None = None


class NotModified(msgspec.Struct, frozen=True):
    """The server says that the copy we hold is still the image (RFC 9110, section 15.4.5)."""

    validators: Validators


class Header(msgspec.Struct, frozen=True, gc=False):
    """What an image's header says, before anything is decoded."""

    format: str  # jpeg, png, gif, webp, avif, bmp, tiff, …
    media_type: str
    width: int
    height: int
    frames: int
    has_alpha: bool

    @property
    def size(self) -> Size:
        """As displayed."""
        return Size(self.width, self.height)

    @property
    def moves(self) -> bool:
        """Whether it is an animation."""
        return self.frames > 1 and self.format in _MOVING


class Rendered(msgspec.Struct, frozen=True):
    """What a worker made of one original. The paths of `variants` are file names in the folder that it was given.

    `notes`: what is not quite right with the original and did no harm, in words for its owner.
    """

    header: Header
    color: str
    placeholder: str
    variants: tuple[Variant, ...]
    recipes: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Severity(StrEnum):
    """Only an error sets exit status 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one image or one article, and where to open it. `status` is there for `http-status` only."""

    code: str
    url: str | None
    message: str
    retryable: bool = False
    severity: Severity = Severity.ERROR
    status: int | msgspec.UnsetType = msgspec.UNSET
    references: tuple[Place, ...] = ()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one image may cost. Bytes, pixels (of all frames together), seconds."""

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
    """How servers are asked. `interval` is the least time between two requests to one host, in seconds."""

    user_agent: str = ""
    concurrency: int = 64
    per_host: int = 6
    interval: float = 0.0
    retries: int = 3
    refresh_after: float = 30 * 86_400.0


class UrlState(StrEnum):
    """How a URL does."""

    OK = "ok"
    FLAKY = "flaky"  # fails now and then: it failed and answered within the last 30 days
    SUSPECT = "suspect"  # fails, not yet dead
    DEAD = "dead"  # at least 5 failures in a row over at least 7 days
    GONE = "gone"  # 410 (RFC 9110, section 15.5.11)
    BLOCKED = "blocked"  # a bot wall stands before it


class SharedImageRow(NamedTuple):
    """One reference to an image whose bytes are shared: which image, what it is, and what is declared of it."""

    image: int
    host: str
    digest: str
    url: str
    true: Size
    declared: Declared
