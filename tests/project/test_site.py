"""The site of docs/: built strictly, and rewritten by imgcache, so that no page loads anything from another host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import ROOT
from tests.support.browsing import axe_violations, folder_served, watched

_PAGES = ("", "tutorial/", "reference/configuration/", "reference/commands/")


def test_the_site_builds_strictly_and_loads_nothing_from_other_hosts(tmp_path: Path, browser: Browser) -> None:
    """No broken link or anchor, no page that the navigation lacks; nothing remote, also by its scripts; accessible."""
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts/sites/site_main.py", tmp_path / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "No issues found" in ended.stdout + ended.stderr
    assert len(list((tmp_path / "site").rglob("*.html"))) > 40
    with folder_served(tmp_path / "site") as base, watched(browser, lambda url: url.startswith(base)) as watch:
        page = watch.page()
        for path in _PAGES:
            page.goto(base + path)
            assert axe_violations(page) == [], path


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    named = re.findall(r"^ *- (?:\w+: )?(\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(named) == sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))


def console_lines(text: str) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


_SMALL = "[{name: w160, width: 160}, {name: w320, width: 320}]"  # made in less time than the default
_NOT_RUN = ("imgcache serve", "scripts/", "source ")  # a server that does not end, and what made this environment


def test_the_commands_of_the_tutorial_do_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    lines = [line for line in console_lines((ROOT / "docs/tutorial.md").read_text()) if not line.startswith(_NOT_RUN)]
    assert "kill %1" in lines
    script = "\n".join(f"printf '\\n# {number} %s\\n' \"$?\"\n{line}" for number, line in enumerate(lines))
    bare = {key: value for key, value in os.environ.items() if not key.startswith("IMGCACHE_")}
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=bare
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        | {"IMGCACHE_FETCH__RETRIES": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    parts = re.split(r"\n# \d+ (\d+)\n", ended.stdout)
    outputs = dict(zip(lines, parts[2::2], strict=True))
    statuses = dict(zip(lines, parts[3::2], strict=False))
    sync = "imgcache sync tutorial $CONNECT"
    assert statuses[sync] == "1"
    assert ">     isCached: true" in outputs[next(line for line in lines if line.startswith("diff "))]
    page = outputs["cat built/index.html"]
    assert "assets/imgcache/" in page
    assert "srcset=" in page
    assert "images.example.com" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples"]
    may_fail = {sync, "kill %1", *(line for line in lines if line.startswith(("diff ", "imgcache audit")))}
    assert {line for line, status in statuses.items() if status != "0"} <= may_fail


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_every_page_has_one_title(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
