"""Which quality and which format a picture gets where its recipe leaves that open: `quality: auto`, `format: best`."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageChops

from imgcache.core import Recipe
from imgcache.processor import colours
from imgcache.processor.encoder import Encoded, encode_at, lossless
from imgcache.processor.similarity import SMALLEST, ScoreReference

TRIALS = 4  # encodings of one picture in one format
NEAR = 0.5  # points above the target at which the search ends

# What each quality comes to: SSIMULACRA2, the mean of 62 photographs at 640 wide (effort 4, AVIF at speed 10). A
# picture's own curve runs about parallel. The bend of WebP at 75 is libwebp's own.
_CURVES: Mapping[str, tuple[tuple[int, float], ...]] = {
    "webp": ((1, 25.0), (40, 56.4), (50, 61.4), (60, 65.3), (70, 69.0), (75, 70.7), (80, 75.4), (85, 79.9), (90, 84.2),
             (95, 87.9), (100, 91.0)),
    "avif": ((1, -40.0), (35, 42.3), (45, 57.6), (50, 63.6), (55, 68.4), (60, 72.9), (65, 75.6), (70, 79.4), (80, 84.1),
             (90, 87.9), (100, 92.0)),
    "jpeg": ((1, 0.0), (45, 60.6), (55, 65.3), (62, 68.4), (70, 72.3), (75, 74.8), (80, 77.9), (85, 81.0), (90, 84.8),
             (95, 89.0), (100, 92.0)),
}  # fmt: skip

_MOST = 1_200_000  # pixels that are tried: a trial of more costs more than it tells
_FLAT = 0.5  # share of pixels that are as their left neighbour; photographs have less, drawings and screenshots more


class QualityTarget(NamedTuple):
    """A score to be reached, between two qualities, at one effort."""

    score: float
    low: int
    high: int
    effort: int


class _Found(NamedTuple):
    """A file of what was tried on. `quality` is None where nothing is lost."""

    encoded: Encoded
    score: float
    quality: int | None


def choose(image: Image.Image, form: str, recipe: Recipe) -> Encoded:
    """`image` (L, RGB or RGBa) as `recipe` wants it.

    `form` is the recipe's format, with `auto` resolved. PNG has no quality: there "auto" means nothing. Of a very large
    picture the middle is tried, and the whole encoded once.
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
        else _searched(sample, form, ScoreReference(sample), _aim(recipe, image))
    )
    assert found is not None  # noqa: S101 (there is no limit of bytes)
    if sample is image:
        return found.encoded
    form = found.encoded.format
    if found.quality is None:
        return Encoded(form, lossless(image, form, effort=recipe.effort))
    return Encoded(form, encode_at(image, form, quality=found.quality, effort=recipe.effort))


def looks_drawn(image: Image.Image) -> bool:
    """Whether `image` has so many flat areas that it may be smaller without any loss."""
    if image.width < 2:
        return True
    image = image.convert("RGBA") if image.mode == "RGBa" else image
    left = image.crop((0, 0, image.width - 1, image.height))
    bands = ImageChops.difference(left, image.crop((1, 0, *image.size))).split()
    most = bands[0]
    for band in bands[1:]:
        most = ImageChops.lighter(most, band)
    return most.histogram()[0] >= _FLAT * most.width * most.height


def next_quality(form: str, tried: Mapping[int, float], aim: QualityTarget) -> int | None:
    """The quality to be tried next, given the scores of those that were; None where the search is over.

    Between a quality that falls short and one that is enough it interpolates, else it goes along the form's curve.
    """
    short = [quality for quality, score in tried.items() if score < aim.score]
    enough = min((quality for quality in tried if quality not in short), default=aim.high + 1)
    below = max((quality for quality in short if quality < enough), default=aim.low - 1)
    if len(tried) >= TRIALS or enough - below <= 1 or tried.get(enough, math.inf) < aim.score + NEAR:
        return None
    wanted = aim.score + NEAR / 2 if tried else aim.score
    if below in tried and enough in tried:
        part = (wanted - tried[below]) / (tried[enough] - tried[below])
        place = _typical(form, below) + part * (_typical(form, enough) - _typical(form, below))
    else:
        anchor = enough if enough in tried else below
        caution = 1.0 if len(tried) == TRIALS - 1 else 0.0  # the last one had better not fall short
        place = wanted + caution + (_typical(form, anchor) - tried[anchor] if tried else 0.0)
    return min(max(_quality_at(form, place), below + 1), enough - 1)


