"""`imgcache sync` and articles: which are read, which flags are written, and what is not changed."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time

import pytest
from PIL import Image

from examples.origin import Answer, Origin
from tests.conftest import Command, MakeSite, article, picture
from tests.support.site_files import articles, codes, manifest

A = "https://pictures.example/a.jpg"
B = "http://pictures.example/b.png"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no name that is not UTF-8")
def test_a_name_that_is_not_utf_8_stops_no_other_article(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    (site / os.fsdecode(b"\xfcber")).mkdir()
    for name in (b"caf\xe9.md", b"\xfcber/b.md"):
        (site / os.fsdecode(name)).write_bytes((site / "a.md").read_bytes())
    for _ in range(2):
        ended = run("sync", site, "--json")
        report = ended.json()
        assert (ended.code, report["cached"]) == (1, 1), ended
        assert codes(report) == [("article-unreadable", "error")] * 2
        assert [one["references"][0]["article"] for one in report["problems"]] == ["caf\ufffd.md", "\ufffdber/b.md"]
        assert "its name is not UTF-8: rename" in report["problems"][0]["message"]
    assert b"isCached" not in (site / os.fsdecode(b"caf\xe9.md")).read_bytes()


def test_one_request_for_one_url_however_many_articles_use_it(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({f"{n}.md": article((A, 40, 30)) for n in range(12)})
    report = run("sync", site, "--json").json()
    assert (report["references"], report["images"], report["flags_set"]) == (12, 1, 12)
    assert origin.requests[A] == 1


def test_a_wrong_shape_is_a_problem_and_a_scaled_image_a_warning(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(300, 400))
    origin.answers.set(B, picture(200, 150))
    site = make_site({"a.md": article((A, 400, 300), (B, 400, 300))})
    ended = run("sync", site, "--json")
    report = ended.json()
    assert ended.code == 1
    assert sorted(codes(report)) == [("dimensions", "error"), ("dimensions", "warning")]
    assert (report["cached"], report["failed"], report["flags_set"]) == (2, 0, 1)
    text = (site / "a.md").read_text()
    assert text.count("isCached: true") == 1
    assert text.index("isCached") > text.index(B)


def test_dimensions_fix_writes_the_true_size(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300))})
    ended = run("sync", site, "--dimensions", "fix", "--json")
    assert (ended.code, ended.json()["problems"]) == (0, [])
    assert "    width: 300\n    height: 400\n    isCached: true\n" in (site / "a.md").read_text()
    before = articles(site)
    assert run("sync", site, "--json").json()["flags_set"] == 0
    assert articles(site) == before


def test_dimensions_ignore_reports_nothing(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300)), "imgcache.yml": "dimensions: ignore\n"})
    ended = run("sync", site, "--json")
    assert (ended.code, ended.json()["problems"], ended.json()["flags_set"]) == (0, [], 1)


def test_a_flag_is_removed_when_its_image_is_gone_and_the_original_bytes_are_back(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    origin.answers.set(B, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30), (B, 40, 30))})
    before = articles(site)
    run("sync", site)
    shutil.rmtree(site / "cache")
    origin.answers.set(A, Answer(status=404))
    origin.answers.set(B, Answer(status=410))
    report = run("sync", site, "--json").json()
    assert (report["flags_cleared"], report["failed"]) == (2, 2)
    assert articles(site) == before


def test_no_flag_is_cleared_if_no_host_answers(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    shutil.rmtree(site / "cache")
    origin.answers.set(A, Answer(down=True))
    run.use(origin)
    before = articles(site)
    report = run("sync", site, "--json").json()
    assert (report["flags_cleared"], codes(report)) == (0, [("connect", "error")])
    assert articles(site) == before


def test_a_url_that_is_refused_without_a_request_does_not_count_as_an_answer(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30), ("ftp://pictures.example/b.png", 1, 1))})
    run("sync", site)
    shutil.rmtree(site / "cache")
    origin.answers.set(A, Answer(down=True))
    run.use(origin)
    before = articles(site)
    assert b"isCached: true" in before["a.md"]
    report = run("sync", site, "--json").json()
    assert (report["flags_cleared"], codes(report)) == (0, [("bad-scheme", "error"), ("connect", "error")])
    assert articles(site) == before


def test_crlf_bom_mode_and_all_other_bytes_of_a_file_are_kept(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    text = "\ufeff" + article((A, 40, 30)).replace("\n", "\r\n")
    site = make_site({"a.md": text.encode()})
    (site / "a.md").chmod(0o640)
    run("sync", site)
    expected = text.replace("    height: 30\r\n", "    height: 30\r\n    isCached: true\r\n").encode()
    assert (site / "a.md").read_bytes() == expected
    assert stat.S_IMODE((site / "a.md").stat().st_mode) == 0o640


def test_own_images_are_checked_and_never_fetched_or_flagged(run: Command, origin: Origin, make_site: MakeSite) -> None:
    own = "https://news.example/site/img/here.png"
    config = "url: https://news.example\nbaseurl: /site\n"
    site = make_site({"_config.yml": config, "a.md": article((own, 20, 10), ("/img/not-here.png", 1, 1))})
    (site / "img").mkdir()
    Image.new("RGB", (10, 20)).save(site / "img/here.png")
    before = articles(site)
    report = run("sync", site, "--json").json()
    assert (report["images"], report["references"]) == (0, 2)
    assert codes(report) == [("dimensions", "error"), ("missing-file", "error")]
    assert (articles(site), origin.requests[own]) == (before, 0)


def test_provider_images_are_cached_and_not_flagged(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(50, 50))
    text = f"---\nprovider:\n  images:\n    - url: {A}\n      width: 50\n      height: 50\n---\n"
    site = make_site({"a.md": text})
    report = run("sync", site, "--json").json()
    assert (report["cached"], report["flags_set"]) == (1, 0)
    assert (site / "a.md").read_text() == text


def test_body_images_are_cached_by_the_url_that_the_article_has(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    url = "https://pictures.example/x.jpg?a=1&b=2"
    origin.answers.set(url, picture(40, 30))
    site = make_site({"a.md": f'---\ntitle: x\n---\n\n<img src="{url.replace("&", "&amp;")}">\n'})
    assert run("sync", site).code == 0
    assert list(manifest(site)) == [url]


def test_a_data_uri_is_counted_and_never_a_problem(run: Command, origin: Origin, make_site: MakeSite) -> None:
    site = make_site({"a.md": "---\ntitle: x\n---\n![x](data:image/gif;base64,R0lGODlhAQABAAAAACw=)\n"})
    ended = run("sync", site, "--json")
    assert (ended.code, ended.json()["references"], ended.json()["images"]) == (0, 1, 0)


def test_an_unreadable_article_is_reported_and_not_changed_and_the_others_are_done(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    bad = "---\ntitle: x\nimages:\n\t- url: y\n---\n"
    site = make_site({"bad.md": bad, "good.md": article((A, 40, 30))})
    ended = run("sync", site, "--json")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["code"], problem["references"][0]["line"]) == (1, "article-unreadable", 4)
    assert (site / "bad.md").read_text() == bad
    assert ended.json()["flags_set"] == 1


def test_an_article_that_did_not_change_is_not_read_again(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    past = time.time_ns() - 10**10
    os.utime(site / "a.md", ns=(past, past))
    run("sync", site)
    run("sync", site)
    text = (site / "a.md").read_bytes()
    stamp = (site / "a.md").stat().st_mtime_ns
    if time.time_ns() - stamp < 10**9:
        time.sleep(0.2)
        run("sync", site)
    (site / "a.md").write_bytes(b"\xff" * len(text))  # unreadable, but of the same size and time: nobody looks
    os.utime(site / "a.md", ns=(stamp, stamp))
    assert run("sync", site, "--json").json()["problems"] == []
