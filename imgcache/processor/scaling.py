"""Scales a picture to several sizes, each from the next larger one."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image

from imgcache.core import Size
from imgcache.processor import lanczos
from imgcache.processor import linear_light as light
from imgcache.processor.geometry import Target
from imgcache.processor.lanczos import Box


def scaled(
    source: Image.Image, size: Size, targets: Iterable[Target], *, linear: bool = False
) -> dict[Target, Image.Image]:
    """Make each target from the smallest whole picture that is large enough.

    Args:
        source: the decoded picture.
        size: of the original as displayed.
        targets: what to make.
        linear: scale in linear light.
    """
    whole, made = [source], {}
    for target in sorted(set(targets), key=lambda one: (-one.full.width * one.full.height, one)):
        nearest = next(one for one in reversed(whole) if _covers(one, target.full) or one is source)
        wide, high = nearest.width / size.width, nearest.height / size.height
        left, top, right, bottom = target.crop
        box = (left * wide, top * high, min(right * wide, nearest.width), min(bottom * high, nearest.height))
        shown = (target.size.width, target.size.height)
        same = shown == nearest.size and box == (0, 0, *nearest.size)
        picture = nearest if same else resized(nearest, shown, box, linear=linear)
        made[target] = picture
        if target.crop == (0, 0, size.width, size.height) and not same:
            whole.append(picture)
    return made


def resized(image: Image.Image, size: tuple[int, int], box: Box | None = None, *, linear: bool = False) -> Image.Image:
    """Scale the part `box` of a picture to `size` in the same mode. CMYK and LAB are never scaled in linear light."""
    if linear and image.mode in {"L", "RGB", "RGBa"}:
        samples = light.Samples(image.convert("RGBA") if image.mode == "RGBa" else image)
        small = light.scale(samples, size, box, linear=True)
        small.info = image.info
        return small
    return lanczos.scale(image, size, box)


def _covers(image: Image.Image, size: Size) -> bool:
    return image.width >= size.width and image.height >= size.height
