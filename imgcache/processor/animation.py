"""Makes animated WebP, frame by frame in constant memory, and picks the frame that stills of an animation show.

An animation is left out if it has no fewer bytes than its source, or than a larger animation of the same shape, because
then pages show the smaller file. If the largest is left out, so are all: a page would show a small one in its place.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from PIL import Image, ImageChops

from imgcache.core import DecoderCrash, Header, Limits, Motion, Recipe, Size, Undecodable, VariantFormat
from imgcache.processor.animation_frames import Frame, frames, loop_count
from imgcache.processor.decoded_image import DecodePlan, decode
from imgcache.processor.encoder import Encoded, settings
from imgcache.processor.geometry import Target
from imgcache.processor.header import OpenedImage, decoder_errors, open_image
from imgcache.processor.placeholder import thumbnail
from imgcache.processor.scaling import scaled
from imgcache.processor.strip import original_without_metadata

# Pixels of source and result per second, a low estimate (measured: 14 million, for a moving photograph, on two busy
# cores). An animation that would take longer than limits.decode_time is not begun, so that its stills are not lost.
_PIXELS_PER_SECOND = 8_000_000
_MANY_PIXELS = 10_000_000  # pixels from which on effort 2 is the limit: half the time, 3 % more bytes
_SAMPLES = 10  # frames among which the most detailed one is searched
_DETAILED, _MORE_DETAILED = 5.0, 1.0  # bits of entropy: enough for the first frame; how much more a better frame has


class Animation(NamedTuple):
    """An animated WebP. `frames` is 1 if all frames are equal."""

    target: Target
    encoded: Encoded
    frames: int
    is_own: bool  # it is the source itself, without metadata


def keeps_motion(recipe: Recipe, header: Header) -> bool:
    """Whether a recipe makes an animation of such an image, or nothing.

    AVIF makes nothing: beside a WebP that moves, browsers would prefer a still AVIF.
    """
    return (
        header.moves
        and recipe.animation == Motion.KEEP
        and recipe.format in {VariantFormat.WEBP, VariantFormat.BEST, VariantFormat.AVIF}
    )


def render_animations(
    opened: OpenedImage, wanted: Mapping[Recipe, Target], plan: DecodePlan, limits: Limits
) -> dict[Recipe, Animation]:
    """Make the animations that are smaller than their source, inside a `decoder_errors` block.

    Of recipes with the same result only the first is made. There are none if the source is truncated, or too long for
    `limits.decode_time`.
    """
    distinct: dict[tuple[object, ...], tuple[Recipe, Target]] = {}
    for recipe, target in wanted.items():
        if recipe.format != VariantFormat.AVIF:
            distinct.setdefault((target, settings("webp", recipe)), (recipe, target))
    jobs = sorted(distinct.values(), key=lambda job: -_area(job[1].size))
    source = _area(opened.header.size)
    if (
        opened.header.frames * sum(source + _area(target.size) for _, target in jobs)
        > limits.decode_time * _PIXELS_PER_SECOND
    ):
        return {}
    done: dict[Recipe, Animation] = {}
    most: dict[tuple[int, ...], int] = {}  # the limit of bytes by crop; 0 where no animation is kept
    for recipe, target in jobs:
        bound = most.setdefault(target.crop, len(opened.body))
        animation = _animate(opened, recipe, target, plan, limits) if bound else None
        if animation is not None and (animation.is_own or len(animation.encoded.data) < bound):
            done[recipe] = animation
            most[target.crop] = len(animation.encoded.data)
        elif bound == len(opened.body):
            most[target.crop] = 0
    return done


def _area(size: Size) -> int:
    return size.width * size.height


def representative_frame(opened: OpenedImage, limits: Limits) -> OpenedImage:
    """Returns the image with its most detailed frame: the first, unless another of up to ten is clearly better.

    Detail is the entropy of the brightness of a small version: a blank frame has none, one that fades in has little.
    The default image of an APNG is never replaced.
    """
    if not opened.header.moves or getattr(opened.image, "default_image", False):
        return opened
    first = most = _entropy(opened.image)
    if first >= _DETAILED:
        return opened
    found: Image.Image | None = None
    total = opened.header.frames
    chosen = {total * number // _SAMPLES for number in range(_SAMPLES)}
    with contextlib.suppress(Undecodable):
        for number, frame in enumerate(_decoded_frames(open_image(opened.body, limits), limits)):
            entropy = _entropy(frame.image) if number in chosen else 0.0
            if entropy > max(most, first + _MORE_DETAILED):
                found, most = frame.image.copy(), entropy
    return opened if found is None else opened._replace(image=found)


def _entropy(image: Image.Image) -> float:
    """Returns the entropy of a small version, in bits a pixel."""
    grey = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small = thumbnail(grey, 64)
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(white, small)
    return small.convert("L").entropy()


def _animate(opened: OpenedImage, recipe: Recipe, target: Target, plan: DecodePlan, limits: Limits) -> Animation | None:
    """Returns None if the source is broken. A WebP of the same size is used itself, without metadata, if not larger."""
    start = open_image(opened.body, limits)
    size = start.header.size
    own = None
    try:
        sequence = _FrameSequence(start, target, recipe, plan, limits)
        data = _encoded(sequence, recipe, loop_count(start))
    except (DecoderCrash, Undecodable):  # stills are still made, of the first frame
        return None
    if start.header.format == "webp" and sequence.untouched and target.full == size == target.size:
        own = original_without_metadata(start)
    is_own = own is not None and len(own) <= len(data)
    data = own if own is not None and is_own else data
    return Animation(target, Encoded("webp", data), _frame_count(data), is_own)


def _encoded(sequence: _FrameSequence, recipe: Recipe, loop: int) -> bytes:
    """Encode with key frames only where they pay. libwebp decides for each frame whether lossless is smaller."""
    out = io.BytesIO()
    pixels = sequence.width * sequence.height * sequence.n_frames
    sequence.save(
        out,
        "WEBP",
        save_all=True,
        duration=sequence.durations,
        loop=loop,
        quality=_quality(recipe),
        method=min(recipe.effort, 4 if pixels <= _MANY_PIXELS else 2),
        allow_mixed=True,
        kmin=0,
        kmax=0,
        icc_profile=sequence.profile,
    )
    return out.getvalue()


def _quality(recipe: Recipe) -> int:
    """Returns the quality. For an animation "auto" is not searched: it is the default within the bounds."""
    if isinstance(recipe.quality, int):
        return recipe.quality
    return max(recipe.min_quality, min(80, recipe.max_quality))


def _frame_count(webp: bytes) -> int:
    """Returns the number of frames of a WebP."""
    with Image.open(io.BytesIO(webp), formats=("WEBP",)) as image:
        return int(getattr(image, "n_frames", 1))


def _decoded_frames(opened: OpenedImage, limits: Limits) -> Iterator[Frame]:
    """Yields the frames, and turns errors of decoders into an ImageError."""
    found = frames(opened)
    for _ in range(opened.header.frames):
        with decoder_errors(limits):
            frame = next(found, None)
        if frame is None:
            raise Undecodable("there are fewer frames than the header announces")
        yield frame


class _FrameSequence(Image.Image):
    """An image of many frames for Pillow's writers. Each frame is made in `seek`, and none is kept.

    libwebp ignores small changes between two frames even if many of them add up, so that little of a slow fade would
    remain. Therefore a pixel changes here by more than libwebp ignores, or not at all.
    """

    def __init__(self, opened: OpenedImage, target: Target, recipe: Recipe, plan: DecodePlan, limits: Limits) -> None:
        super().__init__()
        self.n_frames = opened.header.frames
        self.durations = [0] * self.n_frames  # milliseconds, filled in by `seek`
        self.untouched, self.profile = True, b""
        self._tolerance = _ignored_difference(_quality(recipe))
        self._source = self._frames(opened, target, plan, limits)
        self._next = 0
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to the next frame. Pillow seeks the first again at the end, which has no effect."""
        if frame != self._next:
            return
        self._next += 1
        picture, self.durations[frame] = next(self._source)
        if frame == 0:
            self._shown = picture
            self._mode, self._size = picture.mode, picture.size
        else:
            self._shown.paste(picture, mask=_changes(self._shown, picture, self._tolerance))
        self.im = self._shown.im

    def _frames(
        self, opened: OpenedImage, target: Target, plan: DecodePlan, limits: Limits
    ) -> Iterator[tuple[Image.Image, int]]:
        for frame in _decoded_frames(opened, limits):
            source = decode(opened._replace(image=frame.image), [target.full], plan)
            self.untouched &= source.untouched
            self.profile = source.image.info.get("icc_profile", b"")
            picture = scaled(source.image, opened.header.size, [target], linear=plan.linear)[target]
            yield picture.convert("RGBA"), frame.milliseconds


def _changes(before: Image.Image, after: Image.Image, tolerance: int) -> Image.Image:
    """Returns a mask of the pixels that differ by more than `tolerance` in a colour, or at all in opacity."""
    red, green, blue, alpha = ImageChops.difference(before, after).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    seen = most.point([255 if level > tolerance else 0 for level in range(256)])
    return ImageChops.lighter(seen, alpha.point([255 if level else 0 for level in range(256)]))


def _ignored_difference(quality: int) -> int:
    """Returns the colour difference that libwebp ignores (QualityToMaxDiff in its src/mux/anim_encode.c)."""
    fine = (quality / 100) ** 0.5
    return int(31 * (1 - fine) + fine + 0.5)
