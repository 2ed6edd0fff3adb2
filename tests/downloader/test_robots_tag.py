"""X-Robots-Tag is read and recorded, and obeyed if configured."""

from __future__ import annotations

import asyncio
import json
import pathlib
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.origin import Answer, Origin
from examples.origin.drawing import draw
from imgcache.downloader import Downloader, Guard
from imgcache.downloader.http.robots_tag import forbidden_by
from tests.conftest import Command, MakeSite, article, picture
from tests.support.faults import HANDLERS, IMAGE, Faults, faults, response
from tests.support.network import contents, outcome, sniff
from tests.support.robots import error_of

A = "https://pictures.example/a/1.jpg"
B = "https://pictures.example/b/2.jpg"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (["noai"], "noai"),
        (["noarchive, NoImageIndex"], "noimageindex"),
        (["imgcache: none"], "none"),
        (["*: noimageai"], "noimageai"),
        (["googlebot: nofollow", "noai"], "noai"),
        (["googlebot: nofollow, imgcache: noai"], "noai"),
        (["unavailable_after: Sun, 06 Nov 2044 08:49:37 GMT, noai"], "noai"),
        (["googlebot: noai, noimageindex"], None),
        (["max-image-preview: none"], None),
        (["imgcachebot: none"], None),
        (["noindex, nofollow, noaic", ""], None),
        ([], None),
    ],
)
def test_the_directives_of_a_robots_tag(fields: list[str], rule: str | None) -> None:
    assert forbidden_by(fields, "imgcache") == rule


@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_tag_makes_the_parser_fail(fields: list[str]) -> None:
    assert forbidden_by(fields, "imgcache") in {None, "noai", "noimageai", "noimageindex", "none"}


def test_a_robots_tag_is_recorded_if_present(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30, headers={"X-Robots-Tag": "noimageindex, noai"}))
    origin.answers.set(B, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30), (B, 40, 30))})
    assert run("sync", site).code == 0
    file = site / "cache/manifest.json"
    before = file.read_bytes()
    images = json.loads(before)["images"]
    assert images[A].pop("robots_tag") == "noimageindex, noai"
    assert list(images[A]) == list(images[B])
    assert run("verify", site).code == 0
    assert run("sync", site).code == 0
    assert file.read_bytes() == before
    shutil.rmtree(site / "cache/index")  # what a rebuild knows of the tag, it knows from manifest.json
    assert run("sync", site).code == 0
    assert file.read_bytes() == before


def test_an_added_or_removed_robots_tag_is_recorded(run: Command, origin: Origin, make_site: MakeSite) -> None:
    body = draw((40, 30), "jpeg", "a", "")
    site = make_site({"a.md": article((A, 40, 30))})
    tags: list[str | None] = []
    for headers in ({}, {"X-Robots-Tag": "noai"}, {}):
        origin.answers.set(A, Answer(body=body, headers=headers, etag=False))
        assert run("sync", site, "--refresh").code == 0
        tags.append(json.loads((site / "cache/manifest.json").read_bytes())["images"][A].get("robots_tag"))
    assert tags == [None, "noai", None]


def test_respect_robots_tag_refuses_before_the_body_is_read(tmp_path: pathlib.Path) -> None:
    async def tagged(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        fields = ("X-Robots-Tag: other: nofollow", "X-Robots-Tag: Imgcache: noai")
        writer.write(response(b"", "200 OK", *fields, length=1_000_000))
        await writer.drain()
        await asyncio.sleep(60)

    async def scene() -> None:
        async with faults() as origin, Downloader(
            folder=tmp_path, sniff=sniff, guard=Guard(["127.0.0.0/8"]), respect_robots_tag=True
        ) as fetching:  # fmt: skip
            error = await error_of(fetching, origin.url("/good"))
            assert (error.code, error.retryable) == ("robots", False)
            assert "X-Robots-Tag: noai" in error.message
            assert await outcome(fetching, origin.url("/chunks")) == "ok"

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HANDLERS, "/good", tagged)
        asyncio.run(scene())
    assert contents(tmp_path) == [IMAGE]


def test_respect_robots_tag_is_a_setting_of_a_sync(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30, headers={"X-Robots-Tag": "noai"}))
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": "respect_robots_tag: true\n"})
    ended = run("sync", site, "--json")
    assert [(problem["code"], problem["severity"]) for problem in ended.json()["problems"]] == [("robots", "error")]
    assert "isCached" not in (site / "a.md").read_text()
