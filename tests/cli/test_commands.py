"""The other commands, from the outside: status, show, gc, forget, init, and what all commands share."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from examples.origin import Answer, Origin
from imgcache.cache import CacheLock
from imgcache.cli import COMMANDS, imgcache
from imgcache.cli.init import TEMPLATE
from imgcache.config.schema import SETTINGS
from tests.conftest import A, B, Command, MakeSite, article, picture
from tests.support.site_files import articles, manifest, tree

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


def test_undo_of_forget_tells_in_json_what_it_did(run: Command, synced: Path) -> None:
    run("forget", A, synced)
    for was_forgotten in (True, False):
        ended = run("forget", "--undo", A, synced, "--json")
        assert (ended.code, ended.json()) == (0, {"url": A, "was_forgotten": was_forgotten})
    assert run("forget", "--undo", A, synced).out == "it was not forgotten\n"


def test_gc_counts_every_file_that_it_removes_with_its_bytes(run: Command, synced: Path) -> None:
    folder = next(synced.rglob("original.jpg")).parent
    (folder / "old.webp").write_bytes(b"x" * 1000)
    nobody = synced / "cache/assets/00" / ("0" * 64)
    nobody.mkdir(parents=True)
    (nobody / "original.png").write_bytes(b"y" * 200)
    before = tree(synced / "cache/assets")
    dry = run("gc", synced, "--dry-run", "--json").json()
    assert tree(synced / "cache/assets") == before
    assert (dry["files"], dry["bytes"]) == (2, 1200)
    assert run("gc", synced, "--json").json() == dry
    (synced / "b.md").unlink()
    before = tree(synced / "cache/assets")
    removed = run("gc", synced, "--json").json()
    after = tree(synced / "cache/assets")
    assert (removed["files"], removed["bytes"]) == (
        len(before) - len(after),
        sum(map(len, before.values())) - sum(map(len, after.values())),
    )


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
    named = yaml.safe_load("\n".join(settings))
    flat = {f"{key}.{inner}" for key, value in named.items() if isinstance(value, dict) for inner in value}
    assert flat | {key for key, value in named.items() if not isinstance(value, dict)} == SETTINGS.keys()
    ended = run("sync", site)
    assert (ended.code, ended.err) == (0, "")


def test_init_has_the_options_of_all_commands(
    run: Command, make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site({"a.md": "---\ntitle: x\n---\n"})
    ended = run("init", site, "-q")
    assert (ended.code, ended.out, (site / "imgcache.yml").read_text()) == (0, "", TEMPLATE)
    named = tmp_path / "other.yml"
    assert f"{named} written" in run("init", site, "--config", named).out
    assert named.read_text() == TEMPLATE
    ended = run("init", site, "--config", tmp_path / "no/such/folder.yml", "-v")
    assert (ended.code, "folder.yml: cannot be written" in ended.err) == (2, True)
    monkeypatch.setenv("IMGCACHE_CONFIG", str(tmp_path / "third.yml"))
    assert run("init", site, "--cache", tmp_path / "c").code == 0
    assert (tmp_path / "third.yml").read_text() == TEMPLATE


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
    readme = (Path(__file__).parents[2] / "README.md").read_text()
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


def logged(text: str) -> list[dict[str, object]]:
    """The lines of a log in JSON."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line.keys() == {"time", "level", "logger", "message"} for line in lines)
    return lines


def test_json_logs_are_one_object_a_line(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__RETRIES", "1")
    origin.answers.set(A, Answer(status=503, headers={"Retry-After": "0"}))
    ended = run("sync", make_site({"a.md": article((A, 1, 1))}), "-v", "--log-format", "json")
    assert "503" in str([line["message"] for line in logged(ended.err)])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sync", "SITE", "--config", "nowhere.yml"], 2, "nowhere.yml: no such file"),
        (["sync", "SITE", "--max-time", "soon"], 2, "'soon' is not a quantity"),
        (["sync", "SITE", "--no-such-flag"], 2, "No such option"),
        (["sink", "SITE"], 2, "No such command 'sink'"),
        (["init", "SITE"], 2, "exists already"),
        (["gc", "SITE"], 1, "bad.md:3:1"),
    ],
)
@pytest.mark.parametrize("form", [["--log-format", "json"], ["--log-format=json"]])
def test_errors_are_json_where_the_log_is(
    run: Command, make_site: MakeSite, words: list[str], code: int, said: str, form: list[str]
) -> None:
    site = make_site({"imgcache.yml": "", "bad.md": "---\nimages:\n\t- x\n---\n"})
    words = [str(site) if word == "SITE" else word for word in words]
    ended = run(*words, *form)
    lines = logged(ended.err)
    assert (ended.code, ended.out) == (code, "")
    assert {line["level"] for line in lines} == {"error"}
    assert said in str(lines[0]["message"])
    plain = run(*words)
    assert said in plain.err
    assert not plain.err.startswith("{")


def test_an_article_changed_under_our_hands_is_left_alone(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    from imgcache.syncer import Pipeline

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


# -- the end of a sync, in words ---------------------------------------------------------------------------------------


def lines_of(text: str) -> dict[str, str]:
    """The table at the end of a sync: what stands behind each word."""
    found = re.findall(r"^ *([a-z ]+?)  (.+)$", text, re.MULTILINE)
    return dict(found)


def test_a_dry_run_says_what_would_be(run: Command, other_shape: Path) -> None:
    said = lines_of(run("sync", other_shape, "--dry-run").out)
    assert (said["images"], said["would be fetched"]) == ("1, 1 of them would be cached", "1 (0 B)")
    said = lines_of(run("sync", other_shape).out)
    assert (said["images"], "sizes" in said) == ("1, 1 of them cached", False)
    words = ("sync", other_shape, "--dimensions", "fix")
    before = articles(other_shape)
    ended = run(*words, "--dry-run")
    assert (lines_of(ended.out)["sizes"], articles(other_shape)) == ("1 would be fixed", before)
    assert run(*words, "--dry-run", "--json").json()["sizes_fixed"] == 1
    ended = run(*words)
    assert (lines_of(ended.out)["sizes"], articles(other_shape) != before) == ("1 fixed", True)
    assert run(*words, "--json").json()["sizes_fixed"] == 0
