"""Decides whether a URL names a remote image or a file of the site, and finds that file."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imgcache.core import Kind
from imgcache.scanner.generators import Layout

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")  # RFC 3986, section 3.1
_EDGES = "".join(map(chr, range(0x21)))  # the URL standard strips C0 controls and spaces at both ends
_INDEXES = frozenset({"", "index", "_index", "README"})  # the pages of folders
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Site:
    """A folder of articles and the address under which it is published."""

    def __init__(self, root: Path, site_url: str | None, layout: Layout | None = None) -> None:
        """Describe a site.

        Args:
            root: the folder of the site.
            site_url: `https://example.org/news`, or `/news` if the host is unknown; None if neither is known.
            layout: what is known of it by its generator; by default nothing is.
        """
        self.root = root.resolve()
        self.site_url = site_url
        self.layout = layout or Layout()
        self._address = _address(site_url.rstrip("/")) if site_url else None
        self._names: dict[Path, frozenset[str]] = {}

    def kind(self, url: str) -> Kind:
        """Return whether a URL is remote, the site's own, or inline. A URL of any other scheme counts as remote."""
        url = url.strip(_EDGES)
        scheme = _SCHEME.match(url)
        if scheme and scheme[1].lower() == "data":
            return Kind.INLINE
        if not scheme and not url.startswith(("//", "\\\\", "/\\", "\\/")):
            return Kind.OWN
        return Kind.REMOTE if self._below(url) is None else Kind.OWN

    def own_file(self, url: str, article: str) -> Path | None:
        """Return the file that a URL of the site names, spelt exactly so; None if the site has no such file.

        Args:
            url: a URL whose kind is OWN.
            article: the path of its article relative to the site, or `base` of it.
        """
        for candidate in self.candidates(url, article):
            found = self._exact(candidate)
            if found:
                return found
        return None

    def base(self, article: str) -> str:
        """Return what relative URLs of an article are relative to: its folder, or that of its page; `/` at its end."""
        folder, _, name = article.rpartition("/")
        stem = name.partition(".")[0]
        if self.layout.page_folders and stem not in _INDEXES:
            return posixpath.join(folder, stem, "")
        return f"{folder}/"

    def find_in_other_case(self, url: str, article: str) -> str | None:
        """Return the path of a file that differs from the wanted path in upper and lower case only."""
        return next(filter(None, map(self._in_any_case, self.candidates(url, article))), None)

    def candidates(self, url: str, article: str) -> list[str]:
        """Return the paths, relative to the site, that `own_file` tries in this order. Same arguments."""
        url = url.strip(_EDGES)
        below = self._below(url)
        path = unquote((url if below is None else below).partition("#")[0].partition("?")[0])
        if below is None and not path.startswith("/"):
            beside, published = self._relative(path, article)
            return list(dict.fromkeys((*beside, *self._mounted(published))))
        base = self._address[2] if self._address and below is None else ""
        inside = path.removeprefix(base) if base and path.startswith(f"{base}/") else path
        return self._mounted([posixpath.normpath(p.lstrip("/")) for p in dict.fromkeys((inside, path))])

    def _mounted(self, paths: Iterable[str]) -> list[str]:
        """Return the files that published paths may name, those of the first mount first."""
        files = [mount.file(path) for mount in self.layout.mounts for path in paths]
        return list(dict.fromkeys(file for file in files if file is not None))

    def _relative(self, path: str, article: str) -> tuple[list[str], list[str]]:
        """Return the files beside an article that a relative path may name, and the paths that it may be published at.

        The page of `news/a.md` is `news/a.html` or `news/a/`, and its own files may be in a folder `news/a`.
        """
        folder, name = posixpath.split(article)
        folders = [folder]
        if self.layout.page_folders:
            inner = posixpath.join(folder, name.partition(".")[0])
            folders = [folder, inner] if name else [posixpath.dirname(folder), folder]
        beside = [posixpath.normpath(posixpath.join(one, path)) for one in folders]
        published = [
            posixpath.normpath(posixpath.join(one[len(content) :].lstrip("/"), path))
            for content in self.layout.content
            for one in folders
            if not content or f"{one}/".startswith(f"{content}/")
        ]
        return beside, [posixpath.normpath(path), *published]

    def _below(self, url: str) -> str | None:
        """Return the path of a URL below the URL of the site, from the root of the site; None for any other URL."""
        if not self._address or not self._address[0]:
            return None
        if url.isascii() and url.isprintable() and self._address[0] not in url.lower():
            return None  # nearly always, and this check takes a tenth of the time
        address = _address(url)
        if not address or address[:2] != self._address[:2]:
            return None
        path, base = address[2], self._address[2]
        if path == base or path.startswith(f"{base}/"):
            return path[len(base) :] or "/"
        return None

    def _exact(self, relative: str) -> Path | None:
        """Return the file at a path if every name is spelt as on disk, also on a file system that ignores case."""
        names = relative.split("/")
        if ".." in names or "" in names or "\0" in relative:
            return None
        path = self.root / relative
        try:
            real = path.resolve()
            if not real.is_relative_to(self.root) or not real.is_file():
                return None
        except (OSError, RuntimeError):  # name too long, folder not accessible, loop of links
            return None
        folder = self.root
        for name in names:
            if not self._contains(folder, name):
                return None
            folder /= name
        return path

    def _in_any_case(self, relative: str) -> str | None:
        """Return the path with each name as it is spelt on disk; an exact match is preferred."""
        folder, spelt = self.root, list[str]()
        for name in relative.split("/"):
            try:
                names = self._names.get(folder) or frozenset(os.listdir(folder))  # noqa: PTH208 - names, not paths
            except (OSError, ValueError):
                return None
            matches = [name] if name in names else sorted(one for one in names if one.casefold() == name.casefold())
            if not matches:
                return None
            spelt.append(matches[0])
            folder /= matches[0]
        path = "/".join(spelt)
        return path if path != relative and self._exact(path) else None

    def _contains(self, folder: Path, name: str) -> bool:
        if name not in self._names.get(folder, ()):
            self._names[folder] = frozenset(os.listdir(folder))  # noqa: PTH208 - names, not paths
        return name in self._names[folder]


