"""`imgcache gc`: foreign files, the confirmation for large removals, and restoring within a day."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import A, B, Command, MakeSite, article, picture
from tests.support.site_files import manifest, tree

KEPT_FOR = 86_400  # seconds
_BYTES = os.fsdecode(b"caf\xe9.png")  # no UTF-8
_FILES = (".DS_Store", "my photo.png", "Foto \u00fc.jpg", "two\nlines.png", _BYTES, "-rf", "~backup~", "\u202etxt.exe")


def plant(folder: Path) -> list[Path]:
    """Creates one of each kind of foreign file."""
    for name in _FILES:
        (folder / name).write_bytes(b"mine")
    (folder / "old.webp").mkdir()  # a folder with a name that a variant could have
    (folder / "old.webp" / "deep.txt").write_text("mine")
    os.mkfifo(folder / "pipe.webp")
    (folder / "link.webp").symlink_to(folder.parent)
    (folder / "nowhere.webp").symlink_to("/nonexistent")
    names = (*_FILES, "old.webp", "old.webp/deep.txt", "pipe.webp", "link.webp", "nowhere.webp")
    return [folder / name for name in names]


def asset_folder(site: Path, url: str) -> Path:
    """The folder of a URL's files."""
    path: Path = site / "cache" / str(manifest(site)[url]["original"])
    return path.parent


@pytest.mark.parametrize("command", [("gc", "--yes"), ("verify",), ("verify", "--repair"), ("status",), ("sync",)])
def test_foreign_files_fail_no_command_and_are_kept(run: Command, synced: Path, command: tuple[str, ...]) -> None:
    planted = plant(asset_folder(synced, A))
    assets = synced / "cache/assets"
    for folder in (assets, asset_folder(synced, A).parent):
        for name in _FILES:
            (folder / name).write_bytes(b"mine")
            planted.append(folder / name)
    ended = run(command[0], synced, *command[1:])
    assert ended.code == 0, ended
    assert [path for path in planted if not os.path.lexists(path)] == []
    assert manifest(synced).keys() == {A, B}
    assert run("verify", synced).code == 0


def test_gc_removes_an_image_and_keeps_foreign_files_next_to_it(run: Command, synced: Path) -> None:
    home = asset_folder(synced, B)
    planted = plant(home)
    (synced / "b.md").unlink()
    ended = run("gc", synced)
    assert ended.code == 0
    assert ended.out.count("imgcache did not write are left alone") == 1
    assert "12 files below assets/" in ended.out
    assert f"{home.name}/.DS_Store" in ended.out
    assert ended.out.isascii() or "\ufffd" in ended.out  # what does not print is shown as such
    assert sorted(entry.name for entry in home.iterdir()) == sorted(p.name for p in planted if p.parent == home)
    assert run("verify", synced, "--json").json()["found"][0]["code"] == "foreign-files"
    (synced / "b.md").write_text(article((B, 80, 60)))  # and the image comes back between them
    assert run("sync", synced, "--offline").code == 0
    assert [path for path in planted if not os.path.lexists(path)] == []
    assert run("verify", synced).code == 0


def test_a_folder_with_only_foreign_files_is_not_a_copy(run: Command, origin: Origin, synced: Path) -> None:
    home = asset_folder(synced, A)
    for file in home.iterdir():
        file.unlink()
    (home / ".DS_Store").write_bytes(b"mine")
    assert "record-without-blob" in run("verify", synced).out
    assert run("verify", synced, "--repair").code == 0
    assert (home / ".DS_Store").read_bytes() == b"mine"


# -- more than half ----------------------------------------------------------------------------------------------------


