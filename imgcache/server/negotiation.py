"""Which file of an image a client gets. Pure.

With a width: of the files that are at least so wide those that the client wants most (its quality values, RFC 9110,
section 12.5.1), and of them the smallest. Where none is so wide: of those wanted most the largest. Without a width: as
if the width of the largest variant had been asked for, so that a page gets what was made to be shown. Between files
alike in all this the better format goes first.

Of an animation what moves goes before what does not, for a client that takes it, whatever its widths. Not so where a
WebP or AVIF is a still: those are made of it by `animation: first` alone, and then a still is what its site wants.

A client that takes none of the formats is answered as if it had not said (section 12.5.1 leaves the choice between that
and 406): whoever asks for an image is better off with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imgcache.core import BROWSER_FORMATS, MODERN_FORMATS, VARIANT_FORMATS
from imgcache.server.accept import MediaRange, quality

SHOWN = BROWSER_FORMATS
FORMATS = VARIANT_FORMATS | {"original"}


class Candidate(NamedTuple):
    """One file that could be sent. Width in pixels; `path` is relative to the cache."""

    format: str
    width: int
    bytes: int
    path: str
    is_original: bool
    frames: int = 1


class Choice(NamedTuple):
    """The file to be sent, and whether another Accept could have led to another one."""

    path: str
    depends_on_accept: bool


def choose(
    candidates: Sequence[Candidate],
    *,
    width: int | None,
    format: str | None,  # noqa: A002
    accept: tuple[MediaRange, ...],
) -> Choice | None:
    """The best file; None where there is none of that format.

    Args:
        candidates: the original and its variants, in any order.
        width: in pixels.
        format: one of `FORMATS`; then Accept is not looked at.
        accept: the client's media ranges.
    """
    shown = [one for one in candidates if one.format in SHOWN]
    if format == "original":
        shown = [one for one in shown if one.is_original]
    elif format is not None:
        shown = [one for one in shown if one.format == format]
    if not shown:
        return None
    wants = {one.format: quality(accept, f"image/{one.format}") for one in shown}
    if format is not None or not any(wants.values()):
        wants = dict.fromkeys(wants, 1.0)
    depends = format is None and len(wants) > 1
    shown = _moving(shown, wants)
    least = width or max((one.width for one in candidates if not one.is_original), default=1)
    taken = [one for one in shown if wants[one.format] > 0]
    wide = [one for one in taken if one.width >= least]
    sign = 1 if wide else -1
    best = min(
        wide or taken, key=lambda one: (-wants[one.format], sign * one.width, SHOWN.index(one.format), one.bytes)
    )
    return Choice(best.path, depends)


def _moving(shown: list[Candidate], wants: Mapping[str, float]) -> list[Candidate]:
    """What moves, where it is taken and no still was chosen for it; else everything."""
    chosen = any(one.frames == 1 and one.format in MODERN_FORMATS for one in shown)
    moving = [one for one in shown if one.frames > 1 and wants[one.format] > 0]
    return moving if moving and not chosen else shown
