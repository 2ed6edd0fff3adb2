"""The files of a site: what stands in them before and after a run, and what reports say of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

_FLAG_LINE = re.compile(rb"^[ \t]*isCached: true[ \t]*\r?\n", re.MULTILINE)
_FRONT_MATTER = re.compile(rb"\A(?:\xef\xbb\xbf)?---[ \t]*\r?\n(.*?\n)---[ \t]*\r?(?:\n|\Z)", re.DOTALL)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def articles(site: Path) -> dict[str, bytes]:
    """Every file of the site outside the cache."""
    return {name: data for name, data in tree(site).items() if not name.startswith("cache/")}


def manifest(site: Path) -> dict[str, dict[str, Any]]:
    """The images of manifest.json, by URL."""
    images: dict[str, dict[str, Any]] = json.loads((site / "cache/manifest.json").read_text())["images"]
    return images


def codes(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and severity of each problem of a report."""
    return [(problem["code"], problem["severity"]) for problem in report["problems"]]


def strike(site: Path) -> int:
    """Remove every flag line from every front matter. Returns how many there were."""
    struck = 0
    for path in [*site.rglob("*.md"), *site.rglob("*.html")]:
        data = path.read_bytes()
        head = _FRONT_MATTER.match(data)
        if head:
            text, count = _FLAG_LINE.subn(b"", head[1])
            path.write_bytes(data[: head.start(1)] + text + data[head.end(1) :])
            struck += count
    return struck


def unflagged(site: Path) -> list[str]:
    """The URLs of remote images in `images` lists that the site itself has not flagged."""
    found = []
    for path in site.rglob("*.md"):
        head = _FRONT_MATTER.match(path.read_bytes())
        for entry in (yaml.load(head[1], yaml.BaseLoader) if head else {}).get("images") or []:
            is_own = not entry["url"].startswith("http") or "smartableai.github.io" in entry["url"]
            if "isCached" not in entry and not is_own:
                found.append(entry["url"])
    return found
