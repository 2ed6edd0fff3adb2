"""Comparing an audit with a git revision: real repositories, refused revisions, hostile settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgcache.auditor import Baseline
from imgcache.core import ConfigError
from imgcache.scanner import Site
from tests.conftest import article
from tests.support.work_trees import A, B, C, WorkTree, new_findings


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    return WorkTree(tmp_path / "work")


def test_a_site_in_a_subfolder_with_unusual_file_names(tmp_path: Path) -> None:
    work = WorkTree(tmp_path / "the work", "the site/docs")
    work.commit({'ein "Zitat"\n/ä b.md': article((A, 4, 3))})
    work.write({'ein "Zitat"\n/ä b.md': article((A, 4, 3), (B, 4, 3)), "tab\there.md": article((C, 4, 3))})
    assert {(url, name) for _, url, name, _ in new_findings(work.since("HEAD"))} == {
        (B, 'ein "Zitat"\n/ä b.md'),
        (C, "tab\there.md"),
    }


def test_an_ignored_article_is_new_and_a_submodule_is_compared_with_its_commit(tmp_path: Path) -> None:
    theme = WorkTree(tmp_path / "theme")
    theme.commit({"example/a.md": article((A, 4, 3))})
    work = WorkTree(tmp_path / "work")
    work.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(theme.repository), "themes/t")
    work.commit({".gitignore": "drafts", "b.md": article((B, 4, 3))})
    work.write({"drafts/c.md": article((C, 4, 3))})
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == [C]
    work.write({"themes/t/example/a.md": article((A, 4, 3), body="edited")})
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == [A, C]


def test_before_the_first_commit_everything_is_new(work: WorkTree) -> None:
    work.write({"a.md": article((A, 4, 3))})
    assert len(new_findings(work.since("HEAD"))) == 1


@pytest.mark.parametrize("revision", ["no-such", "HEAD:a.md", "@{-9}", "--output=stolen"])
def test_an_unknown_revision_is_refused_before_the_audit_begins(work: WorkTree, revision: str) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    before = sorted(work.repository.rglob("*"))
    with pytest.raises(ConfigError, match=r"^--since: "):
        Baseline(Site(work.root, None), since=revision)
    assert sorted(work.repository.rglob("*")) == before


@pytest.mark.parametrize("revision", ["--output=stolen", "-p", "", "HEAD\nHEAD"])
def test_an_option_is_never_passed_to_git_as_a_revision(work: WorkTree, revision: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of a revision"):
        Baseline(Site(work.root, None), since=revision)


def test_a_shallow_clone_is_refused_with_the_way_to_fetch_more(work: WorkTree, tmp_path: Path) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    old = work.git("rev-parse", "HEAD")
    work.commit({"a.md": article((B, 4, 3))})
    work.git("clone", "--quiet", "--depth=1", f"file://{work.repository}", str(tmp_path / "clone"))
    with pytest.raises(ConfigError, match="fetch-depth: 0"):
        Baseline(Site(tmp_path / "clone", None), since=old)


def test_a_clone_without_an_old_blob_is_refused(work: WorkTree) -> None:
    old = work.commit({"a.md": article((A, 4, 3))})
    work.commit({"a.md": article((B, 4, 3))})
    name = work.git("rev-parse", f"{old}:a.md")
    (work.repository / ".git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(ConfigError, match=f"git does not have the object {name}"):
        work.since(old)


def test_a_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"not a git repository.*--baseline FILE"):
        Baseline(Site(tmp_path, None), since="HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"git is not installed.*--baseline FILE"):
        Baseline(Site(tmp_path, None), since="HEAD")


def test_settings_of_the_repository_change_nothing_and_run_nothing(work: WorkTree, tmp_path: Path) -> None:
    work.commit({"ä.md": article((A, 4, 3), body="Text.\n" * 20), "sub/b.md": article((B, 4, 3))})
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for key, value in {
        "core.fsmonitor": str(trap),
        "diff.external": str(trap),
        "diff.renames": "false",
        "diff.noprefix": "true",
        "diff.relative": "false",
        "color.ui": "always",
        "core.quotePath": "true",
        "status.showUntrackedFiles": "no",
        "diff.orderFile": "/dev/null",
    }.items():
        work.git("config", key, value)
    (work.root / "ä.md").rename(work.root / "ö.md")
    work.git("-c", "core.fsmonitor=false", "add", "--all")
    work.write({"c.md": article((C, 4, 3))})
    sprung = tmp_path / "sprung"
    sprung.unlink(missing_ok=True)
    index = (work.repository / ".git/index").read_bytes()
    os.utime(work.root / "sub/b.md", (1, 1))
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == [C]
    assert not sprung.exists()
    assert (work.repository / ".git/index").read_bytes() == index


def test_a_file_saved_in_the_same_second_as_the_index_is_compared_by_content(work: WorkTree) -> None:
    work.git("config", "core.trustctime", "false")
    work.git("config", "core.checkStat", "minimal")
    work.write({"a.md": article((A, 4, 3))})
    os.utime(work.root / "a.md", (10**9, 10**9))
    work.commit()
    os.utime(work.repository / ".git/index", (10**9, 10**9))
    work.write({"a.md": article((B, 4, 3))})  # as many bytes
    os.utime(work.root / "a.md", (10**9, 10**9))
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == [B]


def test_inside_a_hook_the_repository_of_the_site_is_used(
    work: WorkTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    other = WorkTree(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.repository / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/nothing")
    assert new_findings(work.since("HEAD")) == []
