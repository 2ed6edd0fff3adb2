"""Animations: frames, timing and loops compared with the source, and when none is made."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from examples.origin import Answer, Origin
from imgcache.core import Fit, Limits, Motion, Position, Recipe, Rendered, TooManyFrames, TooManyPixels, VariantFormat
from imgcache.processor.animation_frames import frames, loop_count
from imgcache.processor.header import open_image
from imgcache.server import accept
from imgcache.server.manifest_lines import ManifestLines
from imgcache.server.manifest_view import ManifestView
from imgcache.server.negotiation import choose
from tests.conftest import Command, MakeSite, article
from tests.support.moving_samples import BLUE, RED, Part, Shot, animation, at, gif, repeated, shots, strip_of
from tests.support.pictures import LIMITS, made, near, noise, photo, shown

FILM = Recipe("film", 640)
THUMB = Recipe("thumb", 320, format=VariantFormat.AUTO)
TIMES = [50, 120, 200, 30, 90, 400]
# Each so large that a WebP of quality 80 is smaller.
SOURCES: dict[str, dict[str, Any]] = {
    "GIF": {"loop": 0},
    "WEBP": {"loop": 2, "lossless": True, "exact": True},
    "PNG": {"loop": 2},
    "AVIF": {"quality": 100, "speed": 10, "subsampling": "4:4:4"},
}
HELD = "https://photos.example.org/moving.gif"


def film(folder: Path, rendered: Rendered, name: str = "film") -> list[Shot]:
    (variant,) = (variant for variant in rendered.variants if variant.name == name)
    found = list(shots((folder / variant.path).read_bytes()))
    assert (variant.format, variant.frames) == ("webp", len(found))
    return found


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean over pixels and channels, of 255; what is transparent has no colour."""
    pair = [image.convert("RGBA").convert("RGBa").convert("RGBA") for image in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*pair)).mean) / 4


@pytest.mark.parametrize("form", SOURCES)
def test_an_animation_shows_the_frames_of_its_source_at_the_same_times(form: str, tmp_path: Path) -> None:
    body = animation(strip_of(), form, duration=TIMES, **SOURCES[form])
    source, found = list(shots(body)), film(tmp_path, made(body, tmp_path, FILM))
    assert found[-1].end == source[-1].end == sum(TIMES)
    for start in itertools.accumulate(TIMES[:-1], initial=0):
        for moment in (start, start + 15):
            assert difference(at(found, moment), at(source, moment)) < 3
            others = [shot for shot in source if not shot.start <= moment < shot.end]
            assert all(difference(at(found, moment), other.image) > 5 for other in others)


def test_every_width_moves_and_a_crop_too(tmp_path: Path) -> None:
    body = animation(strip_of(5, (240, 160)), "GIF", duration=100)
    crop = Recipe("crop", 100, 100, fit=Fit.COVER, position=Position.TOP)
    rendered = made(body, tmp_path, FILM, Recipe("w120", 120), crop, Recipe("same", 9000), THUMB)
    assert [(one.name, one.width, one.height, one.format, one.frames) for one in rendered.variants] == [
        ("film", 240, 160, "webp", 5),
        ("w120", 120, 80, "webp", 5),
        ("crop", 100, 100, "webp", 5),
        ("thumb", 240, 160, "jpeg", 1),
    ]
    for shot, source in zip(film(tmp_path, rendered, "w120"), shots(body), strict=True):
        assert difference(shot.image, source.image.resize((120, 80), Image.Resampling.LANCZOS)) < 3
    for shot, source in zip(film(tmp_path, rendered, "crop"), shots(body), strict=True):
        part = source.image.resize((100, 100), Image.Resampling.LANCZOS, box=(40, 0, 200, 160))
        assert difference(shot.image, part) < 4


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (gif((4, 4), Part((0, 0, 4, 4), 0), Part((0, 0, 4, 4), 1)), 1),  # without a word of it: once
        (gif((4, 4), Part((0, 0, 4, 4), 0), Part((0, 0, 4, 4), 1), loop=repeated(0)), 0),
        (gif((4, 4), Part((0, 0, 4, 4), 0), Part((0, 0, 4, 4), 1), loop=repeated(3)), 4),  # repeated three times
        (gif((4, 4), Part((0, 0, 4, 4), 0), Part((0, 0, 4, 4), 1), loop=repeated(65_535)), 65_535),
        (animation(strip_of(2), "PNG", loop=3), 3),
        (animation(strip_of(2), "PNG", loop=0), 0),
        (animation(strip_of(2), "WEBP", loop=5), 5),
        (animation(strip_of(2), "AVIF", duration=100), 0),
    ],
)
def test_an_animation_plays_as_often_as_its_source(body: bytes, expected: int, tmp_path: Path) -> None:
    assert loop_count(open_image(body, LIMITS)) == expected
    rendered = made(animation(strip_of(), "GIF", duration=80, loop=2), tmp_path, FILM)
    assert shown(tmp_path, rendered).info["loop"] == 3


