"""Searches quality and format of a picture, for recipes with `quality: auto` or `format: best`."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageChops

from imgcache.core import Recipe
from imgcache.processor import colours
from imgcache.processor.encoder import Encoded, curve, encode_at, lossless
from imgcache.processor.similarity import SMALLEST, ScoreReference

TRIALS = 4  # encodings of one picture in one format
NEAR = 0.5  # points: the search ends at a score that is this close above the target

_MAX_PIXELS = 1_200_000  # pixels of a trial; of larger pictures the middle is tried
_FLAT = 0.5  # share of pixels equal to their left neighbour; photographs have less, drawings and screenshots more


class QualityTarget(NamedTuple):
    """The score to reach, the range of qualities, and the effort."""

    score: float
    low: int
    high: int
    effort: int


class _Trial(NamedTuple):
    """One encoded picture with its score. `quality` is None for a lossless one."""

    encoded: Encoded
    score: float
    quality: int | None


def choose(image: Image.Image, form: str, recipe: Recipe) -> Encoded:
    """Encode a picture, and search quality and format where the recipe leaves them open.

    Of a very large picture the middle is tried, and the whole encoded once.

    Args:
        image: L, RGB or RGBa.
        form: the format of the recipe, with `auto` resolved. PNG has no quality, so "auto" has no effect there.
        recipe: of the variant.
    """
    if form != "best" and (form == "png" or isinstance(recipe.quality, int)):
        quality = recipe.quality if isinstance(recipe.quality, int) else 100
        return Encoded(form, encode_at(image, form, quality=quality, effort=recipe.effort))
    if form == "jpeg":
        image, profile = colours.on_white(image), image.info
        image.info = profile
    sample = _middle(image)
    found = (
        _best(sample, recipe)
        if form == "best"
        else _searched(sample, form, ScoreReference(sample), _target_of(recipe, image))
    )
    assert found is not None  # noqa: S101 (there is no limit of bytes)
    if sample is image:
        return found.encoded
    form = found.encoded.format
    if found.quality is None:
        return Encoded(form, lossless(image, form, effort=recipe.effort))
    return Encoded(form, encode_at(image, form, quality=found.quality, effort=recipe.effort))


def looks_drawn(image: Image.Image) -> bool:
    """Whether a picture has so many flat areas that a lossless file may be smaller."""
    if image.width < 2:
        return True
    image = image.convert("RGBA") if image.mode == "RGBa" else image
    left = image.crop((0, 0, image.width - 1, image.height))
    bands = ImageChops.difference(left, image.crop((1, 0, *image.size))).split()
    most = bands[0]
    for band in bands[1:]:
        most = ImageChops.lighter(most, band)
    return most.histogram()[0] >= _FLAT * most.width * most.height


def next_quality(form: str, tried: Mapping[int, float], goal: QualityTarget) -> int | None:
    """Returns the next quality to try, or None when the search is over.

    Between a quality below the target and one above it interpolates, else it follows the curve of the format.

    Args:
        form: the format.
        tried: the score of each quality that was tried.
        goal: score and range.
    """
    short = [quality for quality, score in tried.items() if score < goal.score]
    enough = min((quality for quality in tried if quality not in short), default=goal.high + 1)
    below = max((quality for quality in short if quality < enough), default=goal.low - 1)
    if len(tried) >= TRIALS or enough - below <= 1 or tried.get(enough, math.inf) < goal.score + NEAR:
        return None
    wanted = goal.score + NEAR / 2 if tried else goal.score
    if below in tried and enough in tried:
        part = (wanted - tried[below]) / (tried[enough] - tried[below])
        place = _typical_score(form, below) + part * (_typical_score(form, enough) - _typical_score(form, below))
    else:
        anchor = enough if enough in tried else below
        caution = 1.0 if len(tried) == TRIALS - 1 else 0.0  # the last trial should not fall short
        place = wanted + caution + (_typical_score(form, anchor) - tried[anchor] if tried else 0.0)
    return min(max(_quality_at(form, place), below + 1), enough - 1)


def _best(image: Image.Image, recipe: Recipe) -> _Trial:
    """Returns the smallest file of any format with the target score, or with that of WebP at the given quality."""
    reference, goal = ScoreReference(image), _target_of(recipe, image)
    found: list[_Trial] = []
    if looks_drawn(image) or colours.palette_colours(image) is not None:
        found += (
            _Trial(Encoded(form, lossless(image, form, effort=recipe.effort)), 100.0, None) for form in ("webp", "png")
        )
    if isinstance(recipe.quality, int):
        webp = _try(image, "webp", recipe.quality, reference, recipe.effort)
        goal = goal._replace(score=webp.score)
        found.append(webp)
    for form in _lossy(image, recipe):
        most = min((len(one.encoded.data) for one in found if one.score >= goal.score), default=None)
        one = _searched(image, form, reference, goal, most)
        found += [one] if one else []
    good = [one for one in found if one.score >= goal.score] or [max(found, key=lambda one: one.score)]
    return min(good, key=lambda one: len(one.encoded.data))


def _lossy(image: Image.Image, recipe: Recipe) -> Iterator[str]:
    """Yields the formats to search, the most promising first."""
    yield "avif"
    if not isinstance(recipe.quality, int):
        yield "webp"
    if image.mode != "RGBa":
        yield "jpeg"


def _target_of(recipe: Recipe, image: Image.Image) -> QualityTarget:
    if isinstance(recipe.quality, int):
        return QualityTarget(0.0, 1, 100, recipe.effort)
    low = recipe.min_quality if min(image.size) >= SMALLEST else recipe.max_quality  # too small to be scored
    return QualityTarget(float(recipe.target), low, recipe.max_quality, recipe.effort)


def _middle(image: Image.Image) -> Image.Image:
    """Returns the picture, or the middle of a large one, in its shape and in whole macroblocks."""
    scale = (_MAX_PIXELS / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    width, height = (max(16, int(side * scale) // 16 * 16) for side in image.size)
    left, top = max(0, image.width - width) // 2, max(0, image.height - height) // 2
    part = image.crop((left, top, min(left + width, image.width), min(top + height, image.height)))
    part.info = image.info
    return part


def _searched(
    image: Image.Image, form: str, reference: ScoreReference, goal: QualityTarget, most: int | None = None
) -> _Trial | None:
    """Returns the lowest quality tried that reaches the goal, else the highest; None if it has `most` bytes or more."""
    tried: dict[int, _Trial] = {}
    while (quality := next_quality(form, {one: found.score for one, found in tried.items()}, goal)) is not None:
        tried[quality] = found = _try(image, form, quality, reference, goal.effort)
        if most is not None and found.score < goal.score and len(found.encoded.data) >= most:
            return None
    return tried[min((one for one, found in tried.items() if found.score >= goal.score), default=max(tried))]


def _try(image: Image.Image, form: str, quality: int, reference: ScoreReference, effort: int) -> _Trial:
    data = encode_at(image, form, quality=quality, effort=effort)
    with Image.open(io.BytesIO(data)) as decoded:
        return _Trial(Encoded(form, data), reference.score(decoded), quality)


def _typical_score(form: str, quality: int) -> float:
    return _interpolated(curve(form), quality)


def _quality_at(form: str, score: float) -> int:
    turned = tuple((score, quality) for quality, score in curve(form))
    return math.ceil(_interpolated(turned, score))


def _interpolated(points: tuple[tuple[float, float], ...], at: float) -> float:
    """Interpolates linearly between points, and is constant outside of them."""
    if at <= points[0][0]:
        return points[0][1]
    for (x, y), (right, up) in pairwise(points):
        if at <= right:
            return y + (at - x) * (up - y) / (right - x)
    return points[-1][1]
