"""A malicious site with a symbolic link at each place that is written: the target of the link is never changed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import imgcache
from examples.origin import Origin
from imgcache.core import OutputFolder
from tests.conftest import Command, Ended, MakeSite, article, picture

A = "https://pictures.example/a.jpg"
KEPT = "this belongs to somebody else"


class Victim:
    """A file and a folder outside of the site, and whether they are unchanged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "victim"
        (self.folder / "staging").mkdir(parents=True)
        self.file = self.folder / "file"
        self.file.write_text(KEPT)
        (self.folder / "staging/file").write_text(KEPT)
        self._before = self._state()

    def _state(self) -> dict[str, str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path): path.read_text(errors="replace") for path in files}

    @property
    def is_unharmed(self) -> bool:
        return self._state() == self._before


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    return Victim(tmp_path)


@pytest.fixture
def site(make_site: MakeSite, origin: Origin) -> Path:
    origin.answers.set(A, picture(40, 30))
    return make_site({"a.md": article((A, 40, 30))})


def plant(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


# -- the cache ---------------------------------------------------------------------------------------------------------

IN_INDEX = ("lock", "holder.json", "cache.db", "cache.db-wal", "cache.db.condemned", "catalogue.db", "sites", "staging")


@pytest.mark.parametrize("name", ["", "index", "assets", *(f"index/{name}" for name in IN_INDEX)])
@pytest.mark.parametrize("is_there", [True, False], ids=["to what is there", "to nothing"])
def test_a_link_in_the_cache_is_refused(run: Command, site: Path, victim: Victim, name: str, is_there: bool) -> None:
    is_file = name.count("/") and not name.endswith(("sites", "staging"))
    target = (victim.file if is_file else victim.folder) if is_there else victim.folder / "new"
    plant(site / "cache" / name, target)
    for command in ("sync", "gc"):
        ended = run(command, site)
        assert (ended.code, "link" in ended.err) == (2, True), ended
    assert victim.is_unharmed


def test_a_linked_cache_may_be_named_explicitly(run: Command, site: Path, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    plant(site / "cache", tmp_path / "large")
    assert "name that folder with --cache" in run("status", site).err
    assert run("sync", site, "--cache", site / "cache").code == 0
    assert (tmp_path / "large/manifest.json").is_file()


def test_a_linked_prefix_folder_or_manifest_is_not_followed(run: Command, site: Path, victim: Victim) -> None:
    assert run("sync", site).code == 0
    [shelf] = (site / "cache/assets").iterdir()
    data = (site / "cache/manifest.json").read_bytes()
    subprocess.run(["rm", "-r", site / "cache"], check=True)
    plant(site / "cache/assets" / shelf.name, victim.folder)
    plant(site / "cache/manifest.json", victim.file)
    assert run("sync", site, "--refresh").code == 1
    (site / "cache/assets" / shelf.name).unlink()
    assert run("sync", site, "--refresh").code == 0
    assert victim.is_unharmed
    assert not (site / "cache/manifest.json").is_symlink()
    assert (site / "cache/manifest.json").read_bytes() == data


# -- articles ----------------------------------------------------------------------------------------------------------


def test_writing_an_article_follows_no_planted_link(run: Command, site: Path, victim: Victim) -> None:
    plant(site / ".a.md.imgcache", victim.file)
    plant(site / "b.md", victim.file)
    victim.file.write_text(KEPT)
    assert run("sync", site).code in {0, 1}
    assert "isCached: true" in (site / "a.md").read_text()
    assert victim.is_unharmed


# -- single files ------------------------------------------------------------------------------------------------------


def test_init_writes_through_no_link(run: Command, site: Path, victim: Victim) -> None:
    plant(site / "imgcache.yml", victim.folder / "new")
    assert run("init", site).code == 2
    assert victim.is_unharmed


def test_a_report_replaces_a_link(run: Command, site: Path, victim: Victim) -> None:
    for name in ("report.json", ".report.json.imgcache"):
        plant(site / name, victim.file)
    run("audit", site, "--offline", "--json", "--output", site / "report.json")
    assert victim.is_unharmed
    assert (site / "report.json").read_bytes().startswith(b"{")


# -- exports -----------------------------------------------------------------------------------------------------------

TARGETS = {
    "jekyll": ("_data/imgcache.json", "_includes/imgcache.html"),
    "hugo": ("data/imgcache.json", "layouts/partials/imgcache.html"),
    "eleventy": ("_data/imgcache.json", "imgcache.shortcode.cjs"),
}
FILES = [(target, name) for target, names in TARGETS.items() for name in names]


def exported(run: Command, site: Path, target: str, *words: str | Path) -> Ended:
    assert run("sync", site).code == 0
    return run("export", target, site, *words)


@pytest.mark.parametrize(("target", "name"), FILES)
def test_an_export_writes_through_no_link(run: Command, site: Path, victim: Victim, target: str, name: str) -> None:
    file = site / name
    plant(file.with_name(f".{file.name}.imgcache-part"), victim.file)
    assert exported(run, site, target).code == 0
    assert victim.is_unharmed
    file.unlink()
    plant(file, victim.file)
    assert run("export", target, site).code == 2
    assert run("export", target, site, "--force").code == 0
    assert victim.is_unharmed
    assert not file.is_symlink()


@pytest.mark.parametrize("target", TARGETS)
def test_an_export_enters_no_linked_folder(run: Command, site: Path, victim: Victim, target: str) -> None:
    name = TARGETS[target][0]
    plant(site / name.partition("/")[0], victim.folder)
    ended = exported(run, site, target, "--force")
    assert (ended.code, "A link" in ended.err) == (2, True), ended
    assert victim.is_unharmed


def test_asset_copies_are_neither_written_nor_removed_through_a_link(run: Command, site: Path, victim: Victim) -> None:
    copies = site / "assets"
    assert exported(run, site, "jekyll", "--copy-to", copies).code == 0
    [shelf] = [path for path in copies.iterdir() if path.is_dir()]
    shelf.rename(victim.folder / shelf.name)
    there = sorted(victim.folder.rglob("*"))
    plant(shelf, victim.folder / shelf.name)
    ended = run("export", "jekyll", site, "--copy-to", copies)
    assert (ended.code, "A link" in ended.err) == (2, True), ended
    (site / "a.md").write_text("nothing")
    (site / "cache/manifest.json").write_text('{"version": 1, "images": {}}')
    assert run("export", "jekyll", site, "--copy-to", copies).code == 2
    assert sorted(victim.folder.rglob("*")) == there


def test_a_configuration_replaces_no_link(run: Command, site: Path, victim: Victim) -> None:
    plant(site / "nginx.conf", victim.file)
    plant(site / ".nginx.conf.imgcache-part", victim.file)
    assert run("export", "nginx", site, "--output", site / "nginx.conf").code == 2
    assert run("export", "nginx", site, "--output", site / "nginx.conf", "--force").code == 0
    assert victim.is_unharmed


# -- the root ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x"])
def test_no_name_leads_outside_a_root(tmp_path: Path, name: str) -> None:
    with OutputFolder(tmp_path / "root") as root, pytest.raises(ValueError, match="is not a name below the folder"):
        root.write(name, b"")


WRITERS: dict[str, Callable[[OutputFolder, Path], object]] = {
    "write": lambda root, _: root.write("a/b/c", b"new"),
    "link": lambda root, source: root.link(source, "a/b/c"),
    "copy": lambda root, source: root.copy(source, "a/b/c"),
    "remove": lambda root, _: root.remove("a/b/file"),
    "remove_folder": lambda root, _: root.remove_folder("a/b/empty"),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("place", ["a", "a/b"])
def test_every_writer_of_a_root_refuses_a_link(tmp_path: Path, victim: Victim, writer: str, place: str) -> None:
    (victim.folder / "b").mkdir()
    for folder in (victim.folder, victim.folder / "b"):
        (folder / "empty").mkdir()
        (folder / "file").write_text(KEPT)
    source = tmp_path / "source"
    Image.new("RGB", (1, 1)).save(source, "png")
    before = sorted(victim.folder.rglob("*"))
    plant(tmp_path / "root" / place, victim.folder)
    with OutputFolder(tmp_path / "root") as root, pytest.raises(NotADirectoryError):
        WRITERS[writer](root, source)
    assert sorted(victim.folder.rglob("*")) == before


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path, victim: Victim) -> None:
    """A descriptor stays valid for its folder when another folder gets its name."""
    with OutputFolder(tmp_path / "root") as root:
        root.write("a/b", b"first")
        with root.folder_of("a/b") as (folder, _):
            (tmp_path / "root/a").rename(tmp_path / "root/moved")
            plant(tmp_path / "root/a", victim.folder)
            os.close(os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    assert (tmp_path / "root/moved/new").exists()
    assert victim.is_unharmed


# -- all writers -------------------------------------------------------------------------------------------------------

OPENS = {"write_bytes", "write_text", "touch", "symlink_to", "copyfile", "copy2"}
# Into folders that this program has just made, or with the mode and times of an article that was opened without links.
ALLOWED = {
    "auditor/git_folder.py",
    "processor/variants.py",
    "wiring/ignoring.py",  # with O_EXCL, which follows no link
    "cache/index/read_only.py",
    "core/no_follow.py",
    "manifest/article_file.py",
    "server/remote_manifest.py",
}


def _writes(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute | ast.Name):
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
    modes = [one.value for one in ast.walk(call) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    opens = name == "open" and any(
        re.fullmatch(r"[rwxa][bt+]*", mode) and mode not in {"r", "rb", "rt"} for mode in modes
    )
    return opens or (name in OPENS and isinstance(call.func, ast.Attribute))


def test_no_module_opens_files_for_writing_directly() -> None:
    package = Path(imgcache.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _writes(node)
    }
    assert found - ALLOWED == {"downloader/http/body.py"}, "which opens with `open_new`"
