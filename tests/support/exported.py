"""What the tests of the exports share: a site with two images that are held, and what was written of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examples.origin import Origin, in_thread
from tests.conftest import Command, article, picture

A = "https://pictures.example/A.jpg?w=1&h=2"
B = "https://pictures.example/b.png"
GENERATED = {
    "jekyll": ("_data/imgcache.json", "_includes/imgcache.html"),
    "hugo": ("data/imgcache.json", "layouts/partials/imgcache.html"),
    "eleventy": ("_data/imgcache.json", "imgcache.shortcode.cjs"),
}
FOLDER = "assets/ab/ab" + "0" * 62


def synced_site(site: Path) -> Path:
    """Makes a site of this folder, with two images that are held."""
    site.mkdir()
    (site / "a.md").write_text(article((A, 1600, 900), (B, 200, 100)))
    answers = {A: picture(1600, 900), B: picture(200, 100)}
    with pytest.MonkeyPatch.context() as patch, in_thread(Origin(answers)) as server:
        run = Command(patch)
        run.use(server)
        assert run("sync", site).code == 0
    return site


def data(site: Path, name: str = "_data/imgcache.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site / name).read_text())
    return found


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with inode, size and time, which a run without changes must not change."""
    found = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*")}
    return {name: (seen.st_ino, seen.st_size, seen.st_mtime_ns) for name, seen in found.items()}
