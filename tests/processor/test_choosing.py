"""`quality: auto` and `format: best`: the target score in few trials, and no more bytes than needed."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from imgcache.core import Recipe, Rendered, VariantFormat
from imgcache.processor.colours import palette_colours
from imgcache.processor.encoder import encode_at
from imgcache.processor.quality_search import NEAR, TRIALS, QualityTarget, looks_drawn, next_quality
from imgcache.processor.similarity import ScoreReference
from tests.support.colour_samples import SRGB
from tests.support.pictures import made, noise, photo, saved, shown

# By the package ssimulacra2 0.3, at 640 wide: WebP 60, 80 and 95 (method 4), AVIF 50 and 65 (speed 10), JPEG 75.
SSIMULACRA2 = {
    "hugo__sunset.jpg": (60.5, 69.6, 84.0, 70.3, 77.1, 76.9),
    "kodak-lossless-true-co__12.png": (57.9, 70.4, 87.8, 62.7, 74.6, 74.8),
    "darknet__dog.jpg": (63.5, 74.8, 88.3, 61.3, 74.1, 74.1),
}
ENCODINGS = (("webp", 60, 4), ("webp", 80, 4), ("webp", 95, 4), ("avif", 50, 0), ("avif", 65, 0), ("jpeg", 75, 0))
PHOTOGRAPHS = ("darknet__dog.jpg", "hugo__sunset.jpg", "kodak-lossless-true-co__12.png")


def scaled(path: Path, width: int) -> Image.Image:
    with Image.open(path) as image:
        size = (width, round(image.height * width / image.width))
        image.draft("RGB", size)
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def textured(size: tuple[int, int] = (160, 120)) -> Image.Image:
    return Image.blend(photo(size), noise(size).filter(ImageFilter.GaussianBlur(2)), 0.4)


def drawing() -> Image.Image:
    image = Image.new("RGB", (240, 160), "white")
    draw = ImageDraw.Draw(image)
    for at in range(0, 240, 24):
        draw.rectangle((at, 20 + at // 3, at + 12, 140), "navy")
        draw.line((at, 0, 240 - at, 160), "red")
    return image


def dithered() -> Image.Image:
    """Four alternating colours: no pixel equals its neighbours."""
    image = Image.new("P", (240, 160))
    image.putpalette([20, 20, 20, 240, 240, 240, 200, 40, 40, 40, 40, 200])
    image.putdata([((x + y) % 2) * (1 + x // 40 % 3) for y in range(160) for x in range(240)])
    return image.convert("RGB")


def confetti(*, seen_through: bool = False) -> Image.Image:
    """Four colours at random, transparent or not."""
    random = Random(1)
    colours = [(255, 0, 0, 255), (0, 128, 255, 255), (255, 255, 255, 255), (0, 0, 0, 0 if seen_through else 255)]
    image = Image.new("RGBA", (90, 60))
    image.putdata([random.choice(colours) for _ in range(90 * 60)])
    return image if seen_through else image.convert("RGB")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def data_of(folder: Path, rendered: Rendered, index: int = 0) -> bytes:
    return (folder / rendered.variants[index].path).read_bytes()


@pytest.mark.parametrize("name", SSIMULACRA2)
def test_the_score_agrees_with_ssimulacra2(shared: Path, name: str) -> None:
    picture = scaled(shared / "images" / "photos" / name, 640)
    reference = ScoreReference(picture)
    for (form, quality, effort), expected in zip(ENCODINGS, SSIMULACRA2[name], strict=True):
        score = reference.score(opened(encode_at(picture, form, quality=quality, effort=effort)))
        assert abs(score - expected) < 3, (form, quality)
    assert reference.score(picture.copy()) == 100


@settings(max_examples=25)
@given(st.integers(8, 70), st.integers(8, 70), st.booleans())
def test_a_larger_difference_scores_less_at_any_size(width: int, height: int, transparent: bool) -> None:
    picture = textured((width, height))
    if transparent:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        picture = picture.convert("RGBa")
    reference = ScoreReference(picture)
    other = noise((width, height)).convert("RGBA" if transparent else "RGB")
    if transparent:
        other.putalpha(picture.convert("RGBA").getchannel("A"))
    scores = [reference.score(Image.blend(picture.convert(other.mode), other, part)) for part in (0, 0.04, 0.2, 0.7)]
    assert scores[0] == 100
    assert scores == sorted(set(scores), reverse=True)


@given(
    st.sampled_from(["webp", "avif", "jpeg"]), st.integers(1, 100), st.integers(1, 100), st.floats(1, 100),
    st.randoms(use_true_random=False), st.booleans(),
)  # fmt: skip
def test_a_search_is_short_and_stays_within_its_bounds(
    form: str, one: int, other: int, target: float, random: Random, sane: bool
) -> None:
    aim = QualityTarget(target, min(one, other), max(one, other), 4)
    curve = [random.uniform(-80, 100) for _ in range(100)]
    scores = sorted(curve) if sane else curve
    tried: dict[int, float] = {}
    while (quality := next_quality(form, tried, aim)) is not None:
        assert aim.low <= quality <= aim.high
        assert quality not in tried
        tried[quality] = scores[quality - 1]
    assert 1 <= len(tried) <= TRIALS
    enough = [quality for quality, score in tried.items() if score >= target]
    if len(tried) < TRIALS and enough:
        found = min(enough)
        assert found == aim.low or tried[found] < target + NEAR or tried[found - 1] < target
    elif len(tried) < TRIALS:
        assert aim.high in tried


@pytest.mark.parametrize(("form", "low", "high"), [("webp", 34, 100), ("avif", 42, 92), ("jpeg", 20, 97)])
@pytest.mark.parametrize("shift", [-12, -5, 0, 4, 9])
def test_harder_and_simpler_pictures_reach_the_target_within_a_point(
    form: str, low: int, high: int, shift: int
) -> None:
    curve = {"webp": (25, 0.63), "avif": (-20, 1.25), "jpeg": (25, 0.65)}[form]
    aim, tried = QualityTarget(75.0, low, high, 4), dict[int, float]()
    while (quality := next_quality(form, tried, aim)) is not None:
        tried[quality] = curve[0] + shift + curve[1] * quality
    found = min(score for score in tried.values() if score >= 75)
    assert found < 75 + 2 * curve[1]


def test_a_searched_quality_reaches_its_target_and_not_much_more(shared: Path, tmp_path: Path) -> None:
    for form in ("webp", "avif", "jpeg"):
        recipes = [
            Recipe(f"{form}{goal}", 320, format=VariantFormat(form), quality="auto", target=goal, effort=1)
            for goal in (60, 85)
        ]
        for name in ("darknet__dog.jpg", "hugo__sunset.jpg"):
            source = (shared / "images" / "photos" / name).read_bytes()
            rendered = made(source, tmp_path, *recipes, Recipe("reference", 320, format=VariantFormat.PNG))
            reference = ScoreReference(shown(tmp_path, rendered, 2))
            for index, goal in enumerate((60, 85)):
                score = reference.score(shown(tmp_path, rendered, index))
                assert goal <= score < goal + 3, (name, form, goal)


@pytest.mark.parametrize("form", ["webp", "avif", "jpeg", "auto"])
def test_an_unreachable_target_ends_at_the_bounds(tmp_path: Path, form: str) -> None:
    bounds: dict[str, Any] = {"quality": "auto", "min_quality": 31, "max_quality": 47, "format": form, "effort": 0}
    body = saved(textured(), "PNG")
    for target, quality in ((1, 31), (100, 47)):
        searched = made(body, tmp_path, Recipe("s", 100, target=target, **bounds))
        found = data_of(tmp_path, searched)
        fixed = made(body, tmp_path, Recipe("f", 100, format=VariantFormat(form), quality=quality, effort=0))
        assert found == data_of(tmp_path, fixed)


def test_png_is_lossless_at_any_quality(tmp_path: Path) -> None:
    recipes = [Recipe("a", 100, format=VariantFormat.PNG, quality="auto"), Recipe("b", 100, format=VariantFormat.PNG)]
    rendered = made(saved(textured(), "PNG"), tmp_path, *recipes)
    assert [one.name for one in rendered.variants] == ["a"]
    assert rendered.recipes == tuple(recipe.fingerprint for recipe in recipes)


def test_recipes_with_the_same_result_share_a_file(tmp_path: Path) -> None:
    searched = [Recipe(f"s{goal}", 100, quality="auto", target=goal) for goal in (50, 80)]
    fixed = [Recipe(f"f{goal}", 100, quality=70, target=goal) for goal in (50, 80)]
    rendered = made(saved(textured(), "PNG"), tmp_path, *searched, *fixed)
    assert [one.name for one in rendered.variants] == ["s50", "s80", "f50"]


def test_a_picture_too_small_to_be_scored_gets_the_highest_quality(tmp_path: Path) -> None:
    rendered = made(saved(noise((40, 7)), "PNG"), tmp_path, Recipe("a", 99, format=VariantFormat.JPEG, quality="auto"))
    assert data_of(tmp_path, rendered) == encode_at(noise((40, 7)), "jpeg", quality=95, effort=4)


@pytest.mark.parametrize("form", ["jpeg", "best"])
def test_the_middle_of_a_very_large_picture_is_tried_and_the_whole_encoded(tmp_path: Path, form: str) -> None:
    size, body = (1600, 1200), saved(textured((400, 300)).resize((1600, 1200)), "BMP")
    recipe = Recipe("a", 1600, format=VariantFormat(form), quality="auto", effort=0, min_quality=30, max_quality=33)
    rendered = made(body, tmp_path, recipe)
    assert shown(tmp_path, rendered).size == size
    if form == "jpeg":
        with Image.open(io.BytesIO(body)) as image:
            possible = [encode_at(image.copy(), "jpeg", quality=quality, effort=0) for quality in range(30, 34)]
        assert data_of(tmp_path, rendered) in possible


@pytest.mark.parametrize("quality", [80, "auto"])
def test_the_best_format_of_a_photograph_is_the_smallest_that_looks_as_good(
    shared: Path, tmp_path: Path, quality: int | str
) -> None:
    total, least = 0, 0
    for name in PHOTOGRAPHS:
        body = (shared / "images" / "photos" / name).read_bytes()
        best = Recipe("best", 320, format=VariantFormat.BEST, quality=quality, effort=2)
        plain = Recipe("webp", 320, format=VariantFormat.WEBP, quality=quality, effort=2)
        rendered = made(body, tmp_path, best, plain, Recipe("reference", 320, format=VariantFormat.PNG))
        reference = ScoreReference(shown(tmp_path, rendered, 2))
        wanted = 75 if quality == "auto" else reference.score(shown(tmp_path, rendered, 1))
        assert reference.score(shown(tmp_path, rendered, 0)) >= wanted
        chosen, webp, _ = rendered.variants
        assert chosen.path == f"best.{chosen.format.replace('jpeg', 'jpg')}"
        assert chosen.bytes <= webp.bytes
        total, least = total + webp.bytes, least + chosen.bytes
    assert least < 0.97 * total


@pytest.mark.parametrize("quality", [80, "auto"])
@pytest.mark.parametrize(
    "picture",
    [
        drawing(),
        dithered(),
        confetti(),
        confetti(seen_through=True),
        confetti().convert("L"),
    ],
    ids=["drawing", "dithered", "confetti", "see-through", "grey"],
)
def test_the_best_format_of_a_drawing_or_of_few_colours_is_lossless(
    picture: Image.Image, tmp_path: Path, quality: int | str
) -> None:
    recipe, body = Recipe("best", 240, format=VariantFormat.BEST, quality=quality), saved(picture, "TIFF")
    rendered = made(body, tmp_path, recipe)
    assert data_of(tmp_path, made(body, tmp_path, recipe)) == data_of(tmp_path, rendered)
    assert rendered.variants[0].format in {"webp", "png"}
    assert shown(tmp_path, rendered).convert(picture.mode).tobytes() == picture.tobytes()


def test_the_best_format_of_a_transparent_picture_keeps_transparency(tmp_path: Path) -> None:
    picture = textured()
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    for number, (opaque, effort) in enumerate([(picture, 0), (picture.convert("RGB"), 0)]):
        recipe = Recipe(
            f"b{number}", 150, format=VariantFormat.BEST, quality="auto", effort=effort, target=20, min_quality=1
        )
        rendered = made(saved(opaque, "PNG"), tmp_path, recipe)
        assert shown(tmp_path, rendered).has_transparency_data is (number == 0)
        assert rendered.variants[0].format != "jpeg"


@pytest.mark.parametrize(
    ("picture", "drawn"),
    [(drawing(), True), (textured(), False), (noise((9, 9)), False), (Image.new("L", (1, 9)), True),
     (Image.new("RGBA", (9, 9)).convert("RGBa"), True)],
)  # fmt: skip
def test_flat_areas_distinguish_a_drawing(picture: Image.Image, drawn: bool) -> None:
    assert looks_drawn(picture) is drawn


def test_a_grey_photograph_gets_no_palette() -> None:
    assert palette_colours(confetti()) == [(0, 0, 0, 255), (0, 128, 255, 255), (255, 0, 0, 255), (255, 255, 255, 255)]
    seen_through, grey = (
        palette_colours(confetti(seen_through=True).convert("RGBa")),
        palette_colours(confetti().convert("L")),
    )
    assert seen_through and seen_through[0] == (0, 0, 0, 0)
    assert grey and len(grey) == 4
    shadow = Image.new("RGBA", (256, 256))
    shadow.putalpha(Image.linear_gradient("L"))
    assert len(palette_colours(shadow) or ()) == 256
    assert (
        palette_colours(textured())
        is palette_colours(textured().convert("L"))
        is palette_colours(textured().convert("L").convert("RGB"))
        is None
    )


@given(
    st.lists(st.tuples(*[st.integers(0, 255)] * 3, st.sampled_from([0, 99, 255])), min_size=1, max_size=300),
    st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False),
    st.sampled_from(["L", "RGB", "RGBA"]),
)  # fmt: skip
def test_a_png_has_the_same_pixels_with_and_without_a_palette(
    colours: list[tuple[int, ...]], width: int, height: int, random: Random, mode: str
) -> None:
    picture = Image.new("RGBA", (width, height))
    picture.putdata([random.choice(colours) for _ in range(width * height)])
    picture = picture.convert(mode)
    data = encode_at(picture, "png", quality=80, effort=4)
    assert opened(data).convert("RGBA").tobytes() == picture.convert("RGBA").tobytes()
    assert len(data) <= len(saved(picture, "PNG", compress_level=6))


@pytest.mark.parametrize(
    ("picture", "share"), [(dithered(), 0.8), (confetti(), 0.7), (confetti(seen_through=True), 0.7)]
)  # fmt: skip
def test_a_png_of_few_colours_has_a_palette(picture: Image.Image, share: float) -> None:
    data = encode_at(picture, "png", quality=80, effort=4)
    assert opened(data).mode == "P"
    assert len(data) < share * len(saved(picture, "PNG"))
    profiled = picture.copy()
    profiled.info["icc_profile"] = SRGB
    assert opened(encode_at(profiled, "png", quality=80, effort=4)).info["icc_profile"] == SRGB


def test_a_png_of_a_photograph_has_its_own_samples() -> None:
    for picture in (textured(), textured().convert("L")):
        assert encode_at(picture, "png", quality=80, effort=4) == saved(picture, "PNG", compress_level=6)
