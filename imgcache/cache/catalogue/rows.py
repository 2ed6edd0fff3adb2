"""The rows that are written to the catalogue and read from it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from imgcache.core import Declared, Focus, Kind, Place, Reference, Size


class ArticleStat(NamedTuple):
    """One article as the file system reports it.

    Attributes:
        path: relative to the site.
        mtime_ns: 0 never counts as unchanged.
        size: in bytes.
        is_template: a layout or an include, not an article: only calls of our own template tags are read from it.
        is_data: a data file (YAML, JSON, TOML), not an article.
    """

    path: str
    mtime_ns: int
    size: int
    is_template: bool = False
    is_data: bool = False


class ReferenceRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One reference as columns of the table, with the kind of its image and the host that serves it.

    `base` is the folder that a relative URL is resolved against; "" if the URL alone identifies the file.
    `in_flagged_list`: it is in a list that `flag` names, whether it can have a flag or not. `guessed`: it may turn out
    to be no image.
    """

    url: str
    base: str
    kind: str
    host: str
    line: int
    column: int
    field: str
    width: int | None
    height: int | None
    is_cached: bool | None
    flaggable: bool
    focus: Focus | None = None
    in_flagged_list: bool = False
    guessed: bool = False


class ReadError(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Why an article cannot be read: an `ArticleError` as a row."""

    code: str
    message: str
    line: int
    column: int


class UnreadRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One address in front matter or a data file that looks like an image and is not read."""

    url: str
    line: int
    column: int


class ReadArticle(msgspec.Struct, frozen=True, array_like=True):
    """An article that was read.

    Attributes:
        file: its path and state.
        digest: SHA-256 of its bytes, in hex.
        newest: a date as text that sorts.
        references: its references.
        error: why it could not be read; then it has no references in its front matter.
        trace: the traceback, if a bug of imgcache is the reason.
        unread: addresses that look like images and are not read.
    """

    file: ArticleStat
    digest: str
    newest: str
    references: list[ReferenceRow]
    error: ReadError | None = None
    trace: str = ""
    unread: tuple[UnreadRow, ...] = ()


class RecordedImage(NamedTuple):
    """The last known state of one remote image, to be compared with the store."""

    image: int
    digest: str | None
    stamp: int | None
    recipes: str | None
    due: float | None
    focus: tuple[float, float] | None = None  # what its newest article sets; not a state, but a setting


class PendingImage(NamedTuple):
    """One image that needs work."""

    image: int
    host: str


class LocalImage(NamedTuple):
    """One image that is a file of the site, with its stamp at the last check. `base`: the folder it is relative to."""

    image: int
    url: str
    base: str
    stamp: int | None


class ReferenceMismatch(NamedTuple):
    """One reference whose flag or declared size is wrong. `true` is the displayed size of the image."""

    path: str
    digest: str
    reference: Reference
    kind: Kind
    is_held: bool
    true_size: Size | None


class ImageUse(NamedTuple):
    """One reference as an audit sees it. `newest` is the date of its article, as text that sorts."""

    place: Place
    newest: str
    declared: Declared
    is_cached: bool
    flaggable: bool
    guessed: bool = False


class AuditedImage(NamedTuple):
    """One image that articles use, with the digest and size of its cached copy, and the requested uses.

    `true` is the displayed size: from the last probe, else of the cached copy, or of the site's own file.
    """

    image: int
    url: str
    base: str
    kind: Kind
    host: str
    digest: str | None
    copy_size: Size | None
    true_size: Size | None
    uses: tuple[ImageUse, ...]

    @property
    def is_guessed(self) -> bool:
        """Whether no use is certain to be that of an image."""
        return all(use.guessed for use in self.uses)


class HotlinkedUse(NamedTuple):
    """One article's use of one remote image, with bytes of the image, of its cached copy, and of the best variant.

    Unknown numbers are None. `is_hotlinked`: a reader's browser requests the remote image, because the entry is not
    flagged as cached.
    """

    article: str
    image: int
    host: str
    is_hotlinked: bool
    total_bytes: int | None
    copy_bytes: int | None
    best_bytes: int | None
