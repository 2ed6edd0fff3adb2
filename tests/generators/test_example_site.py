"""The example of the tutorial, built with a real Jekyll: every image that can be had is local afterwards."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec

from examples.origin import Origin, answers_for, in_thread
from tests.conftest import ROOT
from tests.generators.conftest import imgcache

_OWN = "https://news.example/daily/"  # the site's own files, by their address


def test_the_example_site_is_built_by_jekyll_and_becomes_local(tmp_path: Path) -> None:
    site = tmp_path / "tutorial"
    shutil.copytree(ROOT / "examples/site", site, ignore=shutil.ignore_patterns("cache"))
    subprocess.run(["jekyll", "build", "--source", site, "--destination", site / "_site"], check=True)
    pages = sorted((site / "_site").rglob("*.html"))
    assert len(pages) > 10
    before = sum(page.read_text().count('<img src="http') for page in pages)
    with in_thread(Origin(answers_for(site))) as origin:
        ended = imgcache(origin, "rewrite", site / "_site", site, "--json")
    report = msgspec.json.decode(ended.stdout)
    assert (ended.returncode, report["rewritten"] > 20, report["problems"] != []) == (1, True, True)
    left = {problem["url"] for problem in report["problems"]}
    for page in pages:
        text = page.read_text().replace("&amp;", "&")
        shown = {"http" + part.partition('"')[0] for part in text.split('<img src="http')[1:]}
        assert {url for url in shown if not url.startswith(_OWN)} <= left, page
    assert before > len(left)
