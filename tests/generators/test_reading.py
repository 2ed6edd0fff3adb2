"""What a browser shows of each generator's site after `imgcache rewrite`, with every other host cut off."""

from __future__ import annotations

import msgspec
import pytest

from tests.generators.conftest import Imgcache, Rewritten
from tests.generators.pictures import NEVER_HELD, PICTURES
from tests.generators.reading import WIDTHS, Look, Reader
from tests.generators.sites import SITE
from tests.support.built import snapshot


def moved(before: Look, after: Look) -> list[object]:
    """The elements that are not where they were, or not of the size that they had."""
    return [
        (what, was, now)
        for (what, was), (_, now) in zip(before.boxes, after.boxes, strict=True)
        if any(abs(one - other) > 1 for one, other in zip(was, now, strict=True))
    ]


def test_rewrite_leaves_what_no_cache_holds_and_has_nothing_to_do_a_second_time(
    made: Rewritten, command: Imgcache
) -> None:
    assert {problem["url"] for problem in made.report["problems"]} == NEVER_HELD
    assert made.report["left"] == sum(len(problem["references"]) for problem in made.report["problems"])
    after = snapshot(made.built)
    again = msgspec.json.decode(command("rewrite", made.built, made.site, "--offline", "--json").stdout)
    assert (again["changed"], again["rewritten"], again["left"]) == (0, 0, made.report["left"])
    assert snapshot(made.built) == after
    assert command("rewrite", made.built, made.site, "--check").returncode == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_looks_as_before_and_asks_no_other_host(made: Rewritten, reader: Reader, width: int) -> None:
    for path in made.generator.pages:
        before = reader.look(made.before, path, width, answered=PICTURES.keys())
        assert before.foreign, "the measure sees no request"
        assert before.shift > 0.01, "the measure does not see the page move"
        after = reader.look(made.built, path, width, answered=NEVER_HELD)
        assert not after.foreign - NEVER_HELD
        assert not after.missing
        assert [image for image in after.images if not image[2]] == []
        assert [alt for alt, _, _ in after.images] == [alt for alt, _, _ in before.images]
        assert {
            url for _, url, _ in after.images if not url.startswith((f"{SITE}assets/imgcache/", "data:"))
        } <= NEVER_HELD
        assert [what for what, _ in after.boxes] == [what for what, _ in before.boxes]
        assert moved(before, after) == []
        assert after.shift < 0.01


@pytest.mark.parametrize("name", ["vitepress"])
def test_a_link_loads_the_rewritten_page_where_scripts_would_draw_another(made: Rewritten, reader: Reader) -> None:
    """With the theme of docs/publish/vitepress.md; VitePress' own would load the images from elsewhere."""
    _, article = made.generator.pages
    leads_to, foreign = reader.follow(made.before, article, ".VPNavBarTitle a", answered=PICTURES.keys())
    assert leads_to == SITE
    assert foreign, "the measure sees no request"
    assert reader.follow(made.built, article, ".VPNavBarTitle a", answered=()) == (SITE, frozenset())
