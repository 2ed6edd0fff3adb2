"""Renders the variants of an image: takes bytes and recipes, writes files.

The image is decoded once for each distinct `DecodePlan` of the recipes, a JPEG at the coarsest scale that is enough.
Each size is then made from the next larger one. The same input gives the same bytes with the same version of Pillow.

It has to run in a worker process of the pool, one image at a time. Limit: it cannot stop a decoder that hangs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from imgcache.core import EXTENSIONS, DiskFull, Limits, Motion, Recipe, Rendered, Size, Variant, VariantFormat
from imgcache.processor import animation as motion
from imgcache.processor import placeholder as preview
from imgcache.processor.crops import crop_center
from imgcache.processor.decoded_image import DecodedImage, DecodePlan, decode
from imgcache.processor.encoder import Encoded, settings
from imgcache.processor.geometry import Target, plan_target
from imgcache.processor.header import OpenedImage, decoder_errors, open_image, read_file
from imgcache.processor.quality_search import choose
from imgcache.processor.scaling import scaled
from imgcache.processor.strip import original_without_metadata


class _Plan(NamedTuple):
    """One file to make, for the first of the recipes that share it."""

    recipe: Recipe
    target: Target
    format: str


class _File(NamedTuple):
    """One rendered variant."""

    plan: _Plan
    encoded: Encoded
    frames: int = 1


class _Group(NamedTuple):
    """What one decode plan gives: files, a thumbnail for colour and placeholder, and notes for people."""

    files: list[_File]
    thumbnail: Image.Image
    notes: tuple[str, ...]


def render(path: str | Path, folder: str | Path, recipes: Sequence[Recipe], limits: Limits) -> Rendered:
    """Render the file at `path` into `folder` as `{recipe.name}.{extension}`.

    Raises:
        ImageError: as `make`; MissingFile; DiskFull when `folder` cannot be written.
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
    """Decode an image and make its variants.

    Of recipes with the same result only the first is made; `Rendered.recipes` lists the fingerprints of all. If the
    original has the same format and size and is not larger, it is used without its metadata. Stills of an animation
    show its most detailed frame; colour and placeholder are those of the first frame.

    Args:
        body: the whole file.
        recipes: what to make.
        limits: what the image may cost.
        write: called for each variant with its recipe, file name and bytes.

    Raises:
        ImageError: as `probe`; DecoderCrash when memory runs out.
    """
    files: dict[Recipe, _File] = {}
    with decoder_errors(limits):
        opened = open_image(body, limits)
        smallest: Image.Image | None = None
        notes: tuple[str, ...] = ()
        groups = {
            recipe: (DecodePlan.of(recipe), opened.header.moves and recipe.animation == Motion.KEEP)
            for recipe in recipes
        }
        for decoding, moves in dict.fromkeys(groups.values()) or ((DecodePlan(), False),):
            opened = opened if smallest is None else open_image(body, limits)
            shown = motion.representative_frame(opened, limits) if moves else opened
            members = [recipe for recipe in recipes if groups[recipe] == (decoding, moves)]
            made = _render_group(shown, members, decoding, limits)
            files, notes = files | {file.plan.recipe: file for file in made.files}, made.notes
            if smallest is None:
                smallest = made.thumbnail if shown is opened else preview.thumbnail(decode(opened, (), decoding).image)
        assert smallest is not None  # noqa: S101 (there is at least one group)
        color, placeholder = preview.dominant(smallest), preview.placeholder(smallest)
    variants = tuple(_write(files[recipe], write) for recipe in recipes if recipe in files)
    fingerprints = tuple(dict.fromkeys(recipe.fingerprint for recipe in recipes))
    return Rendered(opened.header, color, placeholder, variants, fingerprints, notes)


def _render_group(opened: OpenedImage, recipes: Sequence[Recipe], decoding: DecodePlan, limits: Limits) -> _Group:
    """Render the recipes of one decode plan."""
    size = opened.header.size
    geometries = {recipe: plan_target(recipe, size) for recipe in recipes}
    moving = [recipe for recipe in recipes if motion.keeps_motion(recipe, opened.header)]
    source = decode(opened, [geometries[recipe].full for recipe in recipes if recipe not in moving], decoding)
    for recipe, geometry in geometries.items():
        if geometry.is_part(size):
            geometries[recipe] = plan_target(recipe, size, crop_center(source.image, recipe))
    moving_targets = {recipe: geometries.pop(recipe) for recipe in moving}
    animations = motion.render_animations(opened, moving_targets, decoding, limits)
    plans = _distinct_plans(geometries, source.image)
    pictures = scaled(source.image, size, [plan.target for plan in plans], linear=decoding.linear)
    whole = [picture for geometry, picture in pictures.items() if not geometry.is_part(size)]
    smallest = min((source.image, *whole), key=lambda image: image.width * image.height)
    made = [_still(opened, source, plan, pictures[plan.target]) for plan in plans]
    made += [_File(_Plan(recipe, one.target, "webp"), one.encoded, one.frames) for recipe, one in animations.items()]
    return _Group(made, preview.thumbnail(smallest), source.notes)


def _distinct_plans(wanted: dict[Recipe, Target], image: Image.Image) -> list[_Plan]:
    plans: dict[tuple[object, ...], _Plan] = {}
    for recipe, geometry in wanted.items():
        auto = "png" if image.mode == "RGBa" else "jpeg"
        form = auto if recipe.format == VariantFormat.AUTO else str(recipe.format)
        plans.setdefault((form, geometry.size, geometry.crop, settings(form, recipe)), _Plan(recipe, geometry, form))
    return list(plans.values())


def _still(opened: OpenedImage, source: DecodedImage, plan: _Plan, picture: Image.Image) -> _File:
    header, encoded = opened.header, choose(picture, plan.format, plan.recipe)
    if (
        source.untouched
        and not header.moves
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
