"""The pages that say how to publish a site: their settings are valid, and all name the same commands and folder."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/publish").glob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^\| (build command|build output directory) \| `(.*)` \|$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_host_rewrites_and_publishes_the_folder_that_is_built(page: Path) -> None:
    text = page.read_text()
    blocks = {kind: block for kind, block in _BLOCK.findall(text) if "imgcache rewrite" in block}
    rewrite = blocks["console"].splitlines()[-1].removeprefix("$ ")
    built = rewrite.removeprefix("imgcache rewrite ")

    steps = yaml.safe_load(blocks["yaml"])["jobs"]["publish"]["steps"]
    at = [step.get("run") for step in steps].index(rewrite)
    assert (steps[at + 1]["uses"].partition("@")[0], steps[at + 1]["with"]) == (
        "actions/upload-pages-artifact",
        {"path": built},
    )
    netlify = tomllib.loads(blocks["toml"])["build"]
    assert netlify["command"].endswith(f" && {rewrite}")
    assert netlify["publish"] == built
    assert dict(_CELL.findall(text)) == {"build command": netlify["command"], "build output directory": built}


def test_the_page_about_publishing_links_each_of_them() -> None:
    linked = re.findall(r"\]\((publish/\w+\.md)\)", (ROOT / "docs/publishing.md").read_text())
    assert sorted(linked) == [f"publish/{page.name}" for page in PAGES]
