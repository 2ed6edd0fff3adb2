"""Finds the data files of a site: YAML, JSON, TOML.

Generators read data files from `_data/` (Jekyll, Eleventy), `data/` (Hugo) and `src/_data/` (Eleventy).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path

from imgcache.scanner.generators import NEVER_ENTERED

_ENDINGS = (".yml", ".yaml", ".json", ".toml")
_FOLDERS = ("_data", "data", "src/_data")


class DataFiles:
    """The data files of one site."""

    def __init__(self, root: Path, setting: str | Sequence[str], *, exclude: Sequence[str], cache: str) -> None:
        """Prepare to find them.

        Args:
            root: the folder of the site.
            setting: `auto`, `none`, or globs.
            exclude: globs of files that are left out.
            cache: the real path of a folder that is never entered.
        """
        import pathspec  # 10 ms of the start of a helper process, which reads articles and finds none

        self._root = root
        self._folders = {"auto": _FOLDERS, "none": ()}.get(setting, ("",)) if isinstance(setting, str) else ("",)
        self._globs = None if isinstance(setting, str) else pathspec.GitIgnoreSpec.from_lines(setting)
        self._exclude = pathspec.GitIgnoreSpec.from_lines(exclude) if exclude else None
        self._cache = cache

    def walk(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield each data file with its path relative to the site, folder by folder. Linked folders are not entered."""
        folders = [f"{folder}/" if folder else "" for folder in reversed(self._folders)]
        while folders:
            folder = folders.pop()
            try:
                entries = sorted(os.scandir(self._root / folder), key=attrgetter("name"))
            except OSError:  # the site has no such folder
                continue
            below = []
            for entry in entries:
                path = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in NEVER_ENTERED and os.path.realpath(entry.path) != self._cache:
                        below.append(f"{path}/")
                elif self._is_wanted(path):
                    yield path, entry
            folders.extend(reversed(below))

    def _is_wanted(self, path: str) -> bool:
        if not is_data_file(path) or (self._globs is not None and not self._globs.match_file(path)):
            return False
        return not (self._exclude and self._exclude.match_file(path))


def is_data_file(path: str) -> bool:
    """Return whether a file holds data, and no text with front matter, by the end of its name."""
    return path.endswith(_ENDINGS)
