"""What scripts/release builds, without the installs, which take minutes."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

from tests.conftest import ROOT


def test_a_release_is_built_and_has_what_a_user_needs(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts/releases/release_main.py", "--quick", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        (info,) = (name.rpartition("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(opened.read(f"{info}/METADATA").decode())
        entry_points = configparser.ConfigParser()
        entry_points.read_string(opened.read(f"{info}/entry_points.txt").decode())
    assert {name for name in names if name.startswith("imgcache/publisher/export/templates/")}
    assert {f"imgcache/publisher/plugins/{name}.py" for name in ("mkdocs", "sphinx", "pelican")} <= names
    assert {name.rpartition("/")[2] for name in names if "/share/man/man1/" in name} >= {
        "imgcache.1",
        "imgcache-sync.1",
    }
    assert dict(entry_points["mkdocs.plugins"]) == {"imgcache": "imgcache.mkdocs:ImgcachePlugin"}
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert {line.partition(", ")[0] for line in metadata.get_all("Project-URL", [])} == urls.keys()
    listed = (tmp_path / "contents.txt").read_text()
    assert "  imgcache/py.typed\n" in listed
    assert "tests/" not in listed


def test_the_account_is_named_in_one_place() -> None:
    """Elsewhere OWNER stands in examples, on pages that say what it is; those of CI say where it is written."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert len({"OWNER" in url for url in urls.values()}) == 1
    for path in (ROOT / "docs").rglob("*.md"):
        text = path.read_text()
        assert "OWNER/" not in text or "OWNER stands for the account that hosts imgcache" in text, path
    for path in (ROOT / "docs/ci.md", ROOT / "action.yml"):
        assert "`[project.urls]`" in path.read_text()
