"""Resolves the addresses that a built file has, and makes those of local files. Pure."""

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
class Addresses:
    """Resolves the addresses of one file of the built site.

    Attributes:
        path: the path of the file in the built folder.
        options: those of the rewrite.
        base: the value of `<base href>`; "" if there is none.
        is_syndicated: whether the file is read away from the site, as feeds are, so that addresses in it are absolute.
    """

    path: str
    options: Options
    base: str = ""
    is_syndicated: bool = False

    def remote(self, value: str) -> str:
        """Returns the absolute address that `value` leads to; "" if it does not lead to another host.

        White space around it and line ends in it are removed. Otherwise it stays as it is, also with `//` at its start.
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
        """Returns the address of a file below the assets' folder; "" if it is not known.

        It is relative wherever that leads to the file, so that a page works below any path and from a disk.
        """
        start = self._absolute_prefix if absolute or self.is_syndicated else self._relative_prefix
        return f"{start}/{path}" if start else ""

    @cached_property
    def _absolute_prefix(self) -> str:
        """The absolute address of the assets' folder, without a slash at its end; "" if it is not known."""
        options = self.options
        if options.assets_url:
            return options.assets_url
        return f"{options.site_url}/{options.assets}" if options.site_url else ""

    @cached_property
    def _relative_prefix(self) -> str:
        """The address of the assets' folder from this file, without a slash at its end."""
        options = self.options
        folder = self.folder()
        if options.assets_url or folder is None:
            return self._absolute_prefix
        if posixpath.basename(self.path) == "404.html" and not self.base:
            return f"{_path_of(options.site_url)}/{options.assets}"  # a server sends it for addresses of any depth
        return posixpath.relpath("/" + options.assets, "/" + folder)

    def folder(self) -> str | None:
        """Returns the folder to which addresses are relative, from the site's root; None if it is another site's."""
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
    """Returns whether the path of an address ends like the name of an image."""
    return _IMAGE_NAME.search(url.partition("#")[0].partition("?")[0]) is not None


def _path_of(site_url: str) -> str:
    """Returns the path of the site's root, without a slash at its end."""
    _, slash, path = site_url.partition("://")[2].partition("/")
    return (slash + path).rstrip("/")
