"""The rows that go into the catalogue and come out of it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from imgcache.core import Declared, Focus, Kind, Place, Reference, Size


class ArticleStat(NamedTuple):
    """One article as the file system shows it, path relative to the site. `mtime_ns` 0 is never taken for unchanged.

    `is_template`: a layout or an include, no article, of which only the calls of our own are read.
    """

    path: str
    mtime_ns: int
    size: int
    is_template: bool = False


class ReferenceRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One reference in the columns of the table, with whose image it is and the host that would be asked.

    `base` is the folder that a relative URL of the site hangs on; "" where the URL alone says which file is meant.
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


class ReadError(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Why an article cannot be read: an `ArticleError` as a row."""

    code: str
    message: str
    line: int
    column: int


class ReadArticle(msgspec.Struct, frozen=True, array_like=True):
    """An article that was read: `newest` is a date that sorts as text. With `wrong`, nothing could be read of it.

    `trace` is the traceback of a bug in reading it.
    """

    file: ArticleStat
    digest: str
    newest: str
    mentions: list[ReferenceRow]
    wrong: ReadError | None = None
    trace: str = ""


class RecordedImage(NamedTuple):
    """What the catalogue believes of one remote image; to be held against the disk."""

    image: int
    digest: str | None
    stamp: int | None
    recipes: str | None
    due: float | None
    focus: tuple[float, float] | None = None  # what its newest article gives; no belief, but what is wished


class PendingImage(NamedTuple):
    """One image that needs work, newest article first."""

    image: int
    host: str


class OwnImage(NamedTuple):
    """One image of the site itself, with what was found at the last look. `base` is the folder it is relative to."""

    image: int
    url: str
    base: str
    stamp: int | None


class ReferenceMismatch(NamedTuple):
    """One reference whose flag or declared size differs from what is known of the image."""

    path: str
    digest: str
    reference: Reference
    kind: Kind
    held: bool
    true: Size | None


class ImageUse(NamedTuple):
    """One reference as an audit judges it. `newest` is the date of its article, as a text that sorts."""

    place: Place
    newest: str
    declared: Declared
    is_cached: bool
    flaggable: bool


class AuditedImage(NamedTuple):
    """One image that articles name, with the digest and the size of the copy held, and every use that is asked for.

    `true` is the displayed size: as the last look saw it, else that of the copy, or of the site's own file.
    """

    image: int
    url: str
    base: str
    kind: Kind
    host: str
    digest: str | None
    held: Size | None
    true: Size | None
    uses: tuple[ImageUse, ...]


class HotlinkedUse(NamedTuple):
    """One article's use of one remote image: the bytes of the whole picture, of the copy held, and of its best variant.

    What is not known is None. `is_hotlinked`: a reader's browser is sent there, for the entry says nothing of a copy.
    """

    article: str
    image: int
    host: str
    is_hotlinked: bool
    total: int | None
    held: int | None
    best: int | None
