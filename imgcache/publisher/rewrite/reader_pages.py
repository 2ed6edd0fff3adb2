"""Reads a built folder as its readers get it, for an audit; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from imgcache.core import (
    ImageError,
    Kind,
    Limits,
    OutputFolder,
    ReaderPage,
    RemoteUse,
    ShownImage,
    Size,
    log,
    trace,
    unexpected_article_error,
)
from imgcache.publisher.rewrite.files import find, kind_of, open_page
from imgcache.publisher.rewrite.find_in_html import Page
from imgcache.publisher.rewrite.reading import MAX_BYTES, Positions, path_below
from imgcache.publisher.rewrite.records import FolderTask
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import FileKind, Form, Unreadable
from imgcache.publisher.rewrite.walk import BuiltFolder
from imgcache.scanner import Site

_NAMED_ONLY = frozenset({Form.LINK, Form.SHARED})
_LOADED_KINDS = frozenset({FileKind.HTML, FileKind.CSS})
_TEXTS = frozenset({"alt", "aria-label", "aria-labelledby", "title"})
_DECORATION = frozenset({"presentation", "none"})
_NOT_SHOWN = "noscript,template"  # the image of a lazy loader stands there a second time
_HIDDEN = '[aria-hidden="true" i]'


class ReaderPages:
    """Reads the pages, style sheets and feeds of one built folder.

    Args:
        folder: the folder.
        task: how its addresses are read.
        limits: for the files of images in it, whose sizes are read.
        prefix: what the paths of its pages begin with, seen from the site.
    """

    def __init__(self, folder: BuiltFolder, task: FolderTask, limits: Limits, prefix: str) -> None:
        self._folder = folder
        self._options = task.options
        self._site = Site(folder.root, task.site_url)
        self._limits = limits
        self._prefix = prefix
        self._sizes: dict[Path, Size | None] = {}

    def read(self) -> Iterator[ReaderPage]:
        """Yields every file that names images, or that cannot be read."""
        with OutputFolder(self._folder.root) as root:
            for file in self._folder.files():
                try:
                    data = root.read(file.path) if file.size <= MAX_BYTES else None
                    page = self._page(data, file.path)
                except Exception as error:  # noqa: BLE001 - no page ends the run
                    log(file.path, trace(error))
                    page = ReaderPage(file.path, problem=unexpected_article_error(error, "this page").message)
                if page.remote or page.shown or page.problem:
                    yield msgspec.structs.replace(page, path=f"{self._prefix}{page.path}")

    def _page(self, data: bytes | None, path: str) -> ReaderPage:
        kind = kind_of(path)
        if data is None or kind is None:
            return ReaderPage(path, problem="it cannot be read")
        found = find(data, path, kind, self._options)
        if isinstance(found, Unreadable):
            return ReaderPage(path, problem="" if kind is FileKind.JSON else found.message)
        position = Positions(data)
        remote = tuple(
            RemoteUse(one.url, *position.of(one.start), kind in _LOADED_KINDS and one.form not in _NAMED_ONLY)
            for one in sorted(found, key=lambda one: one.start)
            if self._site.kind(one.url) is Kind.REMOTE
        )
        shown = tuple(self._shown(data, path)) if kind is FileKind.HTML else ()
        return ReaderPage(path, remote, shown)

    def _shown(self, data: bytes, path: str) -> Iterator[ShownImage]:
        page, position = open_page(data, path, self._options), Positions(data)
        tags = (Tag(element, page.source) for element in page.of("img"))
        for tag in sorted(tags, key=lambda tag: tag.start):
            if tag.element.closest(_NOT_SHOWN) is None:
                first = page.source.whole.origin(page.source.splice(tag.start, tag.start, "").start)
                yield self._image(page, tag, *position.of(first), path)

    def _image(self, page: Page, tag: Tag, line: int, column: int, path: str) -> ShownImage:
        address = tag.get("src").strip()
        url = page.addresses.remote(address) or address
        shown = None if tag.has("srcset") else _declared(tag)
        actual = self._actual(path_below(url, path, self._options.site_url)) if shown else None
        return ShownImage(url, line, column, _has_text(tag), _has_size(tag), shown, actual)

    def _actual(self, path: str) -> Size | None:
        """Returns the size of an image file in the built folder; None where there is none."""
        file = self._folder.root / path
        if not path or ".." in Path(path).parts:
            return None
        if file not in self._sizes:
            self._sizes[file] = self._read_size(file)
        return self._sizes[file]

    def _read_size(self, file: Path) -> Size | None:
        from imgcache import processor  # loads Pillow, so only when there is a file to read

        try:
            return processor.probe(file, self._limits).size if file.is_file() else None
        except (ImageError, OSError):  # a broken file is for the audit of own images
            return None


def _declared(tag: Tag) -> Size | None:
    width, height = tag.get("width").strip(), tag.get("height").strip()
    if not (width.isascii() and width.isdecimal() and height.isascii() and height.isdecimal()):
        return None
    if not 0 < len(width) < 6 or not 0 < len(height) < 6 or not int(width) or not int(height):
        return None
    return Size(int(width), int(height))


def _has_size(tag: Tag) -> bool:
    style = tag.get("style").lower()
    return (
        (tag.has("width") and tag.has("height")) or "aspect-ratio" in style or ("width" in style and "height" in style)
    )


def _has_text(tag: Tag) -> bool:
    if tag.any_of(_TEXTS) or tag.get("role").strip().lower() in _DECORATION:
        return True
    return tag.element.closest(_HIDDEN) is not None