def test_the_edit_list_of_an_avif_sets_its_loops() -> None:
    body = animation(strip_of(3), "AVIF", duration=100)
    flags, length = body.index(b"elst") + 7, body.index(b"tkhd") + 4
    wide = body[length]
    assert body[flags] == 1
    assert loop_count(open_image(body[:flags] + b"\0" + body[flags + 1 :], LIMITS)) == 1
    once = body.index(b"elst") + 12
    duration = int.from_bytes(body[once : once + (8 if wide else 4)]) * 5 // 2
    at_whole, size = length + (28 if wide else 20), 8 if wide else 4
    finite = body[:at_whole] + duration.to_bytes(size) + body[at_whole + size :]
    assert loop_count(open_image(finite, LIMITS)) == 3  # two and a half, which end with the third


def test_frames_without_a_duration_are_shown_for_a_tenth_of_a_second(tmp_path: Path) -> None:
    body = animation(strip_of(4), "GIF", duration=[0, 10, 20, 40])
    assert [shot.end - shot.start for shot in film(tmp_path, made(body, tmp_path, FILM))] == [100, 100, 20, 40]


SCENES = {  # what stands before the last frame, and what is seen where the first frame was, and beside it
    "kept": ([Part((0, 0, 8, 8), 0), Part((0, 0, 4, 8), 1)], BLUE, RED),
    "cleared": ([Part((0, 0, 8, 8), 0), Part((0, 0, 4, 8), 1, disposal=2)], None, RED),
    "put back": ([Part((0, 0, 8, 8), 0), Part((0, 0, 4, 8), 1, disposal=3)], RED, RED),
    "put back by its other number": ([Part((0, 0, 8, 8), 0), Part((0, 0, 4, 8), 1, disposal=4)], RED, RED),
    "not covered": ([Part((0, 0, 4, 8), 1)], BLUE, None),
    "seen through": ([Part((0, 0, 8, 8), 0), Part((0, 0, 4, 8), 1, transparent=True)], RED, RED),
    "of no size": ([Part((0, 0, 8, 8), 0), Part((0, 0, 0, 0), 1)], RED, RED),
    "over the edge": ([Part((0, 0, 8, 8), 0), Part((0, 0, 4, 8), 1), Part((6, 6, 2, 2), 1)], BLUE, RED),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_gif_is_composed_as_browsers_do(scene: str) -> None:
    parts, left, right = SCENES[scene]
    body = gif((8, 8), *parts, Part((7, 7, 1, 1), 1))
    *_, last = (frame.image.copy() for frame in frames(open_image(body, LIMITS)))
    for place, expected in (((1, 1), left), ((5, 1), right)):
        assert last.getpixel(place) == ((0, 0, 0, 0) if expected is None else (*expected, 255))


@given(st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=20)
def test_opaque_gifs_are_composed_as_in_pillow(count: int, seed: int) -> None:
    pictures = [photo((24, 16)).convert("P") for _ in range(count)]
    for number, picture in enumerate(pictures):
        picture.paste(noise((5, 5), "L", seed + number).convert("P"), (seed % 19, number))
    body = animation(pictures, "GIF", duration=50)
    mine = [frame.image.copy() for frame in frames(open_image(body, LIMITS))]
    assert [image.tobytes() for image in mine] == [shot.image.tobytes() for shot in shots(body)]


def test_transparency_is_kept_and_leaves_no_fringe(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (120, 80)) for _ in range(6)]
    for number, picture in enumerate(pictures):
        picture.paste(photo((40, 80)), (number * 16, 0))
    body = animation(pictures, "PNG", duration=80, disposal=1)
    found = film(tmp_path, made(body, tmp_path, Recipe("film", 60)))
    for number, shot in enumerate(found):
        seen = number * 8 + 10
        assert near(shot.image.getpixel((seen, 20)), pictures[number].getpixel((2 * seen, 40)))  # type: ignore[arg-type]
        assert shot.image.getpixel(((seen + 30) % 60, 20))[3] == 0  # type: ignore[index]


def test_equal_frames_become_one(tmp_path: Path) -> None:
    one, other = strip_of(2)
    body = animation([one, one, one, other, other], "AVIF", duration=60, quality=100, speed=10)
    found = film(tmp_path, made(body, tmp_path, FILM))
    assert [(shot.start, shot.end) for shot in found] == [(0, 180), (180, 300)]