def test_gc_asks_before_removing_more_than_half(run: Command, synced: Path) -> None:
    for name in ("a.md", "b.md"):
        (synced / name).unlink()
    before = tree(synced / "cache/assets")
    ended = run("gc", synced)
    assert (ended.code, ended.out, tree(synced / "cache/assets")) == (1, "", before)
    assert "2 of 2 images would be removed" in ended.err
    assert "Nothing was removed; if that is right, give --yes" in ended.err
    assert run("gc", synced, "--dry-run", "--json").json()["assets"] == 2  # which needs no question
    assert run("gc", synced, "--yes", "--json").json()["assets"] == 2
    assert tree(synced / "cache/assets") == {}


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, 2), (b"\n", 1, 2), (b"y\n", 0, 0)])
def test_gc_reads_the_answer_from_a_terminal(run: Command, synced: Path, answer: bytes, code: int, left: int) -> None:
    for name in ("a.md", "b.md"):
        (synced / name).unlink()
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    ended = subprocess.run(
        [sys.executable, "-m", "imgcache", "gc", synced], stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert (ended.returncode, len(list((synced / "cache/assets").glob("*/*")))) == (code, left)
    assert "Remove them? [y/N]" in ended.stderr


def test_a_site_is_not_forgotten_if_gc_refuses(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(80, 60))
    site, other = make_site({"a.md": "x"}), make_site({"a.md": "x"}).parent / "other"
    other.mkdir()
    (other / "b.md").write_text(article((A, 80, 60)))
    cache = ("--cache", site.parent / "shared")
    run("sync", other, *cache)
    run("sync", site, *cache)
    words = (*cache, "--forget-site", other)
    assert run("gc", site, *words).code == 1
    assert run("gc", site, *words, "--yes", "--json").json()["subjects"] == [A]
    assert "the cache has no record of the site" in run("gc", site, *words, "--yes").err


# -- the way back ------------------------------------------------------------------------------------------------------


def test_images_removed_by_gc_are_restored_without_fetching(run: Command, origin: Origin, synced: Path) -> None:
    assets, articles = tree(synced / "cache/assets"), {file: file.read_bytes() for file in synced.glob("*.md")}
    for file in articles:
        file.unlink()
    assert "kept for a day in index/removed/" in run("gc", synced, "--yes").out
    assert (manifest(synced), tree(synced / "cache/assets")) == ({}, {})
    for file, data in articles.items():
        file.write_bytes(data.replace(b"    isCached: true\n", b""))
    asked = dict(origin.requests)
    dry = run("sync", synced, "--dry-run", "--json").json()
    ended = run("sync", synced, "--json").json()
    assert (ended["fetched"], ended["reused"], ended["cached"], ended["flags_set"]) == (0, 2, 2, 3)
    assert {key: dry[key] for key in ("fetched", "reused", "cached", "flags_set")} == {
        "fetched": 0, "reused": 2, "cached": 2, "flags_set": 3,
    }  # fmt: skip
    assert (dict(origin.requests), tree(synced / "cache/assets")) == (asked, assets)
    assert {file: file.read_bytes() for file in synced.glob("*.md")} == articles
    assert run("verify", synced).code == 0


def test_after_a_day_the_next_gc_frees_the_space(run: Command, synced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (synced / "b.md").unlink()
    run("gc", synced)
    kept = synced / "cache/index/removed"
    assert run("gc", synced, "--json").json()["freed"] == 0
    assert len(list(kept.rglob("original.*"))) == 1
    clock = "imgcache.cli.gc.now"
    monkeypatch.setattr(clock, lambda: time.time() - 10 * KEPT_FOR)  # the clock is set back: the day begins anew
    run("gc", synced)
    monkeypatch.setattr(clock, lambda: time.time() - 9.5 * KEPT_FOR)
    assert run("gc", synced, "--json").json()["freed"] == 0
    monkeypatch.setattr(clock, time.time)
    dry = run("gc", synced, "--dry-run", "--json").json()
    assert dry["freed"] > 0
    assert len(list(kept.rglob("original.*"))) == 1
    ended = run("gc", synced)
    assert "of an earlier gc freed" in ended.out
    assert list(kept.iterdir()) == []


def test_forget_deletes_what_gc_kept_for_a_day(run: Command, synced: Path) -> None:
    (synced / "b.md").unlink()
    run("gc", synced)
    assert run("forget", B, synced).code == 0
    assert list((synced / "cache/index/removed").rglob("original.*")) == []
    (synced / "b.md").write_text(article((B, 80, 60)))
    assert run("sync", synced, "--json").json()["cached"] == 1


def test_unreadable_records_do_not_end_a_sync(run: Command, synced: Path) -> None:
    (synced / "b.md").unlink()
    run("gc", synced)
    next((synced / "cache/index/removed").rglob("records.json")).write_bytes(b"{")
    ended = run("sync", synced)
    assert ended.code == 0
    assert "records.json cannot be read" in ended.err
    assert run("gc", synced, "--json").json()["freed"] > 0


# -- forget ------------------------------------------------------------------------------------------------------------


def test_forget_of_an_unknown_url_suggests_the_nearest(run: Command, synced: Path) -> None:
    before = tree(synced)
    ended = run("forget", A.replace("a.jpg", "aa.jpg"), synced)
    assert (ended.code, ended.out) == (1, "")
    assert f"neither the cache nor an article has https://pictures.example/aa.jpg; the nearest known URL is {A}" in (
        ended.err
    )
    assert {name: data for name, data in tree(synced).items() if "index/" not in name} == {
        name: data for name, data in before.items() if "index/" not in name
    }
    ended = run("forget", "https://pictures.example/aa.jpg", synced, "--json")
    assert (ended.code, ended.json()) == (
        1, {"url": "https://pictures.example/aa.jpg", "error": "unknown URL", "nearest": A},
    )  # fmt: skip
    assert run("forget", A, synced).code == 0
    assert run("forget", A, synced).code == 0  # known, for it is forgotten
