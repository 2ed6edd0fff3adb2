"""Several sites, one cache: gc removes only what no site uses."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from tests.conftest import Command, article
from tests.support.two_sites import BOTH, ONLY_A, ONLY_B, PNG, TwoSites


@pytest.fixture
def world(tmp_path: Path, run: Command, origin: Origin) -> TwoSites:
    return TwoSites(tmp_path.resolve(), run, origin)


def test_gc_of_one_site_keeps_what_the_other_uses(world: TwoSites) -> None:
    world.sync(world.a, world.b)
    for text, left in (
        (article((ONLY_A, 40, 30)), {BOTH, ONLY_A, ONLY_B}),
        (article(), {BOTH, ONLY_B}),
    ):
        world.write("a/posts/one.md", text)
        world("gc", world.a, "--dry-run")
        assert world("gc", world.a).code == 0
        assert world.images == left
    assert world.sync(world.b)["fetched"] == 0  # it speaks for itself now
    world.write("b/posts/one.md", article((ONLY_B, 40, 30)))
    assert world("gc", world.a, "--json").json()["subjects"] == []  # as of the other's last scan
    world.sync(world.b)
    assert world("gc", world.a, "--json", "--dry-run").json()["subjects"] == [BOTH]
    assert world("gc", world.a, "--json").json()["subjects"] == [BOTH]
    assert world.images == {ONLY_B}
    world.write("b/posts/one.md", article())
    world.sync(world.a, world.b)  # and now they speak together
    assert world("gc", world.a, "--yes", "--json").json()["subjects"] == [ONLY_B]


def test_an_image_forgotten_in_one_site_is_unflagged_in_the_others(world: TwoSites) -> None:
    for url in (BOTH, ONLY_A):  # the bytes stay, for another address has them
        world.origin.answers.set(url, Answer(body=PNG, media_type="image/png"))
    world.write("a/posts/one.md", article((BOTH, 2, 2), (ONLY_A, 2, 2)))
    world.write("b/posts/one.md", article((BOTH, 2, 2)))
    world.sync(world.a, world.b)
    assert world.flags("b/posts/one.md") == 1
    assert world("forget", BOTH, world.a).code == 0
    assert world.images == {ONLY_A}
    assert world.sync(world.a, world.b)["flags_cleared"] == 1
    assert (world.flags("a/posts/one.md"), world.flags("b/posts/one.md")) == (1, 0)


def test_gc_of_several_sites_scans_all_of_them(world: TwoSites) -> None:
    world.sync(world.a, world.b)
    world.write("b/posts/one.md", article((BOTH, 40, 30)))
    assert world("gc", world.b, world.a, "--json").json()["subjects"] == [ONLY_B]
    assert world.images == {BOTH, ONLY_A}


def test_images_of_a_removed_site_stay_until_it_is_forgotten(world: TwoSites) -> None:
    world.sync(world.a, world.b)
    shutil.rmtree(world.b)
    ended = world("gc", world.a)
    assert ended.code == 0
    hint = f"to remove them, give --forget-site {world.b}"
    assert f"the site {world.b} is missing, and its images are kept: {hint}" in ended.err
    assert world.images == {BOTH, ONLY_A, ONLY_B}
    ended = world("gc", world.a, "--forget-site", world.root / "c")
    assert (ended.code, ended.out) == (2, "")
    assert f"the cache has no record of the site {world.root}/c; it has of {world.b}" in ended.err
    assert "is the SITE of this command" in world("gc", world.a, "--forget-site", world.a).err
    assert world("gc", world.a, "--forget-site", world.b, "--dry-run", "--json").json()["subjects"] == [ONLY_B]
    assert world.images == {BOTH, ONLY_A, ONLY_B}
    ended = world("gc", world.a, "--forget-site", world.b, "--json")
    assert (ended.json()["subjects"], ended.err) == ([ONLY_B], "")
    assert world("gc", world.a).err == ""
    assert world.images == {BOTH, ONLY_A}


def test_sites_and_cache_may_be_moved_together(world: TwoSites) -> None:
    world.sync(world.a, world.b)
    moved = TwoSites(world.root / "moved", world.run, world.origin)
    for name in ("a", "b", "cache"):
        shutil.rmtree(moved.root / name, ignore_errors=True)
        (world.root / name).rename(moved.root / name)
    ended = moved("gc", moved.a, "--json")
    assert (ended.json()["copies"], ended.err) == (0, "")
    assert moved.sync(moved.a, moved.b)["fetched"] == 0


def edit(catalogue: Path, *commands: str) -> None:
    connection = sqlite3.connect(catalogue)
    with connection:
        for command in commands:
            connection.execute(command)
    connection.close()


def other_version(catalogue: Path) -> None:
    edit(catalogue, "PRAGMA user_version = 1")


def never_scanned(catalogue: Path) -> None:
    edit(catalogue, "DELETE FROM meta WHERE key = 'scanned'")


def damaged(catalogue: Path) -> None:
    catalogue.write_bytes(b"no database")
    catalogue.with_name(f"{catalogue.name}-wal").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (other_version, "its articles were not read by this version: sync it, or give --forget-site"),
        (never_scanned, "its articles were not read by this version"),
        (damaged, "damaged: sync every other site of this cache"),
    ],
)
def test_gc_removes_nothing_while_the_catalogue_of_another_site_is_unusable(
    world: TwoSites, harm: Callable[[Path], None], says: str
) -> None:
    world.sync(world.a)
    world.sync(world.b)
    (further,) = (world.cache / "index/sites").glob("*.db")
    harm(further)
    world.write("a/posts/one.md", article())
    for words in (["--dry-run"], []):
        ended = world("gc", world.a, *words)
        assert (ended.code, ended.out) == (1, "")
        assert says in ended.err
    assert world.images == {BOTH, ONLY_A, ONLY_B}
    world.sync(world.b)
    assert world("gc", world.a, "--json").json()["subjects"] == [ONLY_A]


def test_gc_removes_nothing_while_an_article_of_another_site_is_unreadable(world: TwoSites) -> None:
    world.write("b/broken.md", "---\nimages: [\n---\n")
    world.sync(world.a, world.b, code=1)
    world.write("a/posts/one.md", article())
    ended = world("gc", world.a)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{world.b}/broken.md:")
    assert f"{world.b}/broken.md:" in world("gc", world.a, world.b).err
    assert world.images == {BOTH, ONLY_A, ONLY_B}
