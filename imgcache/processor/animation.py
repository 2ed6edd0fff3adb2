"""Animations: made into animated WebP, frame by frame in flat memory; and the one frame that a still of them shows.

A film is left out where it has not fewer bytes than its source, or than a larger film of the same shape: then that is
what a page shows. Where the largest is left out so are all, for a page would be given a small one in its place.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from PIL import Image, ImageChops

from imgcache.core import DecoderCrash, Header, Limits, Recipe, Size, Undecodable
from imgcache.processor.animation_frames import Frame, frames, plays
from imgcache.processor.decoded_image import DecodePlan, decode
from imgcache.processor.encoder import Encoded, settings
from imgcache.processor.geometry import Target
from imgcache.processor.header import Opened, contained, open_image
from imgcache.processor.palette import tiny
from imgcache.processor.scaling import scaled
from imgcache.processor.strip import original_without_metadata

# Pixels of source and film made in a second, at the least (measured: 14 million, of a photograph in motion, on two busy
# cores). What would take longer than limits.decode_time is not begun: a picture must not be lost for its film.
_PACE = 8_000_000
_THOROUGH = 10_000_000  # pixels of a film from which on effort 2 has to do: half the time, 3 % more bytes
_SAMPLES = 10  # frames among which the telling one is looked for
_PLENTY, _CLEARLY = 5.0, 1.0  # bits of entropy: a frame worth showing as it is; how much more a better one has


class Animation(NamedTuple):
    """An animated WebP. `frames` is 1 where nothing ever changes in it."""

    target: Target
    encoded: Encoded
    frames: int
    is_own: bool  # it is its source, without metadata


def is_wanted(recipe: Recipe, header: Header) -> bool:
    """Whether `recipe` asks for the motion of such an image: as a film, or not at all.

    AVIF is among them although no film is made of it: beside a WebP that moves, browsers would take the still first.
    """
    return header.moves and recipe.animation == "keep" and recipe.format in {"webp", "best", "avif"}


def render_animations(
    opened: Opened, wanted: Mapping[Recipe, Target], way: DecodePlan, limits: Limits
) -> dict[Recipe, Animation]:
    """The films that are worth having, of recipes that come out the same the first. Use it inside `contained`.

    Of an animation that breaks off in the middle, or is too long for `limits.decode_time`, there are none.
    """
    distinct: dict[tuple[object, ...], tuple[Recipe, Target]] = {}
    for recipe, target in wanted.items():
        if recipe.format != "avif":
            distinct.setdefault((target, settings("webp", recipe)), (recipe, target))
    jobs = sorted(distinct.values(), key=lambda job: -_area(job[1].size))
    source = _area(opened.header.size)
    if opened.header.frames * sum(source + _area(target.size) for _, target in jobs) > limits.decode_time * _PACE:
        return {}
    made: dict[Recipe, Animation] = {}
    most: dict[tuple[int, ...], int] = {}  # bytes, for each shape; 0 where nothing is worth having
    for recipe, target in jobs:
        bound = most.setdefault(target.crop, len(opened.body))
        film = _film(opened, recipe, target, way, limits) if bound else None
        if film is not None and (film.is_own or len(film.encoded.data) < bound):
            made[recipe] = film
            most[target.crop] = len(film.encoded.data)
        elif bound == len(opened.body):
            most[target.crop] = 0
    return made


def _area(size: Size) -> int:
    return size.width * size.height


def representative_frame(opened: Opened, limits: Limits) -> Opened:
    """`opened` with the frame that tells most: its first, unless another of up to ten shows clearly more.

    How much a frame shows is the entropy of its brightness, made small: a blank one has none, one that is being faded
    in has little. The image that an APNG holds for those who see no animation is never replaced.
    """
    if not opened.header.moves or getattr(opened.image, "default_image", False):
        return opened
    first = most = _detail(opened.image)
    if first >= _PLENTY:
        return opened
    found: Image.Image | None = None
    total = opened.header.frames
    chosen = {total * number // _SAMPLES for number in range(_SAMPLES)}
    with contextlib.suppress(Undecodable):
        for number, frame in enumerate(_sound(open_image(opened.body, limits), limits)):
            detail = _detail(frame.image) if number in chosen else 0.0
            if detail > max(most, first + _CLEARLY):
                found, most = frame.image.copy(), detail
    return opened if found is None else opened._replace(image=found)


def _detail(image: Image.Image) -> float:
    """Bits for each pixel of `image`, made small."""
    grey = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small = tiny(grey, 64)
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(white, small)
    return small.convert("L").entropy()


def _film(opened: Opened, recipe: Recipe, target: Target, way: DecodePlan, limits: Limits) -> Animation | None:
    """None where it is broken; a WebP of that very size serves itself, stripped, where it is no larger."""
    start = open_image(opened.body, limits)
    size = start.header.size
    own = None
    try:
        reel = _Reel(start, target, recipe, way, limits)
        data = _encoded(reel, recipe, plays(start))
    except (DecoderCrash, Undecodable):  # the first frame may be sound: stills are made of it
        return None
    if start.header.format == "webp" and reel.untouched and target.full == size == target.size:
        own = original_without_metadata(start)
    is_own = own is not None and len(own) <= len(data)
    data = own if own is not None and is_own else data
    return Animation(target, Encoded("webp", data), _count(data), is_own)


def _encoded(reel: _Reel, recipe: Recipe, loop: int) -> bytes:
    """Key frames only where they pay; each frame lossless or not, whichever libwebp finds smaller."""
    out = io.BytesIO()
    pixels = reel.width * reel.height * reel.n_frames
    reel.save(
        out,
        "WEBP",
        save_all=True,
        duration=reel.durations,
        loop=loop,
        quality=_quality(recipe),
        method=min(recipe.effort, 4 if pixels <= _THOROUGH else 2),
        allow_mixed=True,
        kmin=0,
        kmax=0,
        icc_profile=reel.profile,
    )
    return out.getvalue()


def _quality(recipe: Recipe) -> int:
    """For a film nothing is searched: "auto" is the default, within the recipe's bounds."""
    if isinstance(recipe.quality, int):
        return recipe.quality
    return max(recipe.min_quality, min(80, recipe.max_quality))


