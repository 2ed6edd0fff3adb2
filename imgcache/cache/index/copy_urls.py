"""Finds the URL of a copy by the digest of its bytes, or by another way to write it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from imgcache.cache.index.index import Index
from imgcache.core import ImageError, browser_url


class _Copies(NamedTuple):
    by_digest: Mapping[str, str]
    by_request: Mapping[str, str]


class CopyUrls:
    """The URLs of the copies that an index has; its records are read when the first of them is looked for."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def of_digest(self, digest: str) -> str:
        """Returns the first URL, in the order of code points, at which these bytes were found; "" if there is none."""
        return self._copies.by_digest.get(digest, "")

    def recorded(self, url: str) -> str:
        """Returns the URL that a copy is recorded under, where an article and its page write one URL in two ways.

        Front matter has `&amp;` or a space where the page has `&` or `%20`. Both lead to one request.

        Args:
            url: as a built page names it, with its character references decoded.

        Returns:
            `url` itself unless there is such a copy, and none of `url`.
        """
        if self._index.copy(url) is not None:
            return url
        return self._copies.by_request.get(_request(url), url)

    @cached_property
    def _copies(self) -> _Copies:
        by_digest: dict[str, str] = {}
        by_request: dict[str, str] = {}
        for url, copy in self._index.copies():
            by_digest.setdefault(copy.digest, url)
            by_request.setdefault(_request(url), url)
        by_request.pop("", None)
        return _Copies(by_digest, by_request)


def _request(url: str) -> str:
    """Returns the URL that a browser requests; "" where it cannot request any."""
    try:
        return browser_url(url)
    except ImageError:
        return ""
