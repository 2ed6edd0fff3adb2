"""Two sites beside each other that share one cache."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from examples.origin import Origin
from tests.conftest import Command, Ended, article, picture
from tests.support.aftermath import tree

BOTH = "https://pictures.example/both.jpg"
ONLY_A = "https://pictures.example/a.jpg"
ONLY_B = "http://other.example/b.png"
FLAG = "    isCached: true\n"
_drawn = io.BytesIO()
Image.new("RGB", (2, 2), "teal").save(_drawn, "PNG")
PNG = _drawn.getvalue()


class TwoSites:
    """Two sites beside each other, and the cache that they share."""

    def __init__(self, root: Path, run: Command, origin: Origin) -> None:
        self.root, self.run, self.origin = root, run, origin
        self.a, self.b, self.cache = root / "a", root / "b", root / "cache"
        for url in (BOTH, ONLY_A, ONLY_B):
            origin.answers.set(url, picture(40, 30))
        self.write("a/posts/one.md", article((BOTH, 40, 30), (ONLY_A, 40, 30)))
        self.write("b/posts/one.md", article((BOTH, 40, 30), (ONLY_B, 40, 30)))

    def write(self, path: str, text: str) -> None:
        """Writes a file below the folder of both sites."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def flags(self, path: str) -> int:
        """Returns the number of flags in an article."""
        return (self.root / path).read_text().count(FLAG)

    def __call__(self, command: str, *words: str | Path) -> Ended:
        """Runs a command on the shared cache."""
        return self.run(command, *words, "--cache", self.cache)

    def sync(self, *sites: Path, code: int = 0) -> dict[str, Any]:
        """Runs a sync and returns its report."""
        ended = self("sync", *sites, "--json")
        assert ended.code == code, ended
        return ended.json()

    @property
    def images(self) -> set[str]:
        """The URLs in manifest.json."""
        return set(json.loads((self.cache / "manifest.json").read_text())["images"])

    @property
    def files(self) -> dict[str, bytes]:
        """Every file of the sites and of their cache, but what is private to imgcache."""
        return {name: data for name, data in tree(self.root).items() if not name.startswith("cache/index/")}


def counts(report: dict[str, Any], *keys: str) -> list[int]:
    """Returns some numbers of a report."""
    return [report[key] for key in keys]
