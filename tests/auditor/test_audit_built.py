"""`imgcache audit --built`: what readers get is judged by the built pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import imgcache
from examples.origin import Answer, Origin
from imgcache.auditor import reports
from tests.conftest import A, B, Command, Ended, MakeSite, article, picture
from tests.support.pictures import noise, saved

Audit = Callable[..., Ended]
TRACKED = "https://other.example/c.png"
PAGE = f"""<!doctype html>
<html><body>
<p>ä <img src="{A}" alt="a harbour" width="40" height="30"></p>
<img src="{B}">
<img src="/own.png" alt="" width="4" height="4"> <img src='own.png' aria-hidden=true style="width: 1em; height: 1em">
<noscript><img src="{B}"></noscript>
<a href="{TRACKED}">full size</a>
<div style="background: url({TRACKED})"></div>
</body></html>
"""


@pytest.fixture
def built(synced: Path, origin: Origin) -> Path:
    """A built folder in a site whose two images are cached."""
    origin.answers.set(TRACKED, picture(10, 10))
    folder = synced / "_site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    (folder / "own.png").write_bytes(saved(noise((120, 90)), "PNG"))
    return folder


def by_rule(report: Any, *rules: str) -> dict[tuple[str, str], Any]:
    return {(one["rule"], one["url"]): one for one in report["findings"] if one["rule"] in rules}


def test_an_article_is_found_by_an_address_that_it_writes_for_html(
    audit: Audit, run: Command, tmp_path: Path, origin: Origin
) -> None:
    url = "https://pictures.example/photo.jpg?width=40&height=30"
    origin.answers.set(url, picture(40, 30))
    (tmp_path / "a.md").write_text(article((url.replace("&", "&amp;"), 40, 30)))
    assert run("sync", tmp_path, *origin.connect_to).code == 0
    (tmp_path / "_site").mkdir()
    (tmp_path / "_site/index.html").write_text(f'<img src="{url.replace("&", "&amp;")}" alt="">')
    report = audit(tmp_path, "--built", tmp_path / "_site", "--json").json()
    found = by_rule(report, "remote-image")["remote-image", url]
    assert [place["article"] for place in found["references"]] == ["_site/index.html", "a.md"]
    assert report["exposure"]["now"] > 0


def test_an_image_that_cannot_be_had_says_so_and_not_to_rewrite_again(
    audit: Audit, run: Command, tmp_path: Path, origin: Origin
) -> None:
    (tmp_path / "imgcache.yml").write_text("")
    (tmp_path / "_site").mkdir()
    (tmp_path / "_site/index.html").write_text(f'<img src="{A}" alt=""><img src="{TRACKED}" alt="">')
    origin.answers.set(A, Answer(status=404))
    origin.answers.set(TRACKED, picture(10, 10))
    (tmp_path / "a.md").write_text("no image")
    assert run("rewrite", tmp_path / "_site", tmp_path, *origin.connect_to).code == 1
    (tmp_path / "_site/new.html").write_text(f'<img src="{TRACKED}" alt="">')
    found = by_rule(audit(tmp_path, "--built", tmp_path / "_site", "--json").json(), "remote-image")
    assert "404" in found["remote-image", A]["message"]
    assert "imgcache rewrite" not in found["remote-image", A]["remedy"]
    assert "imgcache rewrite" in found["remote-image", TRACKED]["remedy"]


def test_pages_decide_what_readers_load_and_see(audit: Audit, synced: Path, built: Path) -> None:
    ended = audit(synced, "--built", built, "--json")
    assert ended.code == 0  # all of it is warnings
    report = ended.json()
    found = by_rule(report, "remote-image", "no-alt", "no-size", "oversized")
    assert found.keys() == {
        *(("remote-image", url) for url in (A, B, TRACKED)),
        ("no-alt", B),
        ("no-size", B),
        ("oversized", A),
        ("oversized", "/own.png"),
    }
    assert {one["severity"] for one in found.values()} == {"warning"}
    first = found["remote-image", A]
    assert (first["article"], first["line"], first["column"], first["field"]) == ("_site/index.html", 3, 16, "built")
    assert [place["article"] for place in first["references"]] == ["_site/index.html", "a.md", "b.md"]
    assert "800×600" in found["oversized", A]["message"]
    assert "675 times the 4×4" in found["oversized", "/own.png"]["message"]
    exposure = report["exposure"]
    assert [(line["article"], line["hosts"]) for line in exposure["articles"]] == [
        ("_site/index.html", ["other.example", "pictures.example"])
    ]
    assert exposure["hosts"] == 2
    assert exposure["now"] > 0


def test_without_built_the_articles_decide(audit: Audit, synced: Path, built: Path) -> None:
    report = audit(synced, "--json").json()
    assert by_rule(report, "remote-image", "no-alt", "no-size", "oversized") == {}
    assert report["exposure"]["articles"] == []


def test_a_rewritten_site_exposes_its_readers_to_no_other_host(
    run: Command, audit: Audit, origin: Origin, synced: Path, built: Path
) -> None:
    assert run("rewrite", built, synced, *origin.connect_to).code == 0
    report = audit(synced, "--built", built, "--json").json()
    assert report["exposure"]["hosts"] == 0
    found = by_rule(report, "remote-image", "no-alt", "no-size", "oversized")
    assert {rule for rule, _ in found} == {"no-alt", "oversized"}
    [(_, url)] = [key for key in found if key[0] == "no-alt"]
    assert [place["article"] for place in found["no-alt", url]["references"]] == ["_site/index.html", "b.md"]


def test_an_offline_audit_reads_built_pages_outside_the_site(audit: Audit, make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site({"a.md": article((A, 10, 10))})
    (folder := tmp_path / "public").mkdir()
    (folder / "index.html").write_text(f'<img src="{A}" alt="">')
    (folder / "bad.html").write_bytes(b'<meta charset="utf-16"><img src="https://a.example/b.png">\xff')
    before = {path: path.read_bytes() for path in folder.iterdir()}
    report = audit(site, "--built", folder, "--offline", "--json").json()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    places = by_rule(report, "remote-image")["remote-image", A]["references"]
    assert [place["article"] for place in places] == [f"{folder}/index.html", "a.md"]


def test_a_folder_without_pages_is_refused(audit: Audit, synced: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = audit(synced, "--built", tmp_path / "empty")
    assert (ended.code, ended.out) == (2, "")
    assert "has no HTML page" in ended.err


@pytest.mark.parametrize("form", reports.FORMATS)
def test_every_format_shows_the_findings(audit: Audit, synced: Path, built: Path, form: str) -> None:
    out = audit(synced, "--built", built, "--offline", "--format", form).out
    assert "no-alt" in out
    assert "_site/index.html" in out


def test_the_python_function_gives_the_same(synced: Path, built: Path) -> None:
    report = imgcache.audit(synced, built=built, offline=True)
    assert ("no-alt", B) in {(one.rule, one.url) for one in report.findings}
