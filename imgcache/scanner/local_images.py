"""Checks the site's own images: their files must exist and be readable. They are never fetched or flagged."""

from __future__ import annotations

from imgcache.cache import Catalogue, LocalImage
from imgcache.core import ImageError, Limits, MissingFile, clean_text, log, trace, unexpected_article_error
from imgcache.scanner.site import Site


def check_local_images(site: Site, catalogue: Catalogue, limits: Limits) -> None:
    """Check every own image that an article names. A file that has not changed since the last check is not read."""
    with catalogue.transaction():
        for own in catalogue.images.local():
            try:
                _check(own, site, catalogue, limits)
            except Exception as error:  # noqa: BLE001 - no image ends the run
                log(own.url, trace(error))
                found = unexpected_article_error(error, "this image")
                catalogue.images.put_local(own.image, None, None, (found.code, found.message))


def _check(own: LocalImage, site: Site, catalogue: Catalogue, limits: Limits) -> None:
    file = site.own_file(own.url, own.base)
    if file is None:
        similar = site.find_in_other_case(own.url, own.base)
        message = (
            f"no such file in the site, but there is {clean_text(similar, 300)}; use the same upper and lower case"
            if similar
            else "no such file in the site; add it, or correct the address"
        )
        catalogue.images.put_local(own.image, None, None, (MissingFile.code, message))
        return
    stat = file.stat()
    stamp = stat.st_mtime_ns ^ stat.st_size
    if stamp == own.stamp:
        return
    try:
        from imgcache import processor  # loads Pillow, so only when there is a file to read

        header = processor.probe(file, limits)
    except ImageError as error:
        catalogue.images.put_local(own.image, stamp, None, (error.code, error.message))
    else:
        catalogue.images.put_local(own.image, stamp, header.size, None)
