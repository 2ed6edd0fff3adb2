"""An article is edited and replaced as a whole, or not changed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from imgcache.core import (  # fmt: skip
    ArticleChanged,
    ArticleUnreadable,
    ArticleUnwritable,
    Edit,
)
from imgcache.manifest import Manifest
from imgcache.manifest.article_file import replace_article
from imgcache.scanner import frontmatter
from tests.support.cache_samples import sha256

ARTICLE = b"---\r\ntitle: x\r\nimages:\r\n- url: https://e.org/a.jpg\r\n  width: 1\r\n  height: 2\r\n---\r\nbody\r\n"
FLAGGED = ARTICLE.replace(b"  height: 2\r\n", b"  height: 2\r\n  isCached: true\r\n")


def _edits(data: bytes, flag: bool = True) -> list[Edit]:
    return [Edit(r.line, r.column, flag) for r in frontmatter.parse(data, "a.md").references]


def _everything(site: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(site)): p.read_bytes() if p.is_file() else None for p in site.rglob("*")}


# -- articles ------------------------------------------------------------------------------------------------------


def test_setting_and_clearing_a_flag_keeps_mode_owner_and_attributes(site: Path, manifest: Manifest) -> None:
    path = site / "a.md"
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 5678)
    try:
        os.setxattr(path, "user.note", b"keep")
    except OSError:
        pytest.skip("a file system without extended attributes")
    os.utime(path, (1, 1))
    before = path.stat()
    files = set(_everything(site))
    assert manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    after = path.stat()
    assert path.read_bytes() == FLAGGED
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert os.getxattr(path, "user.note") == b"keep"
    assert after.st_mtime > 1_000_000
    assert manifest.write_article("a.md", scanned=sha256(FLAGGED), edits=_edits(FLAGGED, flag=False))
    assert path.read_bytes() == ARTICLE
    assert set(_everything(site)) == files


def test_nothing_is_written_if_nothing_changes(site: Path, manifest: Manifest) -> None:
    (site / "a.md").write_bytes(FLAGGED)
    (site / "a.md").chmod(0o444)
    before = (site / "a.md").stat()
    assert not manifest.write_article("a.md", scanned=sha256(FLAGGED), edits=_edits(FLAGGED))
    after = (site / "a.md").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_an_article_saved_since_the_scan_is_not_changed(site: Path, manifest: Manifest) -> None:
    (site / "a.md").write_bytes(ARTICLE + b"more")
    before = _everything(site)
    with pytest.raises(ArticleChanged, match=r"^it was saved while"):
        manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    assert _everything(site) == before
    (site / "a.md").unlink()
    with pytest.raises(ArticleChanged):
        manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))


@pytest.mark.parametrize("late", [False, True], ids=["before writing", "before the rename"])
@pytest.mark.parametrize("how", ["written", "replaced", "removed", "touched"])
def test_an_article_saved_just_before_the_rename_is_not_changed(
    site: Path, monkeypatch: pytest.MonkeyPatch, how: str, late: bool
) -> None:
    path = site / "a.md"

    def save() -> None:
        if how == "written":
            path.write_bytes(ARTICLE + b"more")
        elif how == "replaced":
            (site / "new").write_bytes(ARTICLE)
            (site / "new").replace(path)
        elif how == "removed":
            path.unlink()
        else:
            os.utime(path, (1, 1))

    def change(data: bytes) -> bytes:
        if not late:
            save()
        return data + b"flags"

    copystat = shutil.copystat

    def copystat_then_save(source: Path, target: Path) -> None:
        copystat(source, target)
        save()

    if late:
        monkeypatch.setattr(shutil, "copystat", copystat_then_save)
    with pytest.raises(ArticleChanged):
        replace_article(path, site=site, scratch=site / "cache/index/staging", scanned=sha256(ARTICLE), change=change)
    saved = {"written": ARTICLE + b"more", "replaced": ARTICLE, "touched": ARTICLE}
    assert [p.read_bytes() for p in site.glob("*.md")] == ([saved[how]] if how in saved else [])
    assert list((site / "cache/index/staging").iterdir()) == []


def test_a_link_stays_a_link(site: Path, manifest: Manifest) -> None:
    (site / "real").mkdir()
    (site / "a.md").rename(site / "real" / "a.md")
    (site / "a.md").symlink_to("real/a.md")
    assert manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    assert (site / "a.md").is_symlink()
    assert (site / "real" / "a.md").read_bytes() == FLAGGED


def test_a_link_out_of_the_site_is_not_followed(site: Path, manifest: Manifest, tmp_path: Path) -> None:
    (site / "a.md").rename(tmp_path / "a.md")
    (site / "a.md").symlink_to(tmp_path / "a.md")
    with pytest.raises(ArticleUnwritable, match="outside of the site"):
        manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    with pytest.raises(ArticleUnwritable, match="outside of the site"):
        manifest.write_article("../a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    assert (tmp_path / "a.md").read_bytes() == ARTICLE
    (site / "loop.md").symlink_to("loop.md")
    with pytest.raises(ArticleChanged):
        manifest.write_article("loop.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))


def test_a_read_only_article_is_not_changed(site: Path, manifest: Manifest) -> None:
    (site / "a.md").chmod(0o444)
    before = _everything(site)
    with pytest.raises(ArticleUnwritable, match=r"^it is read-only: make it writable") as caught:
        manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    assert caught.value.code == "article-unwritable"
    assert _everything(site) == before


def test_a_pipe_in_place_of_an_article_is_refused(site: Path, manifest: Manifest) -> None:
    (site / "a.md").unlink()
    os.mkfifo(site / "a.md")
    with pytest.raises(ArticleUnreadable, match="not a regular file"):
        manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=[])


_POWERLESS = """
import hashlib, os, sys
from pathlib import Path
from imgcache.manifest.article_file import replace_article as rewrite
from imgcache.core.errors import ArticleError
site = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
for name in ("folder/a.md", "other.md"):
    data = (site / name).read_bytes()
    try:
        rewrite(site / name, site=site, scratch=site / "scratch", scanned=hashlib.sha256(data).hexdigest(),
                change=lambda data: data + b"x")
    except ArticleError as error:
        print(error.code, error)
