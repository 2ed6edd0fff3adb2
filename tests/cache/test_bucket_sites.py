"""Several sites with one bucket: named together they share an index; one alone removes nothing of the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from examples.origin import Origin
from imgcache.cache import CacheLock
from tests.conftest import Command, Ended, article, picture
from tests.support.aftermath import tree
from tests.support.far_bucket import Far, led_to_bucket
from tests.support.object_store import S3

BOTH = "https://pictures.example/both.jpg"
ONLY_A = "https://pictures.example/a.jpg"
ONLY_B = "http://other.example/b.png"
NEW = "http://other.example/new.png"
ALL = {BOTH, ONLY_A, ONLY_B}
SETTINGS = "variants: [{name: w16, width: 16, effort: 0}]\ndimensions: ignore\n"


class FolderBucket:
    """A bucket that is a folder: faster for tests that need no server."""

    def __init__(self, folder: Path, run: Command) -> None:
        self._folder, self._run = folder, run
        self.url = f"file://{folder}"

    def __call__(self, command: str, *words: str | Path) -> Ended:
        return self._run(command, *words, "--cache", self.url)

    def paths(self) -> list[str]:
        return list(tree(self._folder))

    def read(self, path: str) -> bytes:
        return (self._folder / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        (self._folder / path).write_bytes(data)


class World:
    """Two sites in one folder, and the bucket that they share."""

    def __init__(self, root: Path, bucket: Far | FolderBucket, origin: Origin) -> None:
        self.root, self.bucket, self.origin = root, bucket, origin
        self.a, self.b = root / "a", root / "b"
        for number, url in enumerate((BOTH, ONLY_A, ONLY_B, NEW)):
            origin.answers.set(url, picture(40 + number, 30))
        self.write("a", BOTH, ONLY_A)
        self.write("b", BOTH, ONLY_B)

    def write(self, site: str, *urls: str) -> None:
        folder = self.root / site
        folder.mkdir(exist_ok=True)
        (folder / "one.md").write_text(article(*((url, 40, 30) for url in urls)))
        (folder / "imgcache.yml").write_text(SETTINGS)

    def flags(self, site: str) -> int:
        return (self.root / site / "one.md").read_text().count("isCached: true\n")

    def __call__(self, command: str, *words: str | Path, code: int = 0) -> Ended:
        ended = self.bucket(command, *words)
        assert ended.code == code, ended
        return ended

    def sync(self, *sites: Path) -> list[int]:
        report = self("sync", *sites, "--json").json()
        return [report[key] for key in ("fetched", "reused", "flags_set", "flags_cleared")]

    def gc(self, *words: str | Path) -> list[str]:
        subjects: list[str] = self("gc", *words, "--yes", "--json").json()["subjects"]
        return subjects

    @property
    def images(self) -> set[str]:
        return set(json.loads(self.bucket.read("manifest.json"))["images"])

    @property
    def markers(self) -> list[tuple[str, str]]:
        """The names of site and index of each marker."""
        keys = [path for path in self.bucket.paths() if path.startswith("index/")]
        found: list[dict[str, Any]] = [json.loads(self.bucket.read(key)) for key in keys]
        return sorted((Path(one["site"]).name, Path(one["index"]).parent.parent.name) for one in found)

    @property
    def held(self) -> dict[str, bytes]:
        """Everything in the bucket, and every file of the sites except imgcache's private ones."""
        own = {path: data for path, data in tree(self.root).items() if "/cache/index/" not in path}
        return own | {path: self.bucket.read(path) for path in self.bucket.paths() if not path.startswith("index/")}


