"""What a crop keeps: found in the picture, or said by an article."""

from __future__ import annotations

import io
import json
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from examples.origin import Answer, Origin
from imgcache.cache import ArticleStat, Catalogue, ReadArticle, ReferenceRow
from imgcache.core import Focus, Recipe, Size
from imgcache.policy import SyncPolicy
from imgcache.processor import RenderPool
from imgcache.processor.crops import CENTER, Point, point
from imgcache.processor.geometry import target
from imgcache.scanner import frontmatter
from tests.conftest import Command, MakeSite
from tests.support.pictures import made, noise, photo, saved, shown

SKIN, PLAIN = (224, 172, 140), (90, 110, 120)
PLACES = {"start": 0.15, "middle": 0.5, "end": 0.85}


def square(position: str, side: int = 100) -> Recipe:
    return Recipe(f"s{side}", width=side, height=side, fit="cover", format="png", position=position)


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
    left, top, right, bottom = target(recipe, size, point(image, recipe)).crop
    return left / size.width, top / size.height, right / size.width, bottom / size.height


# -- found in the picture --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", ["entropy", "attention"])
@pytest.mark.parametrize("size", [(1200, 400), (400, 1200), (90, 30), (3000, 200)])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("across", [0.2, 0.8])
def test_the_one_subject_of_a_picture_is_kept_whole(
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
def test_black_and_white_ink_on_nothing_is_a_subject_too(mode: str, position: str) -> None:
    for ink in (0, 255):
        image = Image.new("LA", (900, 300), (128, 255) if mode != "RGBa" else (0, 0))
        for x in range(640, 760, 8):
            image.paste((ink, 255), (x, 60, x + 4, 240))
        picture = image.convert("L") if mode == "L" else image.convert("RGBA").convert(mode)
        left, _, right, _ = seen(picture, square(position))
        assert left <= 640 / 900 + 1 / 128
        assert right >= 760 / 900 - 1 / 128


def test_a_field_in_the_colour_of_skin_does_not_hide_who_runs_over_it() -> None:
    field = Image.new("RGB", (1200, 400), SKIN)
    field.paste((250, 250, 250), (900, 150, 1000, 300))
    left, _, right, _ = seen(field, square("attention"))
    assert left <= 900 / 1200 < 1000 / 1200 <= right


@pytest.mark.parametrize("position", ["entropy", "attention"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBa"])
def test_where_nothing_stands_out_the_middle_is_kept(position: str, mode: str) -> None:
    assert point(Image.new(mode, (801, 200)), square(position)) == pytest.approx(CENTER, abs=1 / 128)
    assert point(Image.new(mode, (200, 200)), square(position)) == CENTER
    assert point(Image.new(mode, (1, 1)), square(position)) == CENTER


def test_top_keeps_the_top_and_the_middle_of_what_is_wide() -> None:
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
def test_the_point_hardly_depends_on_the_scale_at_hand(position: str) -> None:
    image = disc((1600, 500), (0.3, 0.4), photo((1600, 500)))
    points = {
        point(image.resize((width, round(width / 3.2)), Image.Resampling.LANCZOS), square(position))
        for width in (1600, 1000, 500, 330)
    }
    assert max(p.x for p in points) - min(p.x for p in points) <= 1 / 64
    assert point(image, square(position)) == point(image.copy(), square(position))


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
def test_a_crop_is_inside_exact_never_enlarged_and_has_the_focal_point_in_it(
    width: int, height: int, wide: int, high: int, x: float, y: float
) -> None:
    recipe = Recipe("c", width=wide, height=high, fit="cover", format="png", focus=(x, y))
    out, (left, top, right, bottom), full = target(recipe, Size(width, height), Point(x, y))
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
    assert full == target(recipe, Size(width, height)).full


@given(sides, sides, st.integers(1, 40), st.integers(1, 40), st.integers(2, 100), fractions, fractions)
def test_every_width_of_a_shape_is_cut_from_the_same_place(
    width: int, height: int, wide: int, high: int, times: int, x: float, y: float
) -> None:
    small, large = (Recipe("c", wide * n, high * n, "cover", "png", focus=(x, y)) for n in (1, times))
    size, at = Size(width, height), Point(x, y)
    assert target(small, size, at).crop == target(large, size, at).crop


# -- said by an article ----------------------------------------------------------------------------------------------

A, B = "https://pictures.example/a.png", "https://others.example/b.png"
CONFIG = (
    "variants:\n"
    "  - {name: square, width: 40, height: 40, fit: cover, format: png, position: attention}\n"
    "  - {name: w60, width: 60, format: png}\n"
)
STRIPES = ["red", "lime", "blue"]


def stripes() -> Answer:
    image = Image.new("RGB", (360, 120))
    for number, colour in enumerate(STRIPES):
        image.paste(colour, (number * 120, 0, number * 120 + 120, 120))
    out = io.BytesIO()
    image.save(out, "PNG")
    return Answer(body=out.getvalue(), media_type="image/png")


def entry(url: str = A, focus: str | None = None) -> str:
    line = f"    focus: {focus}\n" if focus is not None else ""
    return f"---\nimages:\n  - url: {url}\n    width: 360\n    height: 120\n{line}---\ntext\n"


def variant(site: Path, name: str, url: str = A) -> dict[str, Any]:
    images = json.loads((site / "cache/manifest.json").read_text())["images"]
    return next(one for one in images[url]["variants"] if one["name"] == name)


def colour(site: Path, url: str = A) -> str:
    with Image.open(site / "cache" / variant(site, "square", url)["path"]) as image:
        pixel = image.convert("RGB").getpixel((20, 20))
    return next(name for name in STRIPES if Image.new("RGB", (1, 1), name).getpixel((0, 0)) == pixel)


def state(site: Path) -> dict[str, tuple[bytes, int]]:
    """Every article, manifest.json and file of assets/, with the time of its last change."""
    files = [*site.glob("*.md"), site / "cache/manifest.json", *(site / "cache/assets").rglob("*.*")]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns + 1_000_000_000))


def render_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("something was rendered")

    monkeypatch.setattr(RenderPool, "render", refuse)


def test_an_article_says_where_the_crop_is_and_a_change_renders_it_again_without_fetching(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers.set(A, stripes())
    site = make_site({"a.md": entry(focus="[0.1, 0.5]"), "imgcache.yml": CONFIG})
    ended = run("sync", site, "--json")
    assert (ended.code, ended.json()["fetched"], colour(site)) == (0, 1, "red")
    assert (site / "a.md").read_text() == entry(focus="[0.1, 0.5]").replace("120\n", "120\n    isCached: true\n")
    whole, first = variant(site, "w60"), variant(site, "square")
    kept = (site / "cache" / whole["path"]).stat().st_mtime_ns
    rewrite(site / "a.md", (site / "a.md").read_text().replace("0.1", "0.9"))
    for words in (["--dry-run"], []):
        report = run("sync", site, "--json", *words).json()
        assert (report["reused"], report["fetched"], report["revalidated"]) == (1, 0, 0)
    assert (colour(site), origin.requests[A]) == ("blue", 1)
    assert variant(site, "w60") == whole
    assert (site / "cache" / whole["path"]).stat().st_mtime_ns == kept
    assert variant(site, "square")["path"] != first["path"], "what was published under a name stays what it was"
    before = state(site)
    render_nothing(monkeypatch)
    for words in (["--offline"], []):
        ended = run("sync", site, "--json", *words)
        assert (ended.code, ended.json()["reused"], state(site)) == (0, 1, before)
    assert '"variant-missing"' not in run("audit", site, "--offline", "--json").out


def test_without_a_focal_point_the_position_is_back(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, stripes())
    config = CONFIG.replace("attention", "top")
    site = make_site({"a.md": entry(focus="[0.9, 0]"), "imgcache.yml": config})
    run("sync", site)
    assert colour(site) == "blue"
    rewrite(site / "a.md", entry())
    assert run("sync", site, "--offline").code == 0
    assert (colour(site), origin.requests[A]) == ("lime", 1)
    rewrite(site / "a.md", entry(focus="[0.1, 0]") + "\n")
    assert run("sync", site, "--offline").code == 0
    assert (colour(site), origin.requests[A]) == ("red", 1)


def test_where_no_variant_crops_a_focal_point_changes_nothing(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers.set(A, stripes())
    config = "variants: [{name: w60, width: 60}, {name: high, height: 40, fit: cover}]\n"
    site = make_site({"a.md": entry(focus="[0.1, 0.5]"), "b.md": entry(focus="[7]"), "imgcache.yml": config})
    report = run("sync", site, "--json").json()
    assert report["problems"] == [], "a theme may mean something else by `focus`"
    render_nothing(monkeypatch)
    rewrite(site / "a.md", entry(focus="[0.9, 0.5]"))
    assert run("sync", site).code == 0


def test_the_newest_article_that_gives_a_point_counts(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, stripes())
    articles = {
        "2024-01-01-old.md": entry(focus="[0.1, 0.5]"),
        "2025-01-01-new.md": entry(focus="[0.9, 0.5]"),
        "2026-01-01-silent.md": entry(),
        "2026-02-01-wrong.md": entry(focus="[left]"),
    }
    site = make_site(articles | {"imgcache.yml": CONFIG})
    run("sync", site)
    assert colour(site) == "blue"
    (site / "2025-01-01-new.md").unlink()
    run("sync", site, "--offline")
    assert colour(site) == "red"


@pytest.mark.parametrize(("late", "runs"), [(A, 1), (B, 2)], ids=["the older one late", "the newer one late"])
def test_equal_bytes_at_two_addresses_are_one_picture_with_one_crop(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, late: str, runs: int
) -> None:
    for url in (A, B):
        origin.answers.set(url, replace(stripes(), delay=0.4 if url == late else 0.0))
    articles = {"2024-01-01-a.md": entry(A, "[0.1, 0.5]"), "2025-01-01-b.md": entry(B, "[0.9, 0.5]")}
    site = make_site(articles | {"imgcache.yml": CONFIG})
    for _ in range(runs):
        run("sync", site)
    assert (colour(site, A), colour(site, B)) == ("blue", "blue")
    before = state(site)
    render_nothing(monkeypatch)
    for _ in range(2):
        run("sync", site)
        assert state(site) == before
    assert (origin.requests[A], origin.requests[B]) == (1, 1)


def test_the_crop_of_an_address_that_is_gone_does_not_stay(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, stripes())
    origin.answers.set(B, replace(stripes(), delay=0.4))
    site = make_site(
        {"a.md": entry(A, "[0.1, 0.5]"), "b.md": entry(B), "imgcache.yml": CONFIG.replace("attention", "top")}
    )
    run("sync", site)
    assert colour(site, B) == "red"
    (site / "a.md").unlink()
    run("sync", site, "--offline")
    assert colour(site, B) == "lime"


WRONG = ["[1.2, 0.5]", "[-0.1, 0.5]", "[30, 60]", "[0.5]", "[0.1, 0.2, 0.3]", "center", "{x: 0.1, y: 0.2}", "[a, b]",
         "0.5", "[[0.1], 0.2]", "[.nan, 0]", "[1e-1, 0]", "['', 0.5]", "[~, 0.5]", "[0.1, x, 0.2]"]  # fmt: skip


def test_what_is_no_focal_point_is_told_with_its_place_and_the_image_is_cached(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, stripes())
    articles = {f"{number:02}.md": entry(focus=text) for number, text in enumerate(WRONG)}
    own = {"own.md": entry("/own.png", "wrong"), "own.png": stripes().body or b""}
    site = make_site(articles | own | {"imgcache.yml": CONFIG.replace("attention", "center")})
    ended = run("sync", site, "--json")
    report = ended.json()
    assert (ended.code, report["cached"], colour(site)) == (0, 1, "lime")
    assert report["flags_set"] == len(WRONG)
    told = [(one["code"], one["severity"], one["url"]) for one in report["problems"]]
    assert told == [("focus", "warning", A)] * len(WRONG)
    places = [place for one in report["problems"] for place in one["references"]]
    assert places == [{"article": name, "line": 7, "column": 12, "field": "images"} for name in articles]
    assert "focus: [0.3, 0.6]" in report["problems"][0]["message"]
    text = (site / "00.md").read_text().splitlines()
    assert text[5:7] == ["    isCached: true", "    focus: [1.2, 0.5]"], "the place is that after the flag was written"


@pytest.mark.parametrize(
    ("lines", "point"),
    [
        ("focus: [0.3, 0.6]", (0.3, 0.6)),
        ("focus: [0, 1]", (0.0, 1.0)),
        ("focus: [.5, 1.0]", (0.5, 1.0)),
        ("focus: ['0.25', \"0.75\"]", (0.25, 0.75)),
        ("focus:\n      - 0.3\n      - 0.6", (0.3, 0.6)),
        ("focus:\n    - 0.3\n    - 0.6", (0.3, 0.6)),
        ("focus: &here [0.3, 0.6]", (0.3, 0.6)),
        ("<<: {focus: [0.1, 0.2]}", (0.1, 0.2)),
        ("<<: {focus: [0.1, 0.2]}\n    focus: [0.3, 0.6]", (0.3, 0.6)),
    ],
)
def test_a_focal_point_is_read_in_every_form_of_yaml(lines: str, point: tuple[float, float]) -> None:
    data = f"---\nimages:\n  - url: /a.png\n    {lines}\n---\n".encode()
    (reference,) = frontmatter.parse(data, "a.md").references
    assert reference.focus is not None
    assert reference.focus.point == point


def test_what_is_no_point_has_a_place_and_what_is_empty_is_none() -> None:
    def read(text: str) -> Focus | None:
        data = f"---\nimages:\n  - url: /a.png\n    focus: {text}\n---\n".encode()
        (reference,) = frontmatter.parse(data, "a.md").references
        return reference.focus

    assert read("wrong") == Focus(None, 4, 12)
    assert read("") is read("null") is None


def test_only_recipes_that_crop_are_aimed() -> None:
    inside, high, cover = Recipe("a", 40, 40), Recipe("b", None, 40, "cover"), square("entropy")
    wish = SyncPolicy(tuple(one.fingerprint for one in (inside, high, cover)), variants=(inside, high, cover))
    aimed = wish.aimed((0.3, 0.6))
    assert aimed.recipes[:2] == wish.recipes[:2]
    assert aimed.recipes[2] not in {*wish.recipes, wish.aimed((0.3, 0.7)).recipes[2]}
    assert wish.aimed(None) is wish
    other = SyncPolicy(variants=(inside, high, square("attention")))
    assert other.aimed((0.3, 0.6)).recipes == aimed.recipes, (
        "a point goes before the position: another one is no change"
    )


def test_a_point_goes_with_its_article_and_its_change(tmp_path: Path) -> None:
    def read(path: str, at: tuple[float, float] | None) -> ReadArticle:
        given = None if at is None else Focus(at, 7, 12)
        mention = ReferenceRow(A, "", "remote", "pictures.example", 5, 10, "images", None, None, None, True, given)
        return ReadArticle(ArticleStat(path, 1, 1), "", "2025-01-01", [mention])

    with closing(Catalogue(tmp_path / "catalogue.db", "")) as catalogue:
        catalogue.articles.put([read("a.md", (0.1, 0.2))])
        image = catalogue.images.number(A)
        assert image is not None
        assert catalogue.focal_points.of_image(image) == (0.1, 0.2)
        catalogue.articles.put([read("a.md", (0.3, 0.4))])
        assert catalogue.focal_points.of_image(image) == (0.3, 0.4)
        catalogue.articles.drop(["a.md"])
        catalogue.articles.put([read("b.md", None)])  # gets the number that the other one had
        assert catalogue.focal_points.of_image(image) is None
