"""Chooses which file of an image a client gets. Pure.

With a width: among the files at least that wide, the ones that the client prefers (quality values, RFC 9110, section
12.5.1), and of those the narrowest. If none is that wide: of the preferred ones the widest. Without a width: as if the
width of the widest variant were requested, so that pages get a variant and not the original. Ties go to the better
format, then to the smaller file.

Animated files come before still ones of any width, if the client accepts them. Exception: if a WebP or AVIF is still,
the site is configured with `animation: first`, and the still is wanted.

If the client accepts none of the formats, Accept is ignored; section 12.5.1 allows that as well as 406, and an image is
more useful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imgcache.core import BROWSER_FORMATS, MODERN_FORMATS, VARIANT_FORMATS
from imgcache.server.accept import MediaRange, quality

SHOWN = BROWSER_FORMATS
FORMATS = VARIANT_FORMATS | {"original"}


class Candidate(NamedTuple):
    """One file that could be sent. `width` in pixels; `path` relative to the cache."""

    format: str
    width: int
    bytes: int
    path: str
    is_original: bool
    frames: int = 1


class Choice(NamedTuple):
    """The chosen file, and whether another Accept field could have led to another one."""

    path: str
    depends_on_accept: bool


def choose(
    candidates: Sequence[Candidate],
    *,
    width: int | None,
    format: str | None,  # noqa: A002
    accept: tuple[MediaRange, ...],
) -> Choice | None:
    """Returns the best file; None if there is none of the requested format.

    Args:
        candidates: the original and its variants, in any order.
        width: in pixels.
        format: one of `FORMATS`, which overrides Accept.
        accept: the client's media ranges.
    """
    shown = [one for one in candidates if one.format in SHOWN]
    if format == "original":
        shown = [one for one in shown if one.is_original]
    elif format is not None:
        shown = [one for one in shown if one.format == format]
    if not shown:
        return None
    weights = {one.format: quality(accept, f"image/{one.format}") for one in shown}
    if format is not None or not any(weights.values()):
        weights = dict.fromkeys(weights, 1.0)
    depends = format is None and len(weights) > 1
    shown = _moving(shown, weights)
    least = width or max((one.width for one in candidates if not one.is_original), default=1)
    taken = [one for one in shown if weights[one.format] > 0]
    wide = [one for one in taken if one.width >= least]
    sign = 1 if wide else -1
    best = min(
        wide or taken, key=lambda one: (-weights[one.format], sign * one.width, SHOWN.index(one.format), one.bytes)
    )
    return Choice(best.path, depends)


def _moving(shown: list[Candidate], wants: Mapping[str, float]) -> list[Candidate]:
    """What moves, where it is taken and no still was chosen for it; else everything."""
    chosen = any(one.frames == 1 and one.format in MODERN_FORMATS for one in shown)
    moving = [one for one in shown if one.frames > 1 and wants[one.format] > 0]
    return moving if moving and not chosen else shown
