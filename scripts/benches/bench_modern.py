"""Job `modern`: what `profile: modern` costs and saves: AVIF and WebP of each width, beside the WebP of `classic`."""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench_pictures import Picture, pictures, some
from bench_report import Limit, Section, Skipped, spread
from PIL import Image

from imgcache.processor.encoder import encode_at
from imgcache.processor.score import Reference
from imgcache.profiles import PROFILES
from imgcache.recipes import Recipe

COUNT = 16


@dataclass
class _Way:
    """One recipe's variants of all pictures: bytes, points and, for each round, seconds."""

    bytes: int = 0
    scores: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)


def run(options: argparse.Namespace) -> Section:
    """Each picture is scaled once, and encoded by each recipe in turn, in one process; decoding is timed nowhere."""
    wide = max(recipe.width or 0 for recipe in PROFILES["modern"])
    fitting = [one for one in pictures(_all(options)) if one.path.suffix == ".jpg" and one.width >= wide]
    if not fitting:
        raise Skipped(f"no JPEG here is {wide} pixels wide; name a folder that has some with --photos")
    photographs = some(fitting, min(COUNT, options.pictures or COUNT))
    rows, limits = [], []
    alone: list[list[float]] = []
    both: list[list[float]] = []
    for width in sorted({recipe.width for recipe in PROFILES["modern"] if recipe.width}):
        recipes = _recipes(width)
        ways = _measured([_scaled(one, width) for one in photographs], recipes, options.rounds)
        rows += [_row(width, name, way, len(photographs)) for name, way in ways.items()]
        classic, avif, webp = ways.values()
        same = _bytes_at(photographs, width, recipes, statistics.fmean(classic.scores))
        limits.append(
            Limit(f"{width}: AVIF at the mean score of classic's WebP, bytes", same / classic.bytes, 1, "times")
        )
        alone.append(classic.rounds)
        both.append([sum(pair) for pair in zip(avif.rounds, webp.rounds, strict=True)])
    seconds = [
        sum(these) / sum(those) for these, those in zip(zip(*both, strict=True), zip(*alone, strict=True), strict=True)
    ]
    limits.append(
        Limit("AVIF and WebP beside classic's WebP alone, all widths, time", statistics.median(seconds), 1.5, "times")
    )
    return Section(
        title="AVIF and WebP of every width: `profile: modern`",
        text=f"{len(photographs)} photographs (JPEG, at least {wide} pixels wide), scaled before the clock starts; the"
        " encoders alone, processor time. The score is imgcache's own likeness to the scaled picture, which is"
        " SSIMULACRA2 within a point or so. The bytes of AVIF at the score of classic's WebP are read off between two"
        " qualities.",
        columns=["width", "variant", "MB", "mean score", "lowest", "ms each"],
        rows=rows,
        limits=limits,
    )


def _all(options: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(photos=options.photos, pictures=None)


def _recipes(width: int) -> Sequence[tuple[str, Recipe]]:
    """The WebP of classic, then the AVIF and the WebP of modern."""
    found = []
    for profile, form in (("classic", "webp"), ("modern", "avif"), ("modern", "webp")):
        recipe = next(one for one in PROFILES[profile] if (one.width, one.format) == (width, form))
        found.append((f"{profile}: {form} q{recipe.quality}, effort {recipe.effort}", recipe))
    return found


def _scaled(picture: Picture, width: int) -> Image.Image:
    size = (width, max(1, round(picture.height * width / picture.width)))
    with Image.open(picture.path) as image:
        image.draft("RGB", size)
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _measured(scaled: Sequence[Image.Image], recipes: Sequence[tuple[str, Recipe]], rounds: int) -> dict[str, _Way]:
    ways = {name: _Way() for name, _ in recipes}
    for number in range(rounds):
        taken = dict.fromkeys(ways, 0.0)
        for image in scaled:
            reference = Reference(image) if number == 0 else None
            for name, recipe in recipes:
                begin = time.process_time()
                data = encode_at(image, recipe.format, quality=int(recipe.quality), effort=recipe.effort)
                taken[name] += time.process_time() - begin
                if reference:
                    ways[name].bytes += len(data)
                    ways[name].scores.append(_score(reference, data))
        for name, seconds in taken.items():
            ways[name].rounds.append(seconds)
    return ways


def _bytes_at(photographs: Sequence[Picture], width: int, recipes: Sequence[tuple[str, Recipe]], score: float) -> float:
    """Bytes of AVIF at a mean score, between the two nearest of some qualities."""
    points = []
    pairs = [(image, Reference(image)) for image in (_scaled(one, width) for one in photographs)]
    effort = recipes[1][1].effort
    for quality in (58, 62, 65, 68, 72):
        files = [encode_at(image, "avif", quality=quality, effort=effort) for image, _ in pairs]
        scores = [_score(reference, data) for (_, reference), data in zip(pairs, files, strict=True)]
        points.append((statistics.fmean(scores), float(sum(map(len, files)))))
    for (low, small), (high, large) in pairwise(points):
        if score <= high:
            return small + (score - low) / (high - low) * (large - small)
    return points[-1][1]


def _score(reference: Reference, data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        return reference.score(image)


def _row(width: int, name: str, way: _Way, count: int) -> list[str]:
    each = spread([1000 * seconds / count for seconds in way.rounds], 1)
    scores = [f"{statistics.fmean(way.scores):.2f}", f"{min(way.scores):.2f}"]
    return [str(width), name, f"{way.bytes / 1e6:.3f}", *scores, each]
