"""`imgcache export`: which files of an image a page is offered."""

from __future__ import annotations

import io
import json
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from examples.origin import Answer, Origin
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.publisher.export import eleventy, hugo, jekyll
from imgcache.publisher.picture_data import held_images
from tests.conftest import Command, MakeSite, article, picture
from tests.support.exported import FOLDER, A, B, data, synced_site
from tests.support.site_files import manifest


def test_each_image_offers_its_variants_and_an_original_where_no_variant_is_as_wide(
    run: Command, tmp_path: Path
) -> None:
    site = synced_site(tmp_path / "site")
    assert run("export", "jekyll", site).code == 0
    wide, small = data(site)["images"][A], data(site)["images"][B]
    digest = manifest(site)[A]["digest"]
    assert wide == {
        "at": f"{digest[:2]}/{digest}",
        "width": 1600,
        "height": 900,
        "fallback": [["thumb.jpg", 320], ["original.jpg", 1600]],
        "sources": [{"type": "image/webp", "files": [["w320.webp", 320], ["w640.webp", 640], ["w1280.webp", 1280]]}],
        "color": manifest(site)[A]["color"],
        "placeholder": manifest(site)[A]["placeholder"],
    }
    assert [file[0] for file in small["fallback"]] == ["thumb.jpg"]


def test_avif_goes_before_webp_and_a_crop_is_never_offered(run: Command, origin: Origin, make_site: MakeSite) -> None:
    variants = (
        "[{name: m, width: 100, format: auto}, {name: n, width: 100, format: avif}, {name: o, width: 100, format: webp}"
    )
    crop = ", {name: square, width: 64, height: 64, fit: cover, format: webp}]"
    origin.answers.set(A, picture(400, 200))
    site = make_site({"a.md": article((A, 400, 200)), "imgcache.yml": f"variants: {variants}{crop}\n"})
    assert run("sync", site).code == 0
    run("export", "eleventy", site)
    offered = data(site)["images"][A]
    assert [(source["type"], source["files"]) for source in offered["sources"]] == [
        ("image/avif", [["n.avif", 100]]),
        ("image/webp", [["o.webp", 100]]),
    ]


def test_where_the_best_format_differs_by_width_no_browser_is_left_with_a_small_file() -> None:
    made = {"a": ("avif", 320), "b": ("webp", 640), "c": ("png", 1280), "d": ("avif", 100), "e": ("jpeg", 200)}
    variants = tuple(
        ManifestVariant(name, width, width, form, 9, f"{FOLDER}/{name}.{form}") for name, (form, width) in made.items()
    )
    placeholder = "data:image/webp;base64,AAAA"
    entry = ManifestEntry("", "image/png", 2000, 2000, 9, "#123456", placeholder, f"{FOLDER}/original.png", variants)
    held = held_images({A: entry}, ())[A]
    assert [(source.type, [file.width for file in source.files]) for source in held.sources] == [
        ("image/avif", [100, 320, 640, 1280]),
        ("image/webp", [640, 1280]),
    ]
    assert [file.width for file in held.fallback] == [200, 1280]


def test_nothing_is_painted_behind_a_picture_with_transparency(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (60, 40), (200, 30, 30, 90)).save(out, "PNG")
    origin.answers.set(B, Answer(body=out.getvalue(), media_type="image/png"))
    site = make_site({"a.md": article((B, 60, 40))})
    assert run("sync", site).code == 0
    run("export", "jekyll", site)
    assert "color" not in data(site)["images"][B]
    assert "placeholder" not in data(site)["images"][B]


def test_an_original_that_browsers_do_not_show_is_never_offered(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    out = io.BytesIO()
    Image.new("RGB", (900, 600), "teal").save(out, "TIFF")
    origin.answers.set(A, Answer(body=out.getvalue(), media_type="image/tiff"))
    site = make_site({"a.md": article((A, 900, 600))})
    assert run("sync", site).code == 0
    run("export", "jekyll", site)
    assert data(site)["images"][A]["fallback"] == [["thumb.jpg", 320]]
    (site / "imgcache.yml").write_text("variants: [{name: w, width: 300, format: webp}]\n")
    assert run("sync", site).code == 0
    run("export", "jekyll", site)
    offered = data(site)["images"][A]
    assert (offered["fallback"], offered.get("sources")) == ([["w.webp", 300]], None)


@st.composite
def entries(draw: st.DrawFn) -> ManifestEntry:
    """Images as manifest.json may have them, with variants of the whole picture and crops."""
    width, height = draw(st.integers(1, 9000)), draw(st.integers(1, 9000))
    variants = []
    for number in range(draw(st.integers(0, 6))):
        wide = draw(st.integers(1, width))
        whole = max(1, round(wide * height / width))
        high = draw(st.sampled_from([whole, draw(st.integers(1, height))]))
        kind = draw(st.sampled_from(["jpeg", "png", "webp", "avif"]))
        variants.append(
            ManifestVariant(f"v{number}", wide, high, kind, draw(st.integers(1, 9)), f"{FOLDER}/v{number}.x")
        )
    kind = draw(st.sampled_from(["image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/svg+xml"]))
    placeholder = "data:image/webp;base64,AAAA"
    return ManifestEntry("", kind, width, height, 9, "#123456", placeholder, f"{FOLDER}/original.x", tuple(variants))


@given(entries())
def test_a_srcset_has_one_picture_in_growing_widths_and_only_what_browsers_show(entry: ManifestEntry) -> None:
    held = held_images({A: entry}, ()).get(A)
    safe = entry.media_type in {"image/jpeg", "image/png", "image/webp"}
    sizes = {"original.x": (entry.width, entry.height)} | {
        variant.path.rsplit("/", 1)[-1]: (variant.width, variant.height) for variant in entry.variants
    }
    if held is None:
        assert not safe
        return
    assert held.fallback
    for files in (held.fallback, *(source.files for source in held.sources)):
        widths = [file.width for file in files]
        assert widths == sorted(set(widths))
        for file in files:
            width, height = sizes[file.name]
            assert width == file.width
            exact_width, exact_height = height * entry.width / entry.height, width * entry.height / entry.width
            assert abs(height - exact_height) <= 1 or abs(width - exact_width) <= 1
    offered = {path.rsplit("/", 1)[-1] for path in held.paths}
    assert safe or "original.x" not in offered
    whole = [v for v in entry.variants if abs(v.height - v.width * entry.height / entry.width) <= 0.5]
    widest = max((variant.width for variant in whole), default=0)
    assert held.fallback[-1].width >= widest or not safe, "a browser without WebP gets a picture as large"


ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


ODD_URLS = st.builds("https://{}{}/{}".format, ODD, st.sampled_from(["", "a" * 1100]), ODD)


@given(st.lists(ODD_URLS, unique=True, max_size=4), entries())
def test_the_data_is_json_and_libyaml_reads_the_same_in_it(urls: list[str], entry: ManifestEntry) -> None:
    """Jekyll reads it with libyaml, the others as JSON."""
    held = held_images(dict.fromkeys(urls, entry), ())
    for generator in (jekyll, hugo, eleventy):
        text = next(iter(generator.files(held, "/assets").values()))
        read = json.loads(text)
        found = set(read["images"]) | {one["url"] for one in read.get("long", ())}
        assert found == set(held)
        if generator is jekyll:
            assert yaml.load(text, yaml.CSafeLoader) == read