def test_a_slow_fade_reaches_its_last_colour(tmp_path: Path) -> None:
    """libwebp alone passes over small changes however many of them add up: this one would end in the dark."""
    picture = photo((60, 40))
    fade = [picture.point(lambda value, step=step: value * step // 60) for step in range(1, 61)]
    body = animation(fade, "PNG", duration=40)
    for quality in (80, 95):
        rendered = made(body, tmp_path, Recipe("film", 120, quality=quality))
        found = film(tmp_path, rendered)
        assert max(difference(at(found, 40 * step + 1), fade[step]) for step in range(60)) < 4


def test_an_animation_that_cannot_be_made_smaller_is_left_out(tmp_path: Path) -> None:
    recipes = (THUMB, FILM, Recipe("narrow", 30))
    rendered = made(animation(strip_of(), "AVIF", quality=5, duration=80), tmp_path, *recipes)
    assert rendered.header.frames == 6
    assert [variant.name for variant in rendered.variants] == ["thumb"]
    assert rendered.recipes == tuple(recipe.fingerprint for recipe in recipes)


def test_an_animation_is_smaller_than_its_source_and_than_wider_ones(tmp_path: Path) -> None:
    """Of few colours, wide ones are lossless and small; narrow ones have many, and would be larger."""
    body = gif((300, 200), *[Part((0, 0, 300, 200), 0), *[Part((20 * n, 10, 60, 90), 1, disposal=3) for n in range(9)]])
    rendered = made(body, tmp_path, Recipe("wide", 300), *[Recipe(f"w{width}", width) for width in (299, 200, 100)])
    sizes = [variant.bytes for variant in rendered.variants]
    assert rendered.variants[0].name == "wide"
    assert len(body) > sizes[0]
    assert sizes == sorted(set(sizes), reverse=True)


def test_an_animation_that_would_take_too_long_is_left_out(tmp_path: Path) -> None:
    body = animation(strip_of(), "GIF", duration=80)
    hurried = Limits(decode_time=0.001)
    assert [one.name for one in made(body, tmp_path, THUMB, FILM, limits=hurried).variants] == ["thumb"]
    with pytest.raises(TooManyFrames):
        made(body, tmp_path, FILM, limits=Limits(frames=5))
    with pytest.raises(TooManyPixels):
        made(body, tmp_path, FILM, limits=Limits(pixels=6 * 120 * 80 - 1))


def test_stills_are_made_of_an_animation_broken_after_its_first_frame(tmp_path: Path) -> None:
    body = bytearray(animation([photo((120, 80)), *[noise((120, 80), seed=n) for n in range(3)]], "PNG", duration=80))
    body[-2000:-1900] = bytes(100)
    rendered = made(bytes(body), tmp_path, THUMB, FILM)
    assert [variant.name for variant in rendered.variants] == ["thumb"]


def test_stills_are_made_on_request_and_in_formats_without_animation(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (120, 80), "white"), *strip_of()]
    body = animation(pictures, "GIF", duration=80)
    first, avif = Recipe("first", 640, animation=Motion.FIRST), Recipe("avif", 640, format=VariantFormat.AVIF)
    rendered = made(body, tmp_path, first, avif, FILM, Recipe("best", 200, format=VariantFormat.BEST))
    assert [(one.name, one.format, one.frames) for one in rendered.variants] == [
        ("first", "webp", 1),
        ("film", "webp", 7),
    ]
    assert difference(shown(tmp_path, rendered).convert("RGBA"), pictures[0].convert("RGBA")) < 2
    alone = made(body, tmp_path, Recipe("avif", 640, format=VariantFormat.AVIF, animation=Motion.FIRST))
    assert [(one.format, one.frames) for one in alone.variants] == [("avif", 1)]


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_a_thumb_shows_a_detailed_frame_and_the_colour_is_that_of_the_first(form: str, tmp_path: Path) -> None:
    scene = strip_of(1)[0]
    pictures = [Image.blend(Image.new("RGB", scene.size, "navy"), scene, step / 10) for step in range(11)]
    body = animation(pictures, form, duration=80, **({"lossless": True} if form == "WEBP" else {}))
    rendered = made(body, tmp_path, THUMB, FILM)
    assert difference(shown(tmp_path, rendered), pictures[9]) < 25 < difference(shown(tmp_path, rendered), pictures[0])
    assert rendered.color == "#000080"


def test_a_detailed_first_frame_is_the_thumb(tmp_path: Path) -> None:
    pictures = [photo((120, 80)), noise((120, 80)), Image.new("RGB", (120, 80), "red")]
    rendered = made(animation(pictures, "PNG", duration=80), tmp_path, THUMB)
    assert difference(shown(tmp_path, rendered), pictures[0]) < 5


@pytest.mark.parametrize(("bars", "thumb"), [([8, 12, 10], 0), ([8, 12, 32], 2)])
def test_another_frame_is_the_thumb_only_if_it_is_clearly_more_detailed(
    bars: list[int], thumb: int, tmp_path: Path
) -> None:
    pictures = []
    for count in bars:
        grey = Image.new("L", (64, 64))
        grey.putdata([at % 64 * count // 64 * 255 // (count - 1) for at in range(64 * 64)])
        pictures.append(grey)
    rendered = made(animation(pictures, "PNG", duration=80), tmp_path, THUMB)
    nearest = min(pictures, key=lambda picture: difference(shown(tmp_path, rendered), picture))
    assert nearest is pictures[thumb]


def test_the_default_image_of_an_apng_is_its_thumb_and_not_a_frame(tmp_path: Path) -> None:
    aside = Image.new("RGB", (120, 80), "red")
    body = animation([aside, *strip_of()], "PNG", duration=80, default_image=True)
    rendered = made(body, tmp_path, THUMB, FILM)
    assert near(shown(tmp_path, rendered).getpixel((60, 40)), RED)
    found = film(tmp_path, rendered)
    assert len(found) == 6
    assert difference(found[0].image, strip_of()[0]) < 3


def test_a_webp_of_the_same_size_is_used_itself_without_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a private word"
    body = animation(strip_of(), "WEBP", duration=TIMES, quality=30, loop=4, exif=exif)
    assert b"a private word" in body
    rendered = made(body, tmp_path, FILM)
    data = (tmp_path / rendered.variants[0].path).read_bytes()
    assert b"a private word" not in data
    assert len(data) < len(body)
    assert [shot.image.tobytes() for shot in shots(data)] == [shot.image.tobytes() for shot in shots(body)]
    assert [shot.end for shot in shots(data)] == [shot.end for shot in shots(body)]
    assert shown(tmp_path, rendered).info["loop"] == 4


def test_a_page_gets_the_animation_unless_the_site_wants_stills(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    body = animation(strip_of(), "GIF", duration=80, loop=0)
    origin.answers.set(HELD, Answer(body=body, media_type="image/gif"))
    site = make_site({"a.md": article((HELD, 120, 80))})

    def export() -> tuple[dict[str, Any], list[str]]:
        assert run("sync", site).code == 0
        run("export", "jekyll", site)
        data = json.loads((site / "_data/imgcache.json").read_text())["images"][HELD]
        view = ManifestView(ManifestLines.read(site / "cache/manifest.json"))
        candidates = asyncio.run(view.candidates(HELD))
        asked = [("image/webp,*/*", None), ("image/gif,image/jpeg", None), ("image/jpeg", None), ("*/*", "jpeg")]
        chosen = [
            choose(candidates, width=None, format=form, accept=accept.parse_accept(field)) for field, form in asked
        ]
        return data, [one.path.rsplit("/", 1)[-1] for one in chosen if one is not None]

    data, chosen = export()
    entry = json.loads((site / "cache/manifest.json").read_text())["images"][HELD]
    assert entry["frames"] == 6
    assert [(one["name"], one.get("frames")) for one in entry["variants"]] == [("thumb", None), ("w320", 6)]
    assert (data["fallback"], "color" in data) == ([["original.gif", 120]], False)
    assert data["sources"] == [{"type": "image/webp", "files": [["w320.webp", 120]]}]
    assert chosen == ["w320.webp", "original.gif", "thumb.jpg", "thumb.jpg"]

    (site / "imgcache.yml").write_text("animation: first\n")
    data, (best, *others) = export()
    assert data["fallback"] == [["thumb.jpg", 120]]
    assert (best.startswith("w320."), others) == (True, ["thumb.jpg"] * 3)


MOVING = {  # of the real cases: whether there is a film
    "apng__pillow__iss634.apng": True,
    "apng__pillow__mode_16bit.png": True,
    "apng__imaging__animated.apng": True,
    "apng__wuffs__apng-skip-idat.png": True,
    "gif__libvips__cogs.gif": True,
    "gif__libvips__invalid_multiframe.gif": False,
    "webp__sharp__rotating-squares.webp": True,
    "avif__libavif__alpha_video.avif": False,  # 48 frames in 11 kB: no WebP is as small
}


@pytest.mark.parametrize("name", MOVING)
def test_real_animations(name: str, shared: Path, tmp_path: Path) -> None:
    body = (shared / "images/cases" / name).read_bytes()
    rendered = made(body, tmp_path, THUMB, Recipe("film", 640, effort=1))
    assert [one.name for one in rendered.variants] == (["thumb", "film"] if MOVING[name] else ["thumb"])
    if not MOVING[name]:
        return
    wanted = [(frame.image.convert("RGBA"), frame.milliseconds) for frame in frames(open_image(body, LIMITS))]
    found, start = film(tmp_path, rendered), 0
    for image, milliseconds in wanted:
        assert difference(at(found, start), image) < 4
        start += milliseconds
    assert found[-1].end == start
