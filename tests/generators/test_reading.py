"""What a browser shows of each generator's site after `imgcache rewrite`, with every other host cut off."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from tests.generators.conftest import Imgcache, Rewritten
from tests.generators.pictures import NEVER_HELD, PICTURES
from tests.generators.reading import STILL, WIDTHS, Look, Reader
from tests.generators.sites import SITE
from tests.support.built import snapshot

_FORMATS = """\
site_url: https://site.example/news
variants:
  - {name: a320, width: 320, format: avif, effort: 0}
  - {name: a640, width: 640, format: avif, effort: 0}
  - {name: w320, width: 320, format: webp, effort: 0}
  - {name: w640, width: 640, format: webp, effort: 0}
"""


def moved(before: Look, after: Look) -> list[object]:
    """The elements that are not where they were, or not of the size that they had."""
    return [
        (what, was, now)
        for (what, was), (_, now) in zip(before.boxes, after.boxes, strict=True)
        if any(abs(one - other) > 1 for one, other in zip(was, now, strict=True))
    ]


def check(before: Look, after: Look) -> None:
    """The same page, all of it from the site itself but for what no cache holds, and nothing on it moves."""
    assert before.foreign, "the measure sees no request"
    assert before.shift > STILL, "the measure does not see the page move"
    assert not after.foreign - NEVER_HELD
    assert not after.missing
    assert [image for image in after.images if not image.width] == []
    assert [image.alt for image in after.images] == [image.alt for image in before.images]
    chosen = {image.chosen for image in after.images if not image.chosen.startswith("data:")}
    assert {url for url in chosen if not url.startswith(f"{SITE}assets/imgcache/")} <= NEVER_HELD
    # MkDocs' theme frames images in white.
    assert [image.colour for image in after.images] == [image.colour for image in before.images]
    assert [what for what, _ in after.boxes] == [what for what, _ in before.boxes]
    assert moved(before, after) == []
    assert after.shift < STILL


def test_rewrite_leaves_what_no_cache_holds_and_has_nothing_to_do_a_second_time(
    made: Rewritten, command: Imgcache
) -> None:
    problems = made.report["problems"]
    failed = [problem for problem in problems if problem["severity"] == "error"]
    assert {problem["url"] for problem in failed} == NEVER_HELD
    assert made.report["left"] == sum(len(problem["references"]) for problem in failed)
    others = {problem["code"] for problem in problems if problem not in failed}
    assert others == ({"script-images"} if made.generator.name == "vitepress" else set())
    after = snapshot(made.built)
    again = msgspec.json.decode(command("rewrite", made.built, made.site, "--offline", "--json").stdout)
    assert (again["changed"], again["rewritten"], again["left"]) == (0, 0, made.report["left"])
    assert snapshot(made.built) == after
    checked = command("rewrite", made.built, made.site, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_looks_as_before_and_asks_no_other_host(made: Rewritten, reader: Reader, width: int) -> None:
    for path in made.generator.pages:
        before = reader.look(made.before, path, width, answered=PICTURES.keys())
        check(before, reader.look(made.built, path, width, answered=NEVER_HELD))


@pytest.mark.parametrize("name", ["jekyll", "vitepress"])
def test_every_page_looks_as_before_in_several_formats(
    made: Rewritten, reader: Reader, command: Imgcache, tmp_path: Path
) -> None:
    """With `<picture>` around images, where style sheets allow it, and a script that takes the page over."""
    (tmp_path / "imgcache.yml").write_text(_FORMATS)
    built = shutil.copytree(made.before, tmp_path / "built")
    assert command("rewrite", built, tmp_path).returncode == 1
    path = made.generator.pages[1]
    for width in WIDTHS:
        before = reader.look(made.before, path, width, answered=PICTURES.keys())
        check(before, reader.look(built, path, width, answered=NEVER_HELD))


@pytest.mark.parametrize("name", ["vitepress"])
def test_a_link_loads_the_rewritten_page_where_scripts_would_draw_another(made: Rewritten, reader: Reader) -> None:
    """With the theme of docs/publish/vitepress.md; VitePress' own would load the images from elsewhere."""
    _, article = made.generator.pages
    leads_to, foreign = reader.follow(made.before, article, ".VPNavBarTitle a", answered=PICTURES.keys())
    assert leads_to == SITE
    assert foreign, "the measure sees no request"
    assert reader.follow(made.built, article, ".VPNavBarTitle a", answered=()) == (SITE, frozenset())
