"""The other commands, from the outside: status, show, verify, gc, forget, init, and what all commands share."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from imgcache.cli import COMMANDS, imgcache
from imgcache.lock import CacheLock
from tests.conftest import Command, MakeSite, article, picture
from tests.test_sync import articles, manifest, tree

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.png"


@pytest.fixture
def synced(run: Command, origin: Origin, make_site: MakeSite) -> Path:
    """A site with two images, both held."""
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": article((A, 800, 600)), "b.md": article((A, 800, 600), (B, 80, 60))})
    assert run("sync", site).code == 0
    return site


# -- status and show ---------------------------------------------------------------------------------------------------


def test_status_counts_and_touches_nothing(run: Command, origin: Origin, synced: Path) -> None:
    gone = "https://gone.example/x.png"
    (synced / "c.md").write_text(article((gone, 1, 1)))
    run("sync", synced)
    (synced / "d.md").write_text(article(("https://new.example/x.png", 1, 1)))
    before = {name: (synced / name).stat().st_mtime_ns for name in tree(synced)}
    ended = run("status", synced, "--json")
    found = ended.json()
    assert (found["images"], found["cached"], found["failing"], found["missing"]) == (4, 2, 1, 1)
    assert found["failures"][0]["references"][0]["article"] == "c.md"
    assert {name: (synced / name).stat().st_mtime_ns for name in tree(synced)} == before
    assert "2 cached, 1 missing, 1 failing, 0 forgotten" in run("status", synced).out


def test_status_of_a_site_that_was_never_synced(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article((A, 1, 1))})
    assert run("status", site, "--json").json()["missing"] == 1
    assert sorted(tree(site)) == ["a.md"]


def test_show_tells_all_of_one_image_in_either_order_of_arguments(run: Command, synced: Path) -> None:
    for words in ((A, synced), (synced, A)):
        shown = run("show", *words, "--json").json()
        assert shown["asset"]["width"] == 800
        assert [place["article"] for place in shown["references"]] == ["a.md", "b.md"]
    assert "used in 2 places" in run("show", A, synced).out
    assert run("show", "https://nobody.example/x", synced).code == 1


# -- verify ------------------------------------------------------------------------------------------------------------


def found_by_verify(run: Command, site: Path) -> set[str]:
    found = run("verify", site, "--json").json()["found"]
    assert isinstance(found, list)
    return {damage["code"] for damage in found}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_verify_finds_nothing_where_nothing_is_wrong(run: Command, synced: Path) -> None:
    ended = run("verify", synced)
    assert (ended.code, ended.out) == (0, "0 found\n")


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda site: flip(next(site.rglob("original.jpg"))), "damaged-blob"),
        (lambda site: flip(next(site.rglob("w640.webp"))), "damaged-blob"),
        (lambda site: next(site.rglob("w640.webp")).unlink(), "missing-blob"),
        (lambda site: next(site.rglob("original.jpg")).write_bytes(b""), "missing-blob"),
        (lambda site: next(site.rglob("original.jpg")).parent.rename(site / "elsewhere"), "record-without-blob"),
        (lambda site: (site / "cache/assets/00" / ("0" * 64)).mkdir(parents=True), "blob-without-record"),
        (lambda site: (site / "cache/manifest.json").write_text("{}"), "manifest"),
        (
            lambda site: (site / "b.md").write_text((site / "b.md").read_text().replace("    isCached: true\n", "", 1)),
            "copy-without-flag",
        ),
        (
            lambda site: (site / "c.md").write_text(
                article(("https://new.example/x.png", 1, 1)).replace("height: 1", "height: 1\n    isCached: true")
            ),
            "flag-without-copy",
        ),
    ],
)
def test_verify_finds_each_kind_of_damage_and_repair_mends_it(
    run: Command, synced: Path, harm: Callable[[Path], object], code: str
) -> None:
    good = tree(synced / "cache/assets") | {"manifest": (synced / "cache/manifest.json").read_bytes()}
    harm(synced)
    assert code in found_by_verify(run, synced)
    assert run("verify", synced).code == 1
    ended = run("verify", synced, "--repair", "--json")
    assert (ended.code, ended.json()["left"]) == (0, [])
    assert tree(synced / "cache/assets") | {"manifest": (synced / "cache/manifest.json").read_bytes()} == good


def test_a_variant_is_repaired_without_the_network(run: Command, origin: Origin, synced: Path) -> None:
    asked = origin.requests[A]
    flip(next(synced.rglob("w640.webp")))
    run("verify", synced, "--repair")
    assert origin.requests[A] == asked


# -- gc and forget -----------------------------------------------------------------------------------------------------


def test_gc_removes_what_no_article_uses(run: Command, synced: Path) -> None:
    (synced / "b.md").unlink()
    before = tree(synced / "cache/assets")
    assert run("gc", synced, "--dry-run", "--json").json()["copies"] == 1
    assert tree(synced / "cache/assets") == before
    assert run("gc", synced, "--json").json()["copies"] == 1
    assert list(manifest(synced)) == [A]
    assert len(list((synced / "cache/assets").glob("*/*"))) == 1
    assert run("verify", synced).code == 0


def test_gc_removes_nothing_while_an_article_cannot_be_read(run: Command, synced: Path) -> None:
    (synced / "b.md").write_text("---\nimages:\n\t- x\n---\n")
    before = tree(synced / "cache/assets")
    ended = run("gc", synced)
    assert (ended.code, tree(synced / "cache/assets")) == (1, before)
    assert "b.md:3" in ended.err


def test_forget_takes_an_image_out_and_keeps_it_out(run: Command, origin: Origin, synced: Path) -> None:
    before = origin.requests[A]
    assert run("forget", A, synced).code == 0
    assert list(manifest(synced)) == [B]
    assert "isCached" not in (synced / "a.md").read_text()
    assert (synced / "b.md").read_text().count("isCached") == 1
    ended = run("sync", synced, "--json")
    assert (ended.code, origin.requests[A], list(manifest(synced))) == (0, before, [B])
    run("forget", "--undo", A, synced)
    run("sync", synced)
    assert list(manifest(synced)) == [A, B]


# -- init --------------------------------------------------------------------------------------------------------------


def test_init_writes_a_file_that_changes_nothing_and_is_never_overwritten(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": "---\ntitle: x\n---\n"})
    assert run("init", site).code == 0
    assert run("sync", site).code == 0
    (site / "imgcache.yml").write_text("dimensions: fix\n")
    assert run("init", site).code == 2
    assert (site / "imgcache.yml").read_text() == "dimensions: fix\n"


def test_every_line_that_init_comments_out_is_a_valid_setting(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": "---\ntitle: x\n---\n"})
    run("init", site)
    lines = (site / "imgcache.yml").read_text().splitlines()
    settings = [line[2:] for line in lines if re.match(r"# ([a-z_]+:|  )", line)]
    (site / "imgcache.yml").write_text("\n".join(settings) + "\n")
    assert len(settings) > 25
    ended = run("sync", site)
    assert (ended.code, ended.err) == (0, "")


# -- what all commands share -------------------------------------------------------------------------------------------


def test_help_names_every_command_and_every_command_has_help(run: Command) -> None:
    listed = run("--help").out
    for name in COMMANDS:
        assert name in listed
        ended = run(name, "--help")
        assert ended.code == 0
        assert "Usage" in ended.out
    assert sorted(COMMANDS) == sorted(imgcache.list_commands(None))  # type: ignore[arg-type]


def test_every_command_is_in_the_readme() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    for name in COMMANDS:
        assert f"imgcache {name}" in readme, name


def test_a_wrong_setting_names_file_line_key_and_cure(run: Command, make_site: MakeSite) -> None:
    site = make_site({"imgcache.yml": "limits:\n  bytes: 5MB\n  pixel: 1\n"})
    ended = run("sync", site)
    assert ended.code == 2
    assert "imgcache.yml:3: unknown key `limits.pixel`; did you mean `limits.pixels`?" in ended.err


def test_a_flag_beats_the_environment_which_beats_the_file(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300)), "imgcache.yml": "dimensions: fix\n"})
    monkeypatch.setenv("IMGCACHE_DIMENSIONS", "ignore")
    assert run("sync", site, "--dimensions", "check").code == 1
    run("sync", site)
    assert "width: 400" in (site / "a.md").read_text()
    monkeypatch.delenv("IMGCACHE_DIMENSIONS")
    run("sync", site)
    assert "width: 300" in (site / "a.md").read_text()


@pytest.mark.parametrize("words", [["sync", "/no/such/folder"], ["sync", "--max-time", "soon"], ["sing"]])
def test_usage_errors_end_with_2(run: Command, words: list[str]) -> None:
    assert run(*words).code == 2


def test_a_held_cache_ends_with_3_and_names_the_holder(run: Command, synced: Path) -> None:
    before = tree(synced)
    with CacheLock(synced / "cache/index", command="sync", now=0.0):
        ended = run("sync", synced)
    assert ended.code == 3
    assert str(os.getpid()) in ended.err
    after = tree(synced)
    assert {name: data for name, data in after.items() if "index/" not in name} == {
        name: data for name, data in before.items() if "index/" not in name
    }


def test_ctrl_c_keeps_what_is_done(origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    slow = "https://slow.example/x.jpg"
    origin.answers.set(slow, Answer(size=(40, 30), drip=20))
    site = make_site({"a.md": article((A, 40, 30), (slow, 40, 30))})
    environment = os.environ | {"SSL_CERT_FILE": str(origin.ca_file)}
    words = [sys.executable, "-m", "imgcache", "sync", str(site), "--json", *origin.connect_to]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not list((site / "cache/assets").glob("*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert json.loads(out)["cached"] == 1
    assert (site / "a.md").read_text().count("isCached: true") == 1
    assert list(manifest(site)) == [A]
    assert b"what was finished is kept" in err


def test_colours_only_on_a_terminal_and_not_with_no_color(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article(("ftp://x.example/a.png", 1, 1))})
    ended = run("sync", site)
    assert "bad-scheme" in ended.out
    assert "\x1b[" not in ended.out


def test_json_logs_are_one_object_a_line(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, Answer(status=503))
    site = make_site({"a.md": article((A, 1, 1))})
    ended = run("sync", site, "-v", "--log-format", "json")
    for line in ended.err.splitlines():
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()


def test_an_article_changed_under_our_hands_is_left_alone(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    from imgcache.pipeline import Pipeline

    fetch = Pipeline.run

    async def edit_meanwhile(self: Pipeline, job: object) -> object:
        (site / "a.md").write_text(article((A, 40, 30), body="edited"))
        return await fetch(self, job)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "run", edit_meanwhile)
    ended = run("sync", site, "--json")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["code"], problem["retryable"]) == (1, "article-changed", True)
    assert (site / "a.md").read_text() == article((A, 40, 30), body="edited")
    monkeypatch.undo()


def test_the_caches_folder_is_never_scanned(run: Command, synced: Path) -> None:
    (synced / "cache/x.md").write_text(article((B, 1, 1)))
    (synced / "node_modules").mkdir()
    (synced / "node_modules/y.md").write_text(article((B, 1, 1)))
    before = articles(synced)
    assert run("sync", synced, "--json").json()["articles"] == 2
    assert articles(synced) == before
