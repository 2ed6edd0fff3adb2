"""Lists the files of a built folder that can name images. No link is followed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from imgcache.cache import ArticleStat
from imgcache.core import ConfigError, OutputFolder, display_path, temporary_name
from imgcache.publisher.rewrite.files import kind_of

_NEVER_ENTERED = frozenset({".git", ".hg", ".svn", "node_modules"})
_PAGES = (".html", ".htm", ".xhtml")
_LARGEST_SHEET = 8_000_000  # bytes
_SCRIPTS = (".js", ".mjs")
_UNFINISHED = temporary_name("")[1:]
_WORKER_NAME = re.compile(r"(?:.*service-?worker.*|.*\bsw\b.*|.*precache.*)\.m?js", re.IGNORECASE)


class BuiltFolder:
    """A folder that a generator has built.

    Attributes:
        root: the folder, without links in its path.
        outside: links found by the last `files`, relative to the folder, that lead out of it.
        service_workers: scripts found by the last `files` that may list files with their versions.
        scripts: the other scripts found by the last `files`.
        unfinished: files found by the last `files` that a killed run did not put in their place.
    """

    def __init__(self, root: Path, left_out: Collection[Path] = ()) -> None:
        """`left_out` are folders that are not entered, such as the cache."""
        self.root = Path(os.path.realpath(root))
        self._left_out = frozenset(os.path.realpath(folder) for folder in left_out)
        self.outside: list[str] = []
        self.service_workers: list[str] = []
        self.scripts: list[str] = []
        self.unfinished: list[str] = []

    def require_page(self) -> None:
        """Check that there is a page.

        Raises:
            ConfigError: the folder has none.
        """
        if not any(is_page(file.path) for file in self.files()):
            raise self.without_pages()

    def without_pages(self) -> ConfigError:
        """Returns the error for a folder without pages."""
        return ConfigError(
            "has no HTML page: name the folder that the generator wrote, such as _site, public or dist",
            where=display_path(self.root),
        )

    def prefix(self, site: Path) -> str:
        """Returns what paths in the folder begin with, seen from the folder of the site."""
        root = Path(os.path.realpath(site))
        if self.root == root:
            return ""
        return f"{(self.root.relative_to(root) if self.root.is_relative_to(root) else self.root).as_posix()}/"

    def sheets(self) -> Iterator[str]:
        """Yields the text of every style sheet of the folder."""
        with OutputFolder(self.root) as root:
            for file in self.files():
                if file.path.lower().endswith(".css") and file.size <= _LARGEST_SHEET:
                    yield (root.read(file.path) or b"").decode("utf-8", "replace")

    def files(self) -> Iterator[ArticleStat]:
        """Yields every page, style sheet, feed and JSON file, folder by folder, sorted by name in each."""
        self.outside, self.service_workers, self.scripts, self.unfinished = [], [], [], []
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
            except OSError:  # it was removed, or may not be read: the generator's business
                continue
            below = []
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_symlink():
                    self._note_link(path, entry)
                elif entry.is_dir(follow_symlinks=False):
                    if entry.name not in _NEVER_ENTERED and entry.path not in self._left_out:
                        below.append(f"{path}/")
                elif entry.name.startswith(".") and entry.name.endswith(_UNFINISHED):
                    self.unfinished.append(path)
                elif kind_of(entry.name) is not None:
                    if (file := _stat(path, entry)) is not None:
                        yield file
                elif _WORKER_NAME.fullmatch(entry.name):
                    self.service_workers.append(path)
                elif entry.name.endswith(_SCRIPTS):
                    self.scripts.append(path)
            folders.extend(reversed(below))

    def remove_unfinished(self) -> None:
        """Removes the files in `unfinished`."""
        if self.unfinished:
            with OutputFolder(self.root) as root:
                for path in self.unfinished:
                    root.remove(path)

    def _note_link(self, path: str, entry: os.DirEntry[str]) -> None:
        """Notes a link that leads out of the folder. Other links lead to files that are found by their own names."""
        target = Path(os.path.realpath(entry.path))
        if (kind_of(entry.name) is not None or target.is_dir()) and not target.is_relative_to(self.root):
            self.outside.append(path)


def is_page(path: str) -> bool:
    """Returns whether a path is that of an HTML page."""
    return path.lower().endswith(_PAGES)


def _stat(path: str, entry: os.DirEntry[str]) -> ArticleStat | None:
    if not path.isprintable() and path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") != path:
        return None  # its name is not UTF-8: no address leads to it
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return ArticleStat(path, found.st_mtime_ns, found.st_size)