def _best(image: Image.Image, recipe: Recipe) -> _Found:
    """The smallest file in any format that is as good as the target, or as WebP at the quality that is given."""
    reference, aim = ScoreReference(image), _aim(recipe, image)
    found: list[_Found] = []
    if looks_drawn(image) or colours.few(image) is not None:
        found += (
            _Found(Encoded(form, lossless(image, form, effort=recipe.effort)), 100.0, None) for form in ("webp", "png")
        )
    if isinstance(recipe.quality, int):
        webp = _tried(image, "webp", recipe.quality, reference, recipe.effort)
        aim = aim._replace(score=webp.score)
        found.append(webp)
    for form in _lossy(image, recipe):
        most = min((len(one.encoded.data) for one in found if one.score >= aim.score), default=None)
        one = _searched(image, form, reference, aim, most)
        found += [one] if one else []
    good = [one for one in found if one.score >= aim.score] or [max(found, key=lambda one: one.score)]
    return min(good, key=lambda one: len(one.encoded.data))


def _lossy(image: Image.Image, recipe: Recipe) -> Iterator[str]:
    """What is searched, the most promising first."""
    yield "avif"
    if not isinstance(recipe.quality, int):
        yield "webp"
    if image.mode != "RGBa":
        yield "jpeg"


def _aim(recipe: Recipe, image: Image.Image) -> QualityTarget:
    if isinstance(recipe.quality, int):
        return QualityTarget(0.0, 1, 100, recipe.effort)
    low = recipe.min_quality if min(image.size) >= SMALLEST else recipe.max_quality  # what cannot be judged is not cut
    return QualityTarget(float(recipe.target), low, recipe.max_quality, recipe.effort)


def _middle(image: Image.Image) -> Image.Image:
    """The picture, or the part in its middle that is tried instead, of its shape and whole macroblocks."""
    scale = (_MOST / (image.width * image.height)) ** 0.5
    if scale >= 1:
        return image
    width, height = (max(16, int(side * scale) // 16 * 16) for side in image.size)
    left, top = max(0, image.width - width) // 2, max(0, image.height - height) // 2
    part = image.crop((left, top, min(left + width, image.width), min(top + height, image.height)))
    part.info = image.info
    return part


def _searched(
    image: Image.Image, form: str, reference: ScoreReference, aim: QualityTarget, most: int | None = None
) -> _Found | None:
    """The lowest quality tried that reaches the aim, else the highest; None where it takes more than `most` bytes."""
    tried: dict[int, _Found] = {}
    while (quality := next_quality(form, {one: found.score for one, found in tried.items()}, aim)) is not None:
        tried[quality] = found = _tried(image, form, quality, reference, aim.effort)
        if most is not None and found.score < aim.score and len(found.encoded.data) >= most:
            return None
    return tried[min((one for one, found in tried.items() if found.score >= aim.score), default=max(tried))]


def _tried(image: Image.Image, form: str, quality: int, reference: ScoreReference, effort: int) -> _Found:
    data = encode_at(image, form, quality=quality, effort=effort)
    with Image.open(io.BytesIO(data)) as decoded:
        return _Found(Encoded(form, data), reference.score(decoded), quality)


def _typical(form: str, quality: int) -> float:
    return _interpolated(_CURVES[form], quality)


def _quality_at(form: str, score: float) -> int:
    turned = tuple((score, quality) for quality, score in _CURVES[form])
    return math.ceil(_interpolated(turned, score))


def _interpolated(points: tuple[tuple[float, float], ...], at: float) -> float:
    """Linear between the points, and flat outside of them."""
    if at <= points[0][0]:
        return points[0][1]
    for (x, y), (right, up) in pairwise(points):
        if at <= right:
            return y + (at - x) * (up - y) / (right - x)
    return points[-1][1]
