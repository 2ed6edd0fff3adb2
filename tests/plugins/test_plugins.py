"""The plugins for MkDocs, Sphinx and Pelican, each in a real build, with every host led to an origin."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from examples.origin import Origin, in_thread
from imgcache import ConfigError
from imgcache.wiring.after_build import BuildFailed, rewrite_build
from tests.conftest import picture

PICTURE = "https://pictures.example/harbour.jpg"
GONE = "https://pictures.example/gone.jpg"
_SPHINX = "project = 'S'\nhtml_theme = 'basic'\nextensions = ['imgcache.sphinx']\nimgcache_options = %s\n"
_PELICAN = "AUTHOR = 'A'\nTIMEZONE = 'UTC'\nPATH = 'content'\nPLUGINS = ['imgcache.pelican']\nIMGCACHE = %s\n"


class Generator(msgspec.Struct):
    """A generator: the command that builds, the files of a project with one page, and the page that it writes."""

    command: tuple[str, ...]
    settings: tuple[str, str]  # the file, and its text with a place for options
    page: tuple[str, str]
    built: str


GENERATORS = {
    "mkdocs": Generator(
        ("mkdocs", "build"),
        ("mkdocs.yml", "site_name: S\nuse_directory_urls: false\nplugins:\n  - imgcache: %s\n"),
        ("docs/index.md", f"# One\n\n![]({GONE})\n\n![]({PICTURE})\n"),
        "site/index.html",
    ),
    "sphinx": Generator(
        ("sphinx", "-b", "html", ".", "_build"),
        ("conf.py", _SPHINX),
        ("index.rst", f"One\n===\n\n.. image:: {GONE}\n\n.. image:: {PICTURE}\n   :alt: A harbour\n"),
        "_build/index.html",
    ),
    "pelican": Generator(
        ("pelican", "content", "-s", "pelicanconf.py"),
        ("pelicanconf.py", _PELICAN),
        ("content/one.md", f"Title: One\nDate: 2026-01-01\nSlug: one\nSummary: s\n\n![]({GONE})\n\n![]({PICTURE})\n"),
        "output/one.html",
    ),
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_built_page_loads_the_local_image_and_one_that_is_gone_is_a_warning(tmp_path: Path, name: str) -> None:
    generator = GENERATORS[name]
    with in_thread(Origin({PICTURE: picture(400, 225)})) as origin:
        for path, text in ((generator.settings[0], generator.settings[1] % options(origin)), generator.page):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("IMGCACHE_")}
        ours = {"SSL_CERT_FILE": str(origin.ca_file), "IMGCACHE_FETCH__RETRIES": "0", "NO_COLOR": "1", "COLUMNS": "999"}
        ended = subprocess.run(
            [sys.executable, "-m", *generator.command],
            cwd=tmp_path,
            env=kept | ours,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended
    (said,) = (line for line in (ended.stdout + ended.stderr).splitlines() if "http-status" in line)
    assert "WARNING" in said
    assert f"imgcache: http-status: {GONE} the server answered 404" in said
    html = (tmp_path / generator.built).read_text()
    assert "assets/imgcache/" in html
    assert (GONE in html, PICTURE in html) == (True, False)
    assert (tmp_path / "cache" / "manifest.json").exists()


def options(origin: Origin) -> dict[str, object]:
    return {"connect_to": origin.connect_to[1::2]}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "out"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f'<img src="{GONE}" alt="">\n')
    return folder


def test_a_strict_plugin_fails_the_build_and_says_why(built: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("generator")
    assert rewrite_build(built, built.parent, {"offline": True, "strict": True}, log).left == 1
    with in_thread(Origin()) as origin, pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(origin.ca_file))
        with pytest.raises(BuildFailed, match="1 place left remote"):
            rewrite_build(built, built.parent, {**options(origin), "strict": True}, log)
    assert f"imgcache: http-status: {GONE}" in caplog.text
    assert "(out/index.html:1:11)" in caplog.text


def test_an_option_that_does_not_exist_is_named(built: Path) -> None:
    with pytest.raises(ConfigError, match="unknown option `ofline`; did you mean `offline`"):
        rewrite_build(built, built.parent, {"ofline": True}, logging.getLogger("generator"))


def test_paths_are_relative_to_the_project(built: Path) -> None:
    rewrite_build(built, built.parent, {"cache": "images", "offline": True}, logging.getLogger("generator"))
    assert (built.parent / "images").is_dir()
    assert not (built.parent / "cache").exists()