"""


def test_without_write_permission_nothing_is_changed() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to make files of other users")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "folder").mkdir()
        (root / "scratch").mkdir()
        (root / "folder/a.md").write_bytes(ARTICLE)
        (root / "other.md").write_bytes(ARTICLE)
        (root / "other.md").chmod(0o666)
        os.chown(root / "folder/a.md", 65534, 65534)
        os.chown(root / "scratch", 65534, 65534)
        root.chmod(0o777)
        (root / "folder").chmod(0o755)
        ran = subprocess.run(
            [sys.executable, "-c", _POWERLESS, name], capture_output=True, text=True, check=True, timeout=60
        )
        first, second = ran.stdout.splitlines()
        assert first == "article-unwritable it cannot be written: Permission denied"
        assert second == "article-unwritable it belongs to user 0: run imgcache as that user"
        assert [p.read_bytes() for p in root.rglob("*.md")] == [ARTICLE] * 2
        assert list((root / "scratch").iterdir()) == []


def test_without_a_usable_scratch_folder_the_temporary_file_is_next_to_the_article(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/dev/shm").stat().st_dev == site.stat().st_dev:
        pytest.skip("needs two file systems")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        for scratch, data in ((Path(other), b"1"), (site / "none", b"2")):
            old = (site / "a.md").read_bytes()
            new = old + data
            change = {old: new}.__getitem__
            assert replace_article(site / "a.md", site=site, scratch=scratch, scanned=sha256(old), change=change)
            assert (site / "a.md").read_bytes() == new
        assert list(Path(other).iterdir()) == []
    assert {p.name for p in site.iterdir()} == {"a.md", "cache"}


@pytest.mark.parametrize("broken", ["fsync", "write"])
def test_a_full_disk_does_not_change_the_article(
    site: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if broken == "fsync" else (shutil, "copystat")), full)
    before = _everything(site)
    with pytest.raises(ArticleUnwritable, match="No space left on device"):
        manifest.write_article("a.md", scanned=sha256(ARTICLE), edits=_edits(ARTICLE))
    assert _everything(site) == before


_KILLED = """
import hashlib, os, signal, sys
from pathlib import Path
from imgcache.manifest.article_file import replace_article as rewrite
root = Path(sys.argv[1])
DATA = b"old bytes"
for step in range(1, 100):
    site = root / str(step)
    (site / "scratch").mkdir(parents=True)
    (site / "a.md").write_bytes(DATA)
    pid = os.fork()
    if pid == 0:
        seen = 0
        def hook(event, args):
            global seen
            seen += event == "open" or event.startswith("os.") or event.startswith("shutil.")
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        rewrite(site / "a.md", site=site, scratch=site / "scratch", scanned=hashlib.sha256(DATA).hexdigest(),
                change=lambda data: b"new bytes")
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        print(step)
        break
"""


def test_a_process_killed_at_any_step_leaves_the_old_or_the_new_article(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    steps = int(ran.stdout)
    assert steps > 5
    seen = [(tmp_path / str(step) / "a.md").read_bytes() for step in range(1, steps + 1)]
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {b"old bytes", b"new bytes"}
    for step in range(1, steps + 1):
        assert {p.name for p in (tmp_path / str(step)).iterdir()} == {"a.md", "scratch"}


# -- manifest.json -------------------------------------------------------------------------------------------------
