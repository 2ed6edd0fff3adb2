"""The site's own images: files to check, never to fetch or flag."""

from __future__ import annotations

import os
import posixpath
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imgcache.catalogue import Catalogue, Own
from imgcache.errors import ImageError, MissingFile
from imgcache.models import Limits
from imgcache.site import STATIC_FOLDERS, Site
from imgcache.urls import clean

_NEVER_ENTERED = frozenset({".git", "_site", "node_modules", "vendor"})


def check_own_images(site: Site, catalogue: Catalogue, limits: Limits) -> None:
    """Look at every own image that an article names; a file that did not change since the last look is not read."""
    spellings = Spellings(site)
    with catalogue.transaction():
        for own in catalogue.own():
            _check(own, site, catalogue, limits, spellings)


class Spellings:
    """The files of a site by their paths in lower case: read once, and only where a file is missing."""

    def __init__(self, site: Site) -> None:
        self._root = site.root
        self._base = urlsplit(site.site_url or "").path.strip("/")

    def nearest(self, url: str, base: str) -> str | None:
        """The path of a file that differs from what a URL of the site names in its case alone.

        Args:
            url: as the article has it.
            base: the folder that a relative URL hangs on, "" for any other.
        """
        path = urlsplit(url.strip()).path if "://" in url else url.partition("#")[0].partition("?")[0]
        path = unquote(path).lstrip("/").removeprefix(f"{self._base}/" if self._base else "")
        wanted = [posixpath.normpath(posixpath.join(base, path)), posixpath.normpath(path)]
        named = [f"{folder}{one}" for folder in ("", *(f"{name}/" for name in STATIC_FOLDERS)) for one in wanted]
        found = (self._by_name.get(one.casefold()) for one in named)
        return next((file for file in found if file is not None and file not in named), None)

    @cached_property
    def _by_name(self) -> dict[str, str]:
        files: dict[str, str] = {}
        for folder, below, names in os.walk(self._root):
            below[:] = sorted(name for name in below if name not in _NEVER_ENTERED)
            inside = Path(folder).relative_to(self._root).as_posix()
            for name in sorted(names):
                path = name if inside == "." else f"{inside}/{name}"
                files.setdefault(path.casefold(), path)
        return files


def _check(own: Own, site: Site, catalogue: Catalogue, limits: Limits, spellings: Spellings) -> None:
    file = site.own_file(own.url, own.base)
    if file is None:
        near = spellings.nearest(own.url, own.base)
        message = (
            f"no such file in the site, but there is {clean(near, 300)}; spell it so, for servers tell the case apart"
            if near
            else "no such file in the site; add it, or correct the address"
        )
        catalogue.put_own(own.image, None, None, (MissingFile.code, message))
        return
    stat = file.stat()
    stamp = stat.st_mtime_ns ^ stat.st_size
    if stamp == own.stamp:
        return
    try:
        from imgcache import processor  # with all of Pillow: only where there is a file to look at

        header = processor.probe(file, limits)
    except ImageError as error:
        catalogue.put_own(own.image, stamp, None, (error.code, error.message))
    else:
        catalogue.put_own(own.image, stamp, header.size, None)
