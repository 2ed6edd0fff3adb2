"""What status and show say of images whose files are gone, of what fails, and of articles that cannot be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from tests.conftest import A, Command, article, picture


def home(site: Path, url: str, run: Command) -> Path:
    """The folder of an image's files."""
    path = str(run("show", url, site, "--json").json()["asset"]["original"])
    return (site / "cache" / path).parent


def test_what_is_not_on_the_disk_is_not_cached(run: Command, synced: Path) -> None:
    shutil.rmtree(synced / "cache/assets")
    ended = run("status", synced)
    assert "0 cached, 2 missing, 0 failing" in ended.out
    assert "0 files" in ended.out
    assert ended.code == 0, "a sync fetches them: that is no problem yet"
    found = run("status", synced, "--json").json()
    assert (found["cached"], found["missing"], found["states"]["ok"]) == (0, 2, 0)
    assert run("sync", synced).code == 0
    assert "2 cached, 0 missing" in run("status", synced).out


@pytest.mark.parametrize(
    ("harm", "cached"),
    [
        (lambda home: (home / "w320.webp").unlink(), 1),
        (lambda home: (home / "original.jpg").unlink(), 1),
        (lambda home: (home / "original.jpg").rename(home / "original.png"), 1),
        (lambda home: (home / "stray.txt").write_text("x"), 2),
    ],
    ids=["a variant is gone", "the original is gone", "another name", "a file more"],
)
def test_an_image_is_cached_where_every_file_of_its_record_is_there(
    run: Command, synced: Path, harm: Callable[[Path], object], cached: int
) -> None:
    harm(home(synced, A, run))
    found = run("status", synced, "--json").json()
    assert (found["cached"], found["missing"]) == (cached, 2 - cached)


def test_an_image_that_lacks_a_variant_which_is_wished_is_not_cached(run: Command, synced: Path) -> None:
    (synced / "imgcache.yml").write_text("variants: [{name: w200, width: 200, format: webp}]\n")
    assert run("status", synced, "--json").json()["missing"] == 2
    run("sync", synced, "--offline")
    assert run("status", synced, "--json").json()["cached"] == 2
    (synced / "imgcache.yml").write_text("variants: []\n")
    assert run("status", synced, "--json").json()["cached"] == 2, "more than is wished"


def test_records_that_were_rebuilt_are_believed(run: Command, synced: Path) -> None:
    shutil.rmtree(synced / "cache/index")
    run("verify", synced)
    assert run("status", synced, "--json").json()["cached"] == 2


def test_an_image_with_a_focal_point_is_held_as_it_is_wished(run: Command, synced: Path) -> None:
    (synced / "imgcache.yml").write_text("variants: [{name: c, width: 60, height: 60, fit: cover}]\n")
    (synced / "a.md").write_text(article((A, 800, 600)).replace("height: 600", "height: 600\n    focus: [0.1, 0.2]"))
    run("sync", synced, "--offline")
    assert run("status", synced, "--json").json()["cached"] == 2
    (synced / "a.md").write_text((synced / "a.md").read_text().replace("0.1", "0.9"))
    assert run("status", synced, "--json").json()["cached"] == 1


def test_show_names_the_files_that_are_missing(run: Command, synced: Path) -> None:
    assert "missing" not in run("show", A, synced).out
    assert run("show", A, synced, "--json").json()["missing"] == []
    folder = home(synced, A, run)
    (folder / "w320.webp").unlink()
    gone = (folder / "w320.webp").relative_to(synced / "cache").as_posix()
    ended = run("show", A, synced)
    [line] = [line for line in ended.out.splitlines() if gone in line]
    assert line.endswith("missing")
    assert "files missing: 1 of 5" in ended.out
    shutil.rmtree(synced / "cache/assets")
    ended = run("show", A, synced)
    assert (ended.code, ended.out.count("  missing")) == (0, 5)
    assert "files missing: 5 of 5" in ended.out
    assert len(run("show", A, synced, "--json").json()["missing"]) == 5


def test_a_failing_image_is_held_as_long_as_its_files_are_there(run: Command, origin: Origin, synced: Path) -> None:
    origin.answers.set(A, Answer(status=404))
    run("sync", synced, "--refresh")
    ended = run("status", synced, "--json")
    found = ended.json()
    assert (ended.code, found["cached"], found["failing"], found["failures"][0]["is_held"]) == (0, 2, 0, True)
    shutil.rmtree(home(synced, A, run))
    ended = run("status", synced, "--json")
    found = ended.json()
    assert (ended.code, found["cached"], found["failing"], found["failures"][0]["is_held"]) == (1, 1, 1, False)
    assert (found["states"]["ok"], found["states"]["suspect"]) == (1, 1)


def test_a_flaky_image_whose_files_are_gone_does_not_make_another_one_less(
    run: Command, origin: Origin, synced: Path
) -> None:
    origin.answers.set(A, Answer(status=404))
    run("sync", synced, "--refresh")
    origin.answers.set(A, picture(800, 600))
    run("sync", synced, "--refresh")
    shutil.rmtree(home(synced, A, run))
    found = run("status", synced, "--json").json()
    assert (found["cached"], found["missing"]) == (1, 1)
    assert (found["states"]["ok"], found["states"]["flaky"]) == (1, 1)


def test_status_ends_with_1_where_it_lists_a_problem(run: Command, origin: Origin, synced: Path) -> None:
    assert run("status", synced).code == 0
    gone = "https://pictures.example/gone.png"
    (synced / "c.md").write_text(article((gone, 1, 1)))
    assert run("status", synced).code == 0
    origin.answers.set(gone, Answer(status=404))
    run("sync", synced)
    ended = run("status", synced)
    assert (ended.code, run("status", synced, "--json").code) == (1, 1)
    assert gone in ended.out


def test_status_names_the_articles_that_cannot_be_read(run: Command, synced: Path) -> None:
    (synced / "bad.md").write_text("---\nimages:\n\t- x\n---\n")
    ended = run("status", synced)
    assert ended.code == 1
    assert "error: article-unreadable (1)" in ended.out
    assert "bad.md:3:1" in ended.out
    ended = run("status", synced, "--json")
    [problem] = ended.json()["unreadable"]
    assert (ended.code, problem["code"], problem["url"]) == (1, "article-unreadable", None)
    assert [(place["article"], place["line"]) for place in problem["references"]] == [("bad.md", 3)]


def test_with_v_it_says_which_protections_hold(run: Command, synced: Path) -> None:
    assert "render workers: " in run("status", synced, "-v").err
    assert "render workers" not in run("status", synced).err
