"""The cache keeps itself out of git; and a clone, which has no cache, is told so once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from examples.origin import Origin
from tests.conftest import ROOT, A, B, Command, Ended, MakeSite, article, picture, system_program

Audit = Callable[..., Ended]


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, as nobody in particular."""
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(
        [system_program("git"), *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def test_a_sync_keeps_its_cache_out_of_git(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(20, 10))
    site = make_site({"a.md": article((A, 20, 10))})
    git(site, "init")
    assert run("sync", site, "--dry-run").code == 0
    assert not (site / "cache").exists()
    assert run("sync", site).code == 0
    git(site, "add", "-A")
    assert git(site, "ls-files").split() == ["a.md", "cache/.gitignore"]
    (site / "cache/.gitignore").unlink()
    run("sync", site)  # of an older version, or lost
    assert (site / "cache/.gitignore").read_text().endswith("\n*\n!.gitignore\n")


@pytest.mark.parametrize("own", ["", "index/\n"])
def test_a_gitignore_that_is_there_stays(run: Command, origin: Origin, make_site: MakeSite, own: str) -> None:
    origin.answers.set(A, picture(20, 10))
    site = make_site({"a.md": article((A, 20, 10)), "cache/.gitignore": own})
    run("sync", site)
    assert (site / "cache/.gitignore").read_text() == own


def test_a_link_in_its_place_is_not_written_through(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": "x\n", "cache/index/x": ""})
    (site / "cache/.gitignore").symlink_to(site / "elsewhere")
    run("sync", site)
    assert not (site / "elsewhere").exists()


def test_what_else_lies_in_the_folder_is_not_hidden(run: Command, synced: Path) -> None:
    run("sync", synced, "--cache", synced)  # a folder with other things in it
    assert not (synced / ".gitignore").exists()


@pytest.mark.parametrize("version", [2, 4])
def test_a_cache_that_is_committed_stays_so(run: Command, synced: Path, version: int) -> None:
    (synced / "cache/.gitignore").unlink()
    (synced / ".gitignore").write_text("cache/index/\n")
    git(synced, "init")
    git(synced, "-c", f"index.version={version}", "add", "-A")
    run("sync", synced)
    assert not (synced / "cache/.gitignore").exists()
    git(synced, "rm", "-r", "-q", "--cached", "cache")
    run("sync", synced)
    assert (synced / "cache/.gitignore").exists()


# -- a clone -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(synced: Path, tmp_path: Path) -> Path:
    """A fresh clone of a site whose articles are flagged, and whose cache is not in git."""
    git(synced, "init")
    git(synced, "add", "-A")
    git(synced, "commit", "-qm", "x")
    git(tmp_path, "clone", "-q", str(synced), "clone")
    return tmp_path / "clone"


def flagged(ended: Ended) -> list[tuple[str, str | None, int]]:
    """Severity, URL and number of places of what is said of flags."""
    return [
        (found["severity"], found["url"], len(found["references"]))
        for found in ended.json()["findings"]
        if found["rule"] == "flag-without-copy"
    ]


def test_flags_without_any_cache_are_one_note(audit: Audit, run: Command, clone: Path) -> None:
    ended = audit(clone, "--offline", "--json")
    assert (ended.code, flagged(ended)) == (0, [("note", None, 3)])
    [found] = ended.json()["findings"]
    assert found["message"] == "2 images are flagged in 2 articles, and there is no cache here, as in a fresh clone"
    assert ended.json()["summary"]["ok"] == 2
    assert "note: flag-without-copy (1)" in audit(clone, "--offline").out
    for _ in range(2):  # an index alone is no cache: the second has the one that the first made
        ended = audit(clone, "--json")
        assert (ended.code, flagged(ended)) == (0, [("note", None, 3)])
    run("sync", clone)
    assert flagged(audit(clone, "--offline", "--json")) == []


def test_flags_beside_a_cache_are_errors_as_they_were(audit: Audit, clone: Path, run: Command) -> None:
    (clone / "b.md").rename(clone / "b.txt")
    run("sync", clone)
    (clone / "b.txt").rename(clone / "b.md")
    assert flagged(audit(clone, "--offline", "--json")) == [("error", B, 1)]


def test_the_hook_in_a_clone_shows_what_is_new(audit: Audit, clone: Path) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    words = hook["entry"].split()[2:]
    assert audit(clone, *words).code == 0
    (clone / "c.md").write_text("![x](missing.jpg)\n")
    git(clone, "add", "-A")
    ended = audit(clone, *words)
    assert ended.code == 1
    assert "missing-file (1)" in ended.out
    assert "flag-without-copy" not in ended.out
