"""Which part of an image a crop keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from imgcache.core import Fit, Position, Recipe, Size, VariantFormat
from imgcache.processor.crops import CENTER, Point, crop_center
from imgcache.processor.geometry import plan_target
from tests.support.pictures import made, noise, photo, saved, shown

SKIN, PLAIN = (224, 172, 140), (90, 110, 120)
PLACES = {"start": 0.15, "middle": 0.5, "end": 0.85}


def square(position: str, side: int = 100) -> Recipe:
    return Recipe(
        f"s{side}", width=side, height=side, fit=Fit.COVER, format=VariantFormat.PNG, position=Position(position)
    )


def disc(size: tuple[int, int], at: tuple[float, float], fill: Image.Image | tuple[int, int, int]) -> Image.Image:
    """A disc on plain ground; `at` is its middle, as fractions."""
    image, mask = Image.new("RGB", size, PLAIN), Image.new("L", size)
    radius, x, y = min(size) / 8, at[0] * size[0], at[1] * size[1]
    ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    image.paste(fill, mask=mask)
    return image


def seen(image: Image.Image, recipe: Recipe) -> tuple[float, float, float, float]:
    """The crop as fractions of the picture: left, top, right, bottom."""
    size = Size(*image.size)
    left, top, right, bottom = plan_target(recipe, size, crop_center(image, recipe)).crop
    return left / size.width, top / size.height, right / size.width, bottom / size.height


@pytest.mark.parametrize("position", ["entropy", "attention"])
@pytest.mark.parametrize("size", [(1200, 400), (400, 1200), (90, 30), (3000, 200)])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("across", [0.2, 0.8])
def test_the_only_subject_of_an_image_is_kept_completely(
    position: str, size: tuple[int, int], place: str, across: float
) -> None:
    is_wide = size[0] > size[1]
    at = (PLACES[place], across) if is_wide else (across, PLACES[place])
    fill = noise(size) if position == "entropy" else SKIN
    left, top, right, bottom = seen(disc(size, at, fill), square(position, 30))
    reach = min(size) / 8 / max(size)
    start, end = (left, right) if is_wide else (top, bottom)
    assert start <= PLACES[place] - reach + 0.01
    assert end >= PLACES[place] + reach - 0.01


@pytest.mark.parametrize("mode", ["L", "RGBa", "RGB"])
@pytest.mark.parametrize("position", ["entropy", "attention"])
def test_black_and_white_on_transparency_is_a_subject(mode: str, position: str) -> None:
    for ink in (0, 255):
        image = Image.new("LA", (900, 300), (128, 255) if mode != "RGBa" else (0, 0))
        for x in range(640, 760, 8):
            image.paste((ink, 255), (x, 60, x + 4, 240))
        picture = image.convert("L") if mode == "L" else image.convert("RGBA").convert(mode)
        left, _, right, _ = seen(picture, square(position))
        assert left <= 640 / 900 + 1 / 128
        assert right >= 760 / 900 - 1 / 128


def test_a_background_in_the_colour_of_skin_does_not_hide_a_person() -> None:
    field = Image.new("RGB", (1200, 400), SKIN)
    field.paste((250, 250, 250), (900, 150, 1000, 300))
    left, _, right, _ = seen(field, square("attention"))
    assert left <= 900 / 1200 < 1000 / 1200 <= right


@pytest.mark.parametrize("position", ["entropy", "attention"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBa"])
def test_without_a_subject_the_middle_is_kept(position: str, mode: str) -> None:
    assert crop_center(Image.new(mode, (801, 200)), square(position)) == pytest.approx(CENTER, abs=1 / 128)
    assert crop_center(Image.new(mode, (200, 200)), square(position)) == CENTER
    assert crop_center(Image.new(mode, (1, 1)), square(position)) == CENTER


def test_top_keeps_the_top_and_the_middle_of_a_wide_image() -> None:
    assert seen(Image.new("RGB", (100, 400)), square("top")) == (0, 0, 1, 0.25)
    assert seen(Image.new("RGB", (400, 100)), square("top")) == (0.375, 0, 0.625, 1)


@pytest.mark.parametrize("position", ["entropy", "attention"])
def test_all_widths_of_one_shape_show_the_same_part(position: str, tmp_path: Path) -> None:
    image = disc((1500, 500), (0.85, 0.5), noise((1500, 500)) if position == "entropy" else SKIN)
    recipes = [square(position, side) for side in (400, 200, 100)]
    rendered = made(saved(image, "PNG"), tmp_path, *recipes, Recipe("w1500", width=1500))
    pictures = [shown(tmp_path, rendered, index).convert("RGB").reduce(side) for index, side in enumerate((8, 4, 2))]
    assert pictures[0].getextrema() != Image.new("RGB", (1, 1), PLAIN).getextrema(), "the disc is in the crop"
    for other in pictures[1:]:
        differences = [abs(a - b) for a, b in zip(pictures[0].tobytes(), other.tobytes(), strict=True)]
        assert sum(differences) / len(differences) < 2


@pytest.mark.parametrize("position", ["entropy", "attention"])
def test_the_crop_hardly_depends_on_the_scale_of_the_image(position: str) -> None:
    image = disc((1600, 500), (0.3, 0.4), photo((1600, 500)))
    points = {
        crop_center(image.resize((width, round(width / 3.2)), Image.Resampling.LANCZOS), square(position))
        for width in (1600, 1000, 500, 330)
    }
    assert max(p.x for p in points) - min(p.x for p in points) <= 1 / 64
    assert crop_center(image, square(position)) == crop_center(image.copy(), square(position))


# Where the bird, the panda, the bear and the dog of real photographs are, as fractions of the width.
SUBJECTS = {
    "bimg__northern_cardinal_bird.jpg": (0.66, 0.83),
    "learning-area__red-panda.jpg": (0.48, 0.77),
    "learning-area__teddy-bear.jpg": (0.56, 0.95),
    "ipx__husky-snow.jpg": (0.38, 0.57),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_attention_finds_the_subject_of_a_photograph(name: str, shared: Path) -> None:
    with Image.open(shared / "images/photos" / name) as image:
        image.draft("RGB", (500, 500))
        left, _, right, _ = seen(image.convert("RGB"), square("attention"))
    start, end = SUBJECTS[name]
    assert left <= start < end <= right


# -- geometry --------------------------------------------------------------------------------------------------------

sides = st.integers(1, 6000)
fractions = st.floats(0, 1)


@given(sides, sides, sides, sides, fractions, fractions)
def test_a_crop_has_the_exact_size_is_never_enlarged_and_contains_the_focal_point(
    width: int, height: int, wide: int, high: int, x: float, y: float
) -> None:
    recipe = Recipe("c", width=wide, height=high, fit=Fit.COVER, format=VariantFormat.PNG, focus=(x, y))
    out, (left, top, right, bottom), full = plan_target(recipe, Size(width, height), Point(x, y))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert right - left >= out.width
    assert bottom - top >= out.height
    assert right - left == width or bottom - top == height
    if width >= wide and height >= high:
        assert out == Size(wide, high)
    assert left - 1e-6 <= x * width <= right + 1e-6
    assert top - 1e-6 <= y * height <= bottom + 1e-6
    middle = ((left + right) / 2, (top + bottom) / 2)
    assert abs(middle[0] - x * width) <= 0.501 or left == 0 or right == width
    assert abs(middle[1] - y * height) <= 0.501 or top == 0 or bottom == height
    assert full == plan_target(recipe, Size(width, height)).full


@given(sides, sides, st.integers(1, 40), st.integers(1, 40), st.integers(2, 100), fractions, fractions)
def test_all_widths_of_one_shape_have_the_same_crop(
    width: int, height: int, wide: int, high: int, times: int, x: float, y: float
) -> None:
    small, large = (Recipe("c", wide * n, high * n, Fit.COVER, VariantFormat.PNG, focus=(x, y)) for n in (1, times))
    size, at = Size(width, height), Point(x, y)
    assert plan_target(small, size, at).crop == plan_target(large, size, at).crop