class Sites(Site):
    """Several sites as one; the path of an article begins with the `path_prefix` of its site."""

    def __init__(self, sites: Sequence[Site]) -> None:
        super().__init__(sites[0].root, sites[0].site_url, sites[0].layout)
        self._sites = {path_prefix(site): site for site in sites}

    def own_file(self, url: str, article: str) -> Path | None:
        """Return the file that a URL of one of the sites names."""
        site, path = self._of(article)
        return site.own_file(url, path)

    def find_in_other_case(self, url: str, article: str) -> str | None:
        """Return the path, relative to its site, of a file that differs only in upper and lower case."""
        site, path = self._of(article)
        return site.find_in_other_case(url, path)

    def _of(self, article: str) -> tuple[Site, str]:
        return next(
            (site, article.removeprefix(prefix)) for prefix, site in self._sites.items() if article.startswith(prefix)
        )


def path_prefix(site: Site) -> str:
    """Return the prefix of article paths in a catalogue of several sites: the root of the site, and a slash."""
    return f"{site.root.as_posix().rstrip('/')}/"


def _address(url: str) -> tuple[str, int | None, str] | None:
    """Host, port and path of a web address, whichever of http and https; None for anything else.

    A path alone is an address without a host.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in {"", *_DEFAULT_PORTS} or parts.username is not None or "\\" in url:
        return None
    if port == _DEFAULT_PORTS.get(parts.scheme):
        port = None
    path = posixpath.normpath(parts.path).replace("//", "/", 1) if "/." in parts.path else parts.path
    return host, port, path
