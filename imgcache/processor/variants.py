"""What is made of an image: bytes and recipes in, variants out, into one folder.

Decoded once for each way that the recipes ask for, at the coarsest scale that is enough (JPEG), then each size from the
next larger one. The same input gives the same bytes on the same version of Pillow.

Meant to run in a worker process of `render_pool`, one image at a time. Limit: it cannot end a decoder that hangs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from imgcache.core import EXTENSIONS, DiskFull, Limits, Recipe, Rendered, Size, Variant
from imgcache.processor import animation as motion
from imgcache.processor import palette
from imgcache.processor.crops import point
from imgcache.processor.decoded_image import DecodedImage, DecodePlan, decode
from imgcache.processor.encoder import Encoded, settings
from imgcache.processor.geometry import Target, target
from imgcache.processor.header import Opened, contained, open_image, read_file
from imgcache.processor.quality_search import choose
from imgcache.processor.scaling import scaled
from imgcache.processor.strip import original_without_metadata


class _Plan(NamedTuple):
    """One file to make: the first recipe that asks for it."""

    recipe: Recipe
    target: Target
    format: str


class _File(NamedTuple):
    """One variant, made."""

    plan: _Plan
    encoded: Encoded
    frames: int = 1


class _Made(NamedTuple):
    """What one way gives: files, the tiny picture for colour and placeholder, and what a user should know."""

    files: list[_File]
    tiny: Image.Image
    notes: tuple[str, ...]


def render(path: str | Path, folder: str | Path, recipes: Sequence[Recipe], limits: Limits) -> Rendered:
    """`make` from the file at `path`, into `folder` as `{recipe.name}.{extension}`.

    Raises:
        ImageError: as `make`; MissingFile, DiskFull when `folder` cannot be written.
    """

    def write(_: Recipe, name: str, data: bytes) -> None:
        try:
            (Path(folder) / name).write_bytes(data)
        except OSError as error:
            raise DiskFull(f"{Path(folder) / name}: cannot be written ({error.strerror})") from error

    return make(read_file(path), recipes, limits, write)


def make(
    body: bytes, recipes: Sequence[Recipe], limits: Limits, write: Callable[[Recipe, str, bytes], None]
) -> Rendered:
    """Decodes an image whole and makes its variants.

    Of recipes that come out the same only the first is made; `Rendered.recipes` lists the fingerprints of all. A
    variant never has more bytes than an original of the same format and size: then that serves, without its metadata.
    Of an animation the stills show a telling frame, colour and placeholder the first, with which it begins.

    Args:
        body: the whole file.
        recipes: what to make.
        limits: what the image may cost.
        write: takes each variant: its recipe, its file name and its bytes.

    Raises:
        ImageError: as `probe`, DecoderCrash when memory runs out.
    """
    files: dict[Recipe, _File] = {}
    with contained(limits):
        opened = open_image(body, limits)
        smallest: Image.Image | None = None
        notes: tuple[str, ...] = ()
        ways = {
            recipe: (DecodePlan.of(recipe), opened.header.moves and recipe.animation == "keep") for recipe in recipes
        }
        for way, moves in dict.fromkeys(ways.values()) or ((DecodePlan(), False),):
            opened = opened if smallest is None else open_image(body, limits)
            shown = motion.representative_frame(opened, limits) if moves else opened
            made = _made(shown, [recipe for recipe in recipes if ways[recipe] == (way, moves)], way, limits)
            files, notes = files | {file.plan.recipe: file for file in made.files}, made.notes
            if smallest is None:
                smallest = made.tiny if shown is opened else palette.tiny(decode(opened, (), way).image)
        assert smallest is not None  # noqa: S101 (there is one way at least)
        color, placeholder = palette.dominant(smallest), palette.placeholder(smallest)
    variants = tuple(_write(files[recipe], write) for recipe in recipes if recipe in files)
    answered = tuple(dict.fromkeys(recipe.fingerprint for recipe in recipes))
    return Rendered(opened.header, color, placeholder, variants, answered, notes)


def _made(opened: Opened, recipes: Sequence[Recipe], way: DecodePlan, limits: Limits) -> _Made:
    """The files of one way."""
    size = opened.header.size
    geometries = {recipe: target(recipe, size) for recipe in recipes}
    moving = [recipe for recipe in recipes if motion.is_wanted(recipe, opened.header)]
    source = decode(opened, [geometries[recipe].full for recipe in recipes if recipe not in moving], way)
    for recipe, geometry in geometries.items():
        if geometry.is_part(size):
            geometries[recipe] = target(recipe, size, point(source.image, recipe))
    films = motion.render_animations(opened, {recipe: geometries.pop(recipe) for recipe in moving}, way, limits)
    plans = _distinct(geometries, source.image)
    pictures = scaled(source.image, size, [plan.target for plan in plans], linear=way.linear)
    whole = [picture for geometry, picture in pictures.items() if not geometry.is_part(size)]
    smallest = min((source.image, *whole), key=lambda image: image.width * image.height)
    made = [_still(opened, source, plan, pictures[plan.target]) for plan in plans]
    made += [_File(_Plan(recipe, film.target, "webp"), film.encoded, film.frames) for recipe, film in films.items()]
    return _Made(made, palette.tiny(smallest), source.notes)


def _distinct(wanted: dict[Recipe, Target], image: Image.Image) -> list[_Plan]:
    plans: dict[tuple[object, ...], _Plan] = {}
    for recipe, geometry in wanted.items():
        auto = "png" if image.mode == "RGBa" else "jpeg"
        form = auto if recipe.format == "auto" else recipe.format
        plans.setdefault((form, geometry.size, geometry.crop, settings(form, recipe)), _Plan(recipe, geometry, form))
    return list(plans.values())


def _still(opened: Opened, source: DecodedImage, plan: _Plan, picture: Image.Image) -> _File:
    header, encoded = opened.header, choose(picture, plan.format, plan.recipe)
    if (
        source.untouched
        and (header.frames == 1 or header.format == "jpeg")
        and header.format == encoded.format
        and plan.target.full == header.size == plan.target.size
    ):
        own = original_without_metadata(opened)
        if own is not None and len(own) <= len(encoded.data):
            encoded = Encoded(header.format, own)
    return _File(plan, encoded)


def _write(file: _File, write: Callable[[Recipe, str, bytes], None]) -> Variant:
    (recipe, target, _), (form, data), frames = file
    size: Size = target.size
    name = f"{recipe.name}.{EXTENSIONS[form]}"
    write(recipe, name, data)
    digest = hashlib.sha256(data).hexdigest()
    return Variant(recipe.name, size.width, size.height, form, len(data), name, recipe.fingerprint, digest, frames)
