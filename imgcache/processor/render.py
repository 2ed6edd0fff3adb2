"""What is made of an image: bytes and recipes in, variants out, into one folder.

Decoded once, at the coarsest scale that is enough (JPEG), then each size from the next larger one. The same input gives
the same bytes on the same version of Pillow. Animations give a still, their first frame.

Meant to run in a worker process of `render_pool`, one image at a time. Limit: it cannot end a decoder that hangs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from imgcache.errors import DiskFull
from imgcache.formats import EXTENSIONS
from imgcache.models import Limits, Recipe, Rendered, Size, Variant
from imgcache.processor import colours
from imgcache.processor.encoder import encode, settings
from imgcache.processor.geometry import Target, inside, target
from imgcache.processor.header import UPRIGHT, Opened, contained, open_image, read_file
from imgcache.processor.strip import strip


class _Source(NamedTuple):
    """A picture to make variants from: upright, sRGB, no metadata. `untouched`: colours and shape are the file's."""

    image: Image.Image
    untouched: bool


class _Plan(NamedTuple):
    """One file to make: the first recipe that asks for it."""

    recipe: Recipe
    target: Target
    format: str


def render(path: str | Path, folder: str | Path, recipes: Sequence[Recipe], limits: Limits) -> Rendered:
    """Decodes the image at `path` whole and writes its variants into `folder` as `{recipe.name}.{extension}`.

    Of recipes that come out the same only the first is made; `Rendered.recipes` lists the fingerprints of all. A
    variant never has more bytes than an original of the same format and size: then that serves, without its metadata.

    Raises:
        ImageError: as `probe`, DecoderCrash when memory runs out, DiskFull when `folder` cannot be written.
    """
    body = read_file(path)
    with contained(limits):
        opened = open_image(body, limits)
        wanted = [(recipe, target(recipe, opened.header.size)) for recipe in recipes]
        source = _decode(opened, [geometry.full for _, geometry in wanted])
        plans = _distinct(wanted, source.image)
        pictures, smallest = _scaled(source.image, opened.header.size, plans)
        files = [_file(opened, source, plan, pictures[plan.target]) for plan in plans]
        small = colours.tiny(smallest)
        color, placeholder = colours.dominant(small), colours.placeholder(small)
    variants = tuple(_write(Path(folder), plan, data) for plan, data in zip(plans, files, strict=True))
    answered = tuple(dict.fromkeys(recipe.fingerprint for recipe in recipes))
    return Rendered(opened.header, color, placeholder, variants, answered)


def _decode(opened: Opened, sizes: Sequence[Size]) -> _Source:
    """The first frame whole, upright, in sRGB, no larger than the largest of `sizes`."""
    image, header = opened.image, opened.header
    profile = image.info.get("icc_profile")
    largest = max(sizes, key=lambda size: size.width * size.height, default=inside(header.size, 64, 64))
    stored = (largest.width, largest.height) if opened.orientation < 5 else (largest.height, largest.width)
    drafted = image.draft(None, stored) if header.format == "jpeg" and stored != image.size else None
    box = drafted[1] if drafted else None
    image.load()
    image = colours.eight_bit(image)
    if stored != image.size:
        image = image.resize(stored, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    if opened.orientation != 1:
        image = image.transpose(UPRIGHT[opened.orientation])
    image, changed = colours.to_srgb(image, profile if isinstance(profile, bytes) else None)
    image = colours.opaque(image)
    if image is opened.image:
        image = image.copy()
    image.info = {}  # nothing private reaches an encoder
    return _Source(image, untouched=not changed and opened.orientation == 1)


def _distinct(wanted: Sequence[tuple[Recipe, Target]], image: Image.Image) -> list[_Plan]:
    plans: dict[tuple[object, ...], _Plan] = {}
    for recipe, geometry in wanted:
        auto = "png" if image.mode == "RGBa" else "jpeg"
        form = auto if recipe.format == "auto" else recipe.format
        knobs = settings(form, recipe.quality, recipe.effort)
        plans.setdefault((form, geometry.size, geometry.crop, knobs), _Plan(recipe, geometry, form))
    return list(plans.values())


def _scaled(source: Image.Image, size: Size, plans: Sequence[_Plan]) -> tuple[dict[Target, Image.Image], Image.Image]:
    """Each target from the smallest whole picture that is large enough; and the smallest whole picture of all."""
    whole, made = [source], {}
    for geometry in sorted({plan.target for plan in plans}, key=lambda one: (-one.full.width * one.full.height, one)):
        nearest = next(one for one in reversed(whole) if _covers(one, geometry.full) or one is source)
        wide, high = nearest.width / size.width, nearest.height / size.height
        left, top, right, bottom = geometry.crop
        box = (left * wide, top * high, min(right * wide, nearest.width), min(bottom * high, nearest.height))
        shown = (geometry.size.width, geometry.size.height)
        same = shown == nearest.size and box == (0, 0, *nearest.size)
        picture = nearest if same else nearest.resize(shown, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
        made[geometry] = picture
        if geometry.crop == (0, 0, size.width, size.height) and not same:
            whole.append(picture)
    return made, whole[-1]


def _covers(image: Image.Image, size: Size) -> bool:
    return image.width >= size.width and image.height >= size.height


def _file(opened: Opened, source: _Source, plan: _Plan, picture: Image.Image) -> bytes:
    data = encode(picture, plan.format, quality=plan.recipe.quality, effort=plan.recipe.effort)
    header, bare = opened.header, None
    still = header.frames == 1 or header.format == "jpeg"
    if (
        source.untouched
        and still
        and header.format == plan.format
        and plan.target.full == header.size == plan.target.size
    ):
        bare = _bare(opened)
    return bare if bare is not None and len(bare) <= len(data) else data


def _bare(opened: Opened) -> bytes | None:
    """The original's own bytes without metadata. An AVIF's is woven into its boxes: only one that has none will do."""
    if opened.header.format == "avif":
        return None if {"exif", "xmp"} & opened.image.info.keys() else opened.body
    return strip(opened.body, opened.header.format)


def _write(folder: Path, plan: _Plan, data: bytes) -> Variant:
    recipe, size = plan.recipe, plan.target.size
    name = f"{recipe.name}.{EXTENSIONS[plan.format]}"
    try:
        (folder / name).write_bytes(data)
    except OSError as error:
        raise DiskFull(f"{folder / name}: cannot be written ({error.strerror})") from error
    digest = hashlib.sha256(data).hexdigest()
    return Variant(recipe.name, size.width, size.height, plan.format, len(data), name, recipe.fingerprint, digest)
