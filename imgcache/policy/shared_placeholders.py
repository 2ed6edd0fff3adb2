"""The "image removed" card: one picture that a host sends for many that it does not have. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import groupby

import msgspec

from imgcache.core import Declared, Problem, Severity, SharedImageRow
from imgcache.policy.plan import SizeMatch, compare_size

SHARED_BY = 4  # addresses of one host with the same bytes: fewer prove nothing
WARNED_AT = 10  # addresses of one host with the same bytes whose size no article proves
NAMED = 100  # addresses whose places one warning lists


class SharedPlaceholders(msgspec.Struct):
    """What stands for other pictures: images to be refused (8 bytes each), and what is only warned of."""

    refused: array[int]
    cards: list[tuple[str, str]]  # host and digest
    warnings: list[tuple[Problem, list[str]]]  # with the URLs that it is about


def find_shared_placeholders(sharers: Iterable[SharedImageRow]) -> SharedPlaceholders:
    """Judge images that share their bytes with others of their host; rows of one host, digest and URL together.

    An image is refused where an article declares a size of another shape than the picture has, and none declares a size
    that fits. One without any declared size is kept.
    """
    found = SharedPlaceholders(array("q"), [], [])
    for (host, digest), group in groupby(sharers, key=lambda row: (row.host, row.digest)):
        before, unproven, named = len(found.refused), 0, list[str]()
        for (image, url), rows in groupby(group, key=lambda row: (row.image, row.url)):
            declared = [(row.declared, row.true) for row in rows if row.declared != Declared()]
            fits = {compare_size(said, true) for said, true in declared}
            unproven += fits <= {SizeMatch.OTHER}
            if not fits:
                named += [url] if len(named) < NAMED else []
            elif fits == {SizeMatch.OTHER}:
                found.refused.append(image)
        if len(found.refused) > before:
            found.cards.append((host, digest))
        if named and unproven >= WARNED_AT:
            found.warnings.append((_warning(host, unproven, named[0]), named))
    return found


def placeholder_problem(url: str) -> Problem:
    """What is wrong with an image that is refused."""
    return Problem(
        "placeholder",
        url,
        "the host sends this very picture at other addresses too, and the article declares one of another shape:"
        " it stands for pictures that are not there; the article needs another address",
    )


def _warning(host: str, count: int, url: str) -> Problem:
    message = (
        f"{host} gives the same bytes at {count} addresses, and no article declares a size that would prove them:"
        " if the picture stands for missing ones, give the articles other addresses"
    )
    return Problem("placeholder", url, message, severity=Severity.WARNING)
