"""Addresses as a page has them, and the address of a local file as seen from a page. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import cached_property

from imgcache.core import FORMATS, ImageError, join_url, request_url
from imgcache.publisher.rewrite.values import Options

_SPACE = " \t\n\f\r"
_INNER = re.compile(r"[\t\n\r]")  # browsers drop them anywhere in an address (URL Standard, "basic URL parser")
_REMOTE = re.compile(r"(?:https?:)?[/\\]{2}[^/\\?#\s]", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_EXTENSIONS = (extension for name, one in FORMATS.items() if name != "ico" for extension in one.extensions)
_IMAGE_NAME = re.compile(rf"\.(?:{'|'.join(_EXTENSIONS)})$", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a file of the built site is, and what its relative addresses are relative to.

    `path` is relative to the built folder. `base` is the value of `<base href>`, empty if there is none.
    `abroad` says that the file is read away from the site, as feeds are: addresses in it are absolute.
    """

    path: str
    options: Options
    base: str = ""
    abroad: bool = False

    def remote(self, value: str) -> str:
        """The absolute address that `value` leads to, or "" where it is no other server's.

        White space around it and line ends in it are gone; else it is as the file has it, `//` at its start too.
        """
        url = _INNER.sub("", value.strip(_SPACE))
        if _REMOTE.match(url):
            return url
        if not url or not _REMOTE.match(self.base) or _SCHEME.match(url) or url.startswith("#"):
            return ""
        try:
            return join_url(request_url(self.base), url)
        except ImageError:
            return ""

    def local(self, path: str, *, absolute: bool = False) -> str:
        """The address of a file below the assets' folder; "" where it cannot be told.

        Relative wherever that leads to the file, so that a page works below any path and from a disk.
        """
        start = self._far if absolute or self.abroad else self._near
        return f"{start}/{path}" if start else ""

    @cached_property
    def _far(self) -> str:
        """What stands before the path of a file where it has to be absolute, without a slash at its end."""
        options = self.options
        if options.assets_url:
            return options.assets_url
        return f"{options.site_url}/{options.assets}" if options.site_url else ""

    @cached_property
    def _near(self) -> str:
        """The same where it may be relative."""
        options = self.options
        folder = self.folder()
        if options.assets_url or folder is None:
            return self._far
        if posixpath.basename(self.path) == "404.html" and not self.base:
            return f"{_path_of(options.site_url)}/{options.assets}"  # a server sends it for addresses of any depth
        return posixpath.relpath("/" + options.assets, "/" + folder)

    def folder(self) -> str | None:
        """The folder, below the site's root, that relative addresses start from; None if it is another site's."""
        base = self.base
        if not base:
            return posixpath.dirname(self.path)
        root = _path_of(self.options.site_url)
        if _REMOTE.match(base) or _SCHEME.match(base):
            site = self.options.site_url.partition("://")[2].partition("/")[0]
            host, slash, path = base.partition("//")[2].partition("/")
            if not site or host.lower() != site.lower():
                return None
            base = slash + path or "/"
        base = base.partition("?")[0].partition("#")[0]
        if base.startswith("/"):
            if not base.startswith(root + "/"):
                return None
            inside = base[len(root) + 1 :]
        else:
            inside = posixpath.join(posixpath.dirname(self.path), base)
        folder = inside if inside.endswith("/") else posixpath.dirname(inside)
        return posixpath.normpath("/" + folder).lstrip("/")


def looks_like_image(url: str) -> bool:
    """Whether its path ends like the name of an image."""
    return _IMAGE_NAME.search(url.partition("#")[0].partition("?")[0]) is not None


def _path_of(site_url: str) -> str:
    """The path of the site's root, without a slash at its end."""
    _, slash, path = site_url.partition("://")[2].partition("/")
    return (slash + path).rstrip("/")
