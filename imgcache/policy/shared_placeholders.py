"""Finds shared placeholders: one "image removed" picture that a host sends for many missing images. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import groupby

import msgspec

from imgcache.core import Declared, Problem, Severity, SharedImageRow
from imgcache.policy.plan import SizeMatch, compare_size

SHARED_BY = 4  # URLs of one host with the same bytes; fewer prove nothing
WARN_AT = 10  # URLs of one host with the same bytes, without a declared size that fits
NAMED = 100  # URLs in one warning


class SharedPlaceholders(msgspec.Struct):
    """The numbers of images to refuse (8 bytes each), and the warnings."""

    refused: array[int]
    placeholders: list[tuple[str, str]]  # host and digest
    warnings: list[tuple[Problem, list[str]]]  # each with its URLs


def find_shared_placeholders(sharers: Iterable[SharedImageRow]) -> SharedPlaceholders:
    """Find placeholders among images that share their bytes with others of their host.

    An image is refused if articles declare only sizes of another shape. An image without a declared size is kept.

    Args:
        sharers: rows of the same host, digest and URL must follow each other.
    """
    found = SharedPlaceholders(array("q"), [], [])
    for (host, digest), group in groupby(sharers, key=lambda row: (row.host, row.digest)):
        before, unproven, named = len(found.refused), 0, list[str]()
        for (image, url), rows in groupby(group, key=lambda row: (row.image, row.url)):
            declared = [(row.declared, row.true) for row in rows if row.declared != Declared()]
            fits = {compare_size(size, true) for size, true in declared}
            unproven += fits <= {SizeMatch.OTHER}
            if not fits:
                named += [url] if len(named) < NAMED else []
            elif fits == {SizeMatch.OTHER}:
                found.refused.append(image)
        if len(found.refused) > before:
            found.placeholders.append((host, digest))
        if named and unproven >= WARN_AT:
            found.warnings.append((_warning(host, unproven, named[0]), named))
    return found


def placeholder_problem(url: str) -> Problem:
    """Return the problem of an image that is refused."""
    return Problem(
        "placeholder",
        url,
        "the host sends the same picture at other URLs too, and the article declares one of another shape:"
        " it is a placeholder for missing images; the article needs another URL",
    )


def _warning(host: str, count: int, url: str) -> Problem:
    message = (
        f"{host} sends the same bytes at {count} URLs, and no article declares a size that confirms them:"
        " if the picture is a placeholder for missing images, give the articles other URLs"
    )
    return Problem("placeholder", url, message, severity=Severity.WARNING)
