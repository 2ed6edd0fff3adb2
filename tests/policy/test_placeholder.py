"""The placeholder that a host sends for missing images is distinguished from one image at many URLs."""

from __future__ import annotations

import io
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from examples.origin import Answer, Origin
from imgcache.core import Declared, SharedImageRow, Size
from imgcache.policy import plan
from imgcache.policy import shared_placeholders as cards
from tests.conftest import Command, MakeSite, article, picture
from tests.support.site_files import articles, manifest, tree

YML = "variants: [{name: w8, width: 8, format: webp, effort: 0}]\n"
GOOD = "https://cards.example/good.png"


def png(width: int, height: int, colour: str = "silver") -> Answer:
    """The same bytes wherever they are asked for."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return Answer(body=file.getvalue(), media_type="image/png")


CARD = png(16, 16)


def urls(count: int, host: str = "cards.example") -> list[str]:
    return [f"https://{host}/{number:02}.png" for number in range(count)]


@pytest.fixture
def placeholder_host(origin: Origin) -> Origin:
    """An origin that has one image, and sends a placeholder for all others of its host."""
    for url in urls(20):
        origin.answers.set(url, CARD)
    origin.answers.set(GOOD, picture(40, 30))
    return origin


def refused(report: dict[str, object]) -> list[str]:
    problems = report["problems"]
    assert isinstance(problems, list)
    return [one["url"] for one in problems if (one["code"], one["severity"]) == ("placeholder", "error")]


def test_a_placeholder_is_refused_and_forgotten_when_the_image_is_sent(
    run: Command, placeholder_host: Origin, make_site: MakeSite
) -> None:
    first, *others = urls(4)
    site = make_site({"a.md": article((GOOD, 40, 30), (first, 400, 300)), "imgcache.yml": YML})
    plain = (site / "a.md").read_bytes()
    ended = run("sync", site, "--dimensions", "ignore", "--json")
    assert (ended.code, ended.json()["flags_set"]) == (0, 2)  # one picture of another shape proves nothing
    (site / "b.md").write_text(article(*((url, 400, 300) for url in others)))
    before = (site / "b.md").read_bytes()
    ended = run("sync", site, "--dimensions", "ignore", "--json")  # together with that of the earlier run it does
    report = ended.json()
    assert (ended.code, refused(report)) == (1, [first, *others])
    counts = {key: report[key] for key in ("images", "cached", "reused", "fetched", "failed", "flags_cleared")}
    assert counts == {"images": 5, "cached": 1, "reused": 1, "fetched": 0, "failed": 4, "flags_cleared": 1}
    assert [place["article"] for problem in report["problems"] for place in problem["references"]] == ["a.md"] + [
        "b.md"
    ] * 3
    assert (site / "a.md").read_bytes() == plain.replace(b"height: 30\n", b"height: 30\n    isCached: true\n")
    assert ((site / "b.md").read_bytes(), list(manifest(site))) == (before, [GOOD])
    assert len(list((site / "cache/assets").glob("*/*"))) == 1
    assert run("verify", site).code == 0
    held = articles(site) | tree(site / "cache/assets") | {"manifest": (site / "cache/manifest.json").read_bytes()}
    again = run("sync", site, "--dimensions", "ignore", "--json").json()
    assert (refused(again), again["reused"], placeholder_host.requests[GOOD]) == ([first, *others], 1, 1)
    assert (
        articles(site) | tree(site / "cache/assets") | {"manifest": (site / "cache/manifest.json").read_bytes()} == held
    )
    assert run("status", site, "--json").json()["failures"][0]["failures"] == 2  # the row of failures goes on
    placeholder_host.answers.set(first, picture(400, 300))
    (site / "b.md").write_text(article(*((url, 400, 300) for url in others[:1])))
    report = run("sync", site, "--only-failed", "--dimensions", "ignore", "--json").json()
    assert (refused(report), report["cached"]) == (others[:1], 2)  # a known placeholder is refused at a single URL too
    (site / "b.md").write_text(article((others[0], 160, 160)))
    report = run("sync", site, "--json").json()
    assert (report["cached"], [one["code"] for one in report["problems"]]) == (3, ["dimensions"])  # it fits: a warning
    assert run("status", site, "--json").json()["failures"] == []


def test_flags_of_placeholders_are_cleared_in_any_run(
    run: Command, placeholder_host: Origin, make_site: MakeSite
) -> None:
    first = urls(1)[0]
    yml = YML + "dimensions: ignore\n"
    site = make_site({"a.md": article(*((url, 16, 16) for url in urls(4))), "imgcache.yml": yml})
    assert run("sync", site, "--json").json()["flags_set"] == 4
    (site / "a.md").write_text((site / "a.md").read_text().replace("width: 16", "width: 99", 1))
    ended = run("sync", site, "--offline", "--json")
    assert (refused(ended.json()), ended.json()["flags_cleared"]) == ([first], 1)
    assert (site / "a.md").read_text().count("isCached: true") == 3


def test_images_with_a_fitting_or_no_declared_size_are_kept(
    run: Command, placeholder_host: Origin, make_site: MakeSite
) -> None:
    fitting, plain = urls(20)[:8], urls(20)[8:18]
    body = "\n".join(f"![x]({url})" for url in plain)
    site = make_site(
        {
            "a.md": article(*((url, 16 * (n + 1), 16 * (n + 1)) for n, url in enumerate(fitting))),
            "b.md": article((GOOD, 40, 30), body=body),
            "c.md": article((fitting[0], 30, 10)),  # declared correctly elsewhere: here a wrong size, no placeholder
            "imgcache.yml": YML,
        }
    )
    ended = run("sync", site, "--json")
    report = ended.json()
    assert (report["cached"], report["fetched"], refused(report)) == (19, 19, [])
    [warning] = [one for one in report["problems"] if one["code"] == "placeholder"]
    assert (warning["severity"], len(warning["references"])) == ("warning", 10)
    assert {place["article"] for place in warning["references"]} == {"b.md"}
    assert "cards.example sends the same bytes at 10 URLs" in warning["message"]
    (site / "b.md").write_text((site / "b.md").read_text().replace(f"![x]({plain[0]})", ""))
    report = run("sync", site, "--json").json()
    assert (report["fetched"], [one["code"] for one in report["problems"] if one["code"] == "placeholder"]) == (0, [])


def test_other_hosts_and_fragments_do_not_count_as_sharing(
    run: Command, placeholder_host: Origin, make_site: MakeSite
) -> None:
    elsewhere = urls(2, "other.example")
    for url in elsewhere:
        placeholder_host.answers.set(url, CARD)
    same = [f"{urls(1)[0]}#{part}" for part in "abcd"]
    site = make_site({"a.md": article(*((url, 30, 10) for url in [*urls(3), *elsewhere, *same])), "imgcache.yml": YML})
    report = run("sync", site, "--json").json()
    assert (refused(report), report["cached"]) == ([], 9)


shapes = st.sampled_from([Declared(), Declared(16, 16), Declared(32, 32), Declared(width=9), Declared(40, 30)])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), shapes), max_size=60))
def test_an_image_with_a_fitting_or_no_declared_size_is_never_refused(rows: list[tuple[str, int, Declared]]) -> None:
    rows.sort(key=lambda row: row[:2])
    sharers = [SharedImageRow(n, host, "d", f"{host}/{n}", Size(16, 16), declared) for host, n, declared in rows]
    found = cards.find_shared_placeholders(sharers)
    lies: dict[tuple[str, int], bool] = {}
    for host, number, declared in rows:
        is_lie = plan.compare_size(declared, Size(16, 16)) is plan.SizeMatch.OTHER
        if declared != Declared():
            lies[host, number] = lies.get((host, number), True) and is_lie
    assert found.refused == array("q", [number for (_, number), is_lie in lies.items() if is_lie])
    assert {host for host, _ in found.placeholders} == {host for (host, _), is_lie in lies.items() if is_lie}
    for problem, named in found.warnings:
        host = (problem.url or "")[0]
        proven = {number for (other, number), is_lie in lies.items() if other == host and not is_lie}
        assert len({number for other, number, _ in rows if other == host} - proven) >= cards.WARN_AT
        assert not {int(url.split("/")[1]) for url in named} & {number for other, number in lies if other == host}


def test_a_placeholder_found_before_a_crash_is_refused_after_it(
    run: Command, placeholder_host: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgcache.policy import shared_placeholders

    site = make_site({"a.md": article(*((url, 400, 300) for url in urls(5))), "imgcache.yml": YML})
    plain = articles(site)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shared_placeholders, "find_shared_placeholders", die)
        assert run("sync", site).code == 130
    assert articles(site) == plain
    asked = [placeholder_host.requests[url] for url in urls(5)]
    report = run("sync", site, "--json").json()
    assert (refused(report), report["cached"], articles(site)) == (urls(5), 0, plain)
    assert [placeholder_host.requests[url] for url in urls(5)] == asked  # they were cached: no further request
