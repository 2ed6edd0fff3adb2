"""Focal points: crops that articles give, from the reader to the rendered file."""

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
from PIL import Image

from examples.origin import Answer, Origin
from imgcache.cache import ArticleStat, Catalogue, ReadArticle, ReferenceRow
from imgcache.core import Fit, Focus, Position, Recipe, VariantFormat
from imgcache.policy import SyncPolicy
from imgcache.processor import RenderPool
from imgcache.scanner import frontmatter
from tests.conftest import Command, MakeSite

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


def test_a_changed_focal_point_renders_the_crop_again_without_fetching(
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


def test_without_a_focal_point_the_position_applies_again(run: Command, origin: Origin, make_site: MakeSite) -> None:
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


def test_without_a_cropping_variant_a_focal_point_changes_nothing(
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


def test_the_focal_point_of_the_newest_article_is_used(run: Command, origin: Origin, make_site: MakeSite) -> None:
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
def test_equal_bytes_at_two_urls_have_one_crop(
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


def test_the_crop_of_a_removed_url_is_removed(run: Command, origin: Origin, make_site: MakeSite) -> None:
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


def test_an_invalid_focal_point_is_reported_with_its_place_and_the_image_is_cached(
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
    problems = [(one["code"], one["severity"], one["url"]) for one in report["problems"]]
    assert problems == [("focus", "warning", A)] * len(WRONG)
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
def test_a_focal_point_may_have_any_yaml_form(lines: str, point: tuple[float, float]) -> None:
    data = f"---\nimages:\n  - url: /a.png\n    {lines}\n---\n".encode()
    (reference,) = frontmatter.parse(data, "a.md").references
    assert reference.focus is not None
    assert reference.focus.point == point


def test_an_invalid_point_has_a_place_and_an_empty_one_is_none() -> None:
    def read(text: str) -> Focus | None:
        data = f"---\nimages:\n  - url: /a.png\n    focus: {text}\n---\n".encode()
        (reference,) = frontmatter.parse(data, "a.md").references
        return reference.focus

    assert read("wrong") == Focus(None, 4, 12)
    assert read("") is read("null") is None


def square(position: Position) -> Recipe:
    return Recipe("s100", 100, 100, Fit.COVER, VariantFormat.PNG, position=position)


def test_only_cropping_recipes_get_a_focal_point() -> None:
    inside, high, cover = (
        Recipe("a", 40, 40),
        Recipe("b", None, 40, Fit.COVER),
        Recipe("s100", 100, 100, Fit.COVER, VariantFormat.PNG, position=Position.ENTROPY),
    )
    policy = SyncPolicy(tuple(one.fingerprint for one in (inside, high, cover)), variants=(inside, high, cover))
    focused = policy.for_focus((0.3, 0.6))
    assert focused.recipes[:2] == policy.recipes[:2]
    assert focused.recipes[2] not in {*policy.recipes, policy.for_focus((0.3, 0.7)).recipes[2]}
    assert policy.for_focus(None) is policy
    other = SyncPolicy(variants=(inside, high, square(Position.ATTENTION)))
    assert other.for_focus((0.3, 0.6)).recipes == focused.recipes, (
        "a point goes before the position: another one is no change"
    )


def test_a_focal_point_is_removed_or_changed_with_its_article(tmp_path: Path) -> None:
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