def _count(webp: bytes) -> int:
    """The frames of an animated WebP; 1 of a still."""
    with Image.open(io.BytesIO(webp), formats=("WEBP",)) as image:
        return int(getattr(image, "n_frames", 1))


def _sound(opened: Opened, limits: Limits) -> Iterator[Frame]:
    """The frames, with what decoders raise turned into an ImageError."""
    found = frames(opened)
    for _ in range(opened.header.frames):
        with contained(limits):
            frame = next(found, None)
        if frame is None:
            raise Undecodable("there are fewer frames than the header announces")
        yield frame


class _Reel(Image.Image):
    """What Pillow's writers take for a picture of many frames: each is made when it is sought, and none is kept.

    libwebp passes over changes from one frame to the next that it thinks nobody sees, however many of them add up: of a
    slow fade little would be left. So a pixel changes here by more than that, or not at all.
    """

    def __init__(self, opened: Opened, target: Target, recipe: Recipe, way: DecodePlan, limits: Limits) -> None:
        super().__init__()
        self.n_frames = opened.header.frames
        self.durations = [0] * self.n_frames  # milliseconds, known when a frame is there
        self.untouched, self.profile = True, b""
        self._tolerance = _overlooked(_quality(recipe))
        self._pictures = self._made(opened, target, way, limits)
        self._next = 0
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Goes on to the next frame; Pillow's going back to the first when all is done has no effect."""
        if frame != self._next:
            return
        self._next += 1
        picture, self.durations[frame] = next(self._pictures)
        if frame == 0:
            self._shown = picture
            self._mode, self._size = picture.mode, picture.size
        else:
            self._shown.paste(picture, mask=_changes(self._shown, picture, self._tolerance))
        self.im = self._shown.im

    def _made(
        self, opened: Opened, target: Target, way: DecodePlan, limits: Limits
    ) -> Iterator[tuple[Image.Image, int]]:
        for frame in _sound(opened, limits):
            source = decode(opened._replace(image=frame.image), [target.full], way)
            self.untouched &= source.untouched
            self.profile = source.image.info.get("icc_profile", b"")
            picture = scaled(source.image, opened.header.size, [target], linear=way.linear)[target]
            yield picture.convert("RGBA"), frame.milliseconds


def _changes(before: Image.Image, after: Image.Image, tolerance: int) -> Image.Image:
    """A mask of the pixels that differ by more than `tolerance` in a colour, or at all in their opacity."""
    red, green, blue, alpha = ImageChops.difference(before, after).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    seen = most.point([255 if level > tolerance else 0 for level in range(256)])
    return ImageChops.lighter(seen, alpha.point([255 if level else 0 for level in range(256)]))


def _overlooked(quality: int) -> int:
    """The difference of a colour that libwebp takes for none (QualityToMaxDiff in its src/mux/anim_encode.c)."""
    fine = (quality / 100) ** 0.5
    return int(31 * (1 - fine) + fine + 0.5)
