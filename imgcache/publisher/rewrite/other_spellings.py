"""Finds the copies of images that articles spell in another way than the built pages do."""

from __future__ import annotations

from imgcache.cache import Catalogue, Index
from imgcache.core import ImageError, browser_url


def share_copies(catalogue: Catalogue, index: Index) -> None:
    """Records the copies of images under their URLs in built pages too.

    Front matter has `&amp;` or a space where the URL in a page has `&` or `%20`. Both lead to one request, and one copy
    serves both.

    Args:
        catalogue: that of the built pages.
        index: the copies by URL; it gets one more record for each URL that leads to the request of another.
    """
    missing: dict[str, list[str]] = {}
    for image in catalogue.images.remote():
        if image.digest is None:
            url = catalogue.images.url(image.image)
            if index.copy(url) is None:
                missing.setdefault(_request(url), []).append(url)
    missing.pop("", None)
    if missing:
        found = [(missing[request], copy) for url, copy in index.copies() if (request := _request(url)) in missing]
        with index.batch():
            for urls, copy in found:
                for url in urls:
                    index.put_copy(url, copy)


def _request(url: str) -> str:
    """Returns the URL that a browser requests; "" for one that it cannot."""
    try:
        return browser_url(url)
    except ImageError:
        return ""