@pytest.fixture
def far(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> Far:
    return led_to_bucket(s3, run, monkeypatch)


@pytest.fixture
def far_world(tmp_path: Path, far: Far, origin: Origin) -> World:
    return World(tmp_path.resolve(), far, origin)


@pytest.fixture
def world(tmp_path: Path, run: Command, origin: Origin) -> World:
    root = tmp_path.resolve() / "sites"
    root.mkdir()
    return World(root, FolderBucket(tmp_path.resolve() / "bucket", run), origin)


# -- named together ----------------------------------------------------------------------------------------------------


def test_each_image_is_fetched_once_and_flagged_in_both_and_gc_keeps_both(far_world: World) -> None:
    world = far_world
    (world.b / "cache").mkdir()
    (world.b / "cache/left.md").write_text(article((NEW, 40, 30)))  # the folder of a cache is never entered
    assert world.sync(world.a, world.b) == [3, 0, 4, 0]
    assert [world.origin.requests[url] for url in (BOTH, ONLY_A, ONLY_B)] == [1, 1, 1]
    assert (world.flags("a"), world.flags("b"), world.images) == (2, 2, ALL)
    before = world.held
    assert world.gc(world.a, world.b) == []
    assert world.gc(world.b, world.a, "--dry-run") == []
    assert world.held == before
    world.write("b", BOTH)
    assert world.gc(world.b, world.a) == [ONLY_B]
    assert world.images == {BOTH, ONLY_A}


def test_a_second_run_asks_for_manifest_json_alone_whatever_the_order(far_world: World, far: Far) -> None:
    world = far_world
    world.sync(world.a, world.b)
    before, asked = world.held, far.asked()
    assert world.sync(world.a, world.b) == world.sync(world.b, world.a) == [0, 3, 0, 0]
    assert far.asked() - asked == 4  # its etag, when a run begins and when it ends
    assert world.held == before


def test_every_command_finds_the_same_index_from_either_site(world: World) -> None:
    world.sync(world.a, world.b)
    asked = dict(world.origin.requests)
    for site, own in ((world.a, ONLY_A), (world.b, ONLY_B)):
        assert world("verify", site).out == "0 found\n"
        assert "2 cached, 0 missing, 0 failing" in world("status", site).out
        assert world("audit", site, "--offline", "--json").json()["findings"] == []
        assert "original" in world("show", own, site).out
        assert world.sync(site) == [0, 2, 0, 0]
        assert world.gc(site) == []
    assert dict(world.origin.requests) == asked
    assert world.markers == [("a", "a"), ("b", "a")]
    assert world("forget", BOTH, world.b).code == 0
    assert world.images == {ONLY_A, ONLY_B}
    assert world.sync(world.a) == [0, 1, 0, 1]


def test_gc_of_one_site_keeps_what_the_other_used_at_its_last_scan(world: World) -> None:
    world.sync(world.a, world.b)
    world.write("a", ONLY_A)
    world.write("b", ONLY_B)
    assert world.gc(world.b) == []
    world.sync(world.a)
    assert world.gc(world.b) == [BOTH]


def test_sites_moved_together_still_share_their_index(world: World) -> None:
    world.sync(world.a, world.b)
    there = world.root / "there"
    there.mkdir()
    for site in (world.a, world.b):
        site.rename(there / site.name)
    assert world.sync(there / "b") == [0, 2, 0, 0]
    assert not (there / "b/cache/index/cache.db").exists()


def test_without_the_first_site_the_second_starts_its_own_index(world: World) -> None:
    world.sync(world.a, world.b)
    shutil.rmtree(world.a)
    assert world.sync(world.b)[0] == 0
    assert not world.a.exists()
    assert world("verify", world.b).out == "0 found\n"
    assert world.images == ALL


# -- one after the other -----------------------------------------------------------------------------------------------


def test_sites_synced_separately_keep_the_images_of_the_other(world: World) -> None:
    assert world.sync(world.a) == [2, 0, 2, 0]
    assert world.sync(world.b)[0] == 1
    assert world.markers == [("a", "a"), ("b", "b")]
    world.write("a", BOTH, ONLY_A, NEW)
    assert world.sync(world.a)[0] == 1  # and takes over what the other made
    assert world.images == ALL | {NEW}
    for site in (world.b, world.a, world.b):
        assert world("verify", site, "--repair").out == "0 found, 0 left\n"
    assert world.sync(world.b)[0] == 0
    assert world.images == ALL | {NEW}
    assert [world.origin.requests[url] for url in (BOTH, ONLY_A, ONLY_B, NEW)] == [1] * 4


def test_gc_removes_nothing_while_a_site_has_another_index(far_world: World) -> None:
    world = far_world
    world.sync(world.a)
    world.sync(world.b)
    world.write("a")
    world.write("b")
    before = world.held
    for site, other in ((world.b, world.a), (world.a, world.b)):
        for words in (["--dry-run"], []):
            ended = world("gc", site, *words, code=1)
            assert ended.out == ""
            first, second = ended.err.splitlines()
            assert first.startswith(f"{other}: has images here since 20")
            assert first.endswith(f"give it as another SITE, or give --forget-site {other}")
            assert second == "imgcache: nothing is removed while it is not known what another site uses"
    assert world.held == before
    assert world.gc(world.a, world.b) == sorted(ALL)
    assert (world.markers, world.images) == ([("a", "a"), ("b", "a")], set())
    assert world.gc(world.b) == []


def test_a_forgotten_site_keeps_no_images(world: World) -> None:
    world.sync(world.a)
    world.sync(world.b)
    ended = world("gc", world.b, "--forget-site", world.root / "c", code=2)
    assert f"the cache has no record of the site {world.root}/c; it has of {world.a}" in ended.err
    assert "is the SITE of this command" in world("gc", world.b, "--forget-site", world.b, code=2).err
    assert world.gc(world.b, "--forget-site", world.a, "--dry-run") == [ONLY_A]
    assert (world.markers, world.images) == ([("a", "a"), ("b", "b")], ALL)
    assert world.gc(world.b, "--forget-site", world.a) == [ONLY_A]
    assert (world.markers, world.images) == ([("b", "b")], {BOTH, ONLY_B})
    assert world.gc(world.b) == []


def test_a_forgotten_site_restores_its_marker_after_a_write_by_another_machine(world: World) -> None:
    world.sync(world.b)
    world.sync(world.a)
    world("gc", world.b, "--forget-site", world.a)
    world.write("a", BOTH)
    world.sync(world.a)
    assert world.images == {BOTH, ONLY_B}  # and does not say again what was removed
    assert world.markers == [("a", "a"), ("b", "b")]


def test_a_forgotten_site_restores_its_marker_when_it_has_a_new_image(world: World) -> None:
    world.write("a", BOTH)
    world.sync(world.b)
    world.sync(world.a)
    asked = world.bucket.read("manifest.json")
    world("gc", world.b, "--forget-site", world.a)
    assert (world.markers, world.bucket.read("manifest.json")) == ([("b", "b")], asked)
    world.write("a", BOTH, NEW)
    world.sync(world.a)
    assert world.markers == [("a", "a"), ("b", "b")]


def test_a_site_forgotten_by_its_own_index_restores_its_marker_at_the_next_sync(world: World) -> None:
    world.sync(world.b, world.a)
    world("gc", world.b, "--forget-site", world.a)
    assert world.markers == [("b", "b")]
    world.write("a", BOTH)
    assert world.sync(world.a) == [0, 1, 1, 0]
    assert world.markers == [("a", "b"), ("b", "b")]


def test_an_image_refetched_by_another_machine_is_taken_over(world: World) -> None:
    (world.a / "imgcache.yml").write_text(SETTINGS.replace("ignore", "fix"))
    world.sync(world.b)
    world.sync(world.a)
    world.origin.answers.set(BOTH, picture(80, 60))
    assert world("sync", world.b, "--refresh", "--json").json()["fetched"] == 1
    assert world.sync(world.a)[0] == 0
    assert "width: 80\n    height: 60\n" in (world.a / "one.md").read_text()
    assert world("verify", world.a).out == "0 found\n"


def test_images_forgotten_in_a_site_stay_forgotten_when_it_joins_another_index(world: World) -> None:
    world.sync(world.b)
    world("forget", BOTH, world.b)
    world.sync(world.a)
    assert (world.flags("a"), world.images) == (2, ALL)
    assert world.sync(world.a, world.b) == [0, 2, 0, 1]
    assert (world.flags("a"), world.flags("b"), world.images) == (1, 1, {ONLY_A, ONLY_B})


def test_a_site_does_not_join_while_another_command_works_with_its_index(world: World) -> None:
    with CacheLock(world.b / "cache/index", command="sync", now=0):
        ended = world("sync", world.a, world.b, code=3)
    assert f"{world.b}/cache is in use" in ended.err
    assert world.flags("a") == 0


# -- which site is which -----------------------------------------------------------------------------------------------


def move(site: Path, away: Path) -> None:
    site.rename(away)
    shutil.rmtree(away / "cache")


def jekyll(site: Path, url: str) -> None:
    (site / "_config.yml").write_text(f"url: {url}\n")


@pytest.mark.parametrize("urls", [("https://a.example", "https://b.example"), ("", "https://b.example")])
def test_sites_at_the_same_path_on_two_machines_are_distinguished_by_site_url(
    world: World, urls: tuple[str, str]
) -> None:
    """Like containers, which all have their site at /site."""
    first, second = urls
    if first:
        jekyll(world.a, first)
    world.sync(world.a)
    move(world.a, world.root / "elsewhere")
    world.b.rename(world.a)
    jekyll(world.a, second)
    world.sync(world.a)
    world.write("a")
    ended = world("gc", world.a, code=1)
    assert f"{world.a} ({first}): has images" in ended.err if first else f"{world.a}: has images" in ended.err
    assert world.images == ALL
    assert world.gc(world.a, "--forget-site", world.a) == sorted(ALL)


def test_a_site_without_its_index_is_the_same_site(world: World) -> None:
    world.sync(world.a)
    shutil.rmtree(world.a / "cache")
    world.write("a", BOTH)
    assert world.gc(world.a) == [ONLY_A]
    assert world.markers == [("a", "a")]


def test_a_marker_that_cannot_be_read_is_an_error(world: World) -> None:
    world.sync(world.a)
    world.write("a")
    for data in (b"no marker", b"{}", b'{"site": "\xff"}'):
        world.bucket.write("index/sites/x.json", data)
        ended = world("gc", world.a, code=2)
        assert f"imgcache: {world.bucket.url}/index/sites/x.json: this object does not name a site" in ended.err
    assert world.images == {BOTH, ONLY_A}


def test_a_copied_catalogue_does_not_count_as_a_marker(world: World) -> None:
    world.sync(world.a)
    world.bucket.write("index/sites/0123.db", b"of a cache folder with several sites")
    assert world.gc(world.a) == []


def test_a_site_without_its_pointer_to_the_shared_index_starts_its_own(world: World) -> None:
    world.sync(world.a, world.b)
    (world.b / "cache/index/elsewhere.json").write_text("no pointer")
    assert world.sync(world.b)[0] == 0
    assert world("verify", world.b).out == "0 found\n"
    for site, other in ((world.a, world.b), (world.b, world.a)):
        assert f"{other}: has images here" in world("gc", site, code=1).err
    assert world.sync(world.a, world.b) == [0, 3, 0, 0]
    assert world.markers == [("a", "a"), ("b", "a")]
