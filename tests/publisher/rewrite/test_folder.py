"""A whole built folder rewritten: odd files, files beside a page, and runs that are killed."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import ROOT, A, B, Command, Ended, article, picture
from tests.support.built import page, snapshot

IMAGE = f'<img src="{A}" alt="">'
CHANGED = "article-changed"
UNREADABLE = "article-unreadable"


@pytest.fixture
def rewrite(run: Command, origin: Origin) -> Callable[..., Ended]:
    """`imgcache rewrite` with every host led to the origin, which has A and B."""
    origin.answers.set(A, picture(400, 300))
    origin.answers.set(B, picture(80, 60))

    def call(*words: str | Path) -> Ended:
        return run("rewrite", *words, *origin.connect_to)

    return call


@pytest.fixture
def built(run: Command, rewrite: Callable[..., Ended], tmp_path: Path) -> Path:
    """A built folder of one page, in a site that holds both images."""
    site = tmp_path / "site"
    (site / "_site").mkdir(parents=True)
    (site / "a.md").write_text(article((A, 400, 300), (B, 80, 60)))
    (site / "_site/index.html").write_text(page(IMAGE))
    assert run("sync", site).code == 0
    return site / "_site"


def codes(ended: Ended) -> list[tuple[str, str]]:
    return [(one["code"], one["references"][0]["article"]) for one in ended.json()["problems"]]


# -- odd files -------------------------------------------------------------------------------------------------------


def test_a_page_that_cannot_be_decoded_is_left_and_reported(rewrite: Callable[..., Ended], built: Path) -> None:
    data = b'<meta charset="utf-8">' + IMAGE.encode() + b"\xff"
    (built / "bad.html").write_bytes(data)
    for _ in range(2):
        ended = rewrite(built, "--json")
        assert (ended.code, codes(ended)) == (1, [(UNREADABLE, "_site/bad.html")])
        assert (built / "bad.html").read_bytes() == data
    assert A not in (built / "index.html").read_text()


def test_a_link_out_of_the_folder_is_reported_and_not_followed(
    rewrite: Callable[..., Ended], built: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.html"
    outside.write_text(page(IMAGE))
    (built / "linked.html").symlink_to(outside)
    (built / "inside.html").symlink_to(built / "index.html")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/index.html").write_text(page(IMAGE))
    (built / "folder").symlink_to(tmp_path / "elsewhere")
    ended = rewrite(built, "--json")
    assert (ended.code, codes(ended)) == (0, [(UNREADABLE, "_site/folder"), (UNREADABLE, "_site/linked.html")])
    assert A in outside.read_text()
    assert A in (tmp_path / "elsewhere/index.html").read_text()
    assert (built / "inside.html").is_symlink()


def test_a_page_that_changes_while_it_is_rewritten_is_left(
    rewrite: Callable[..., Ended], built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is saved again after its new bytes were computed, and before they are written."""
    from imgcache.publisher.rewrite import writing

    newer = page(IMAGE, "<p>saved meanwhile</p>")

    def save_and_refresh(*_: object) -> None:
        (built / "index.html").write_text(newer)

    monkeypatch.setattr(writing, "refresh_compressed_copies", save_and_refresh)
    ended = rewrite(built, "--json")
    assert (ended.code, codes(ended)) == (1, [(CHANGED, "_site/index.html")])
    assert (built / "index.html").read_text() == newer
    monkeypatch.undo()


def test_json_of_another_kind_may_be_in_any_form(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "search.json").write_text("// a comment\n{}")
    assert rewrite(built).code == 0


def test_files_of_others_in_the_folder_of_images_stay(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "assets/imgcache").mkdir(parents=True)
    (built / "assets/imgcache/mine.txt").write_text("mine")
    assert rewrite(built).code == 0
    (built / "index.html").unlink()
    (built / "other.html").write_text(page())
    assert rewrite(built).code == 0
    left = sorted(path.name for path in (built / "assets/imgcache").rglob("*") if path.is_file())
    assert left == [".imgcache-export", "mine.txt"]


def test_only_what_pages_ask_for_is_placed(rewrite: Callable[..., Ended], built: Path) -> None:
    assert rewrite(built).code == 0
    text = (built / "index.html").read_text()
    placed = [path for path in (built / "assets/imgcache").rglob("*") if path.is_file() and path.name[0] != "."]
    assert placed
    for path in placed:
        assert path.relative_to(built).as_posix() in text
        assert path.stat().st_nlink == 2  # a hard link to the file of the cache


# -- beside a page ---------------------------------------------------------------------------------------------------


def test_compressed_copies_are_made_anew_or_removed(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "index.html.gz").write_bytes(gzip.compress(b"old"))
    (built / "index.html.zst").write_bytes(b"old")
    (built / "plain.html").write_text(page())
    (built / "plain.html.gz").write_bytes(b"as it was")
    assert rewrite(built).code == 0
    assert gzip.decompress((built / "index.html.gz").read_bytes()) == (built / "index.html").read_bytes()
    assert not (built / "index.html.zst").exists()
    assert (built / "plain.html.gz").read_bytes() == b"as it was"


def test_a_checksum_of_a_changed_file_is_reported(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "style.css").write_text(f"p {{ background: url({B}) }}")
    (built / "plain.css").write_text("p { margin: 0 }")
    links = [f'<link rel="stylesheet" href="/{name}" integrity="sha384-abc">' for name in ("style.css", "plain.css")]
    (built / "index.html").write_text(page("").replace("</head>", f"{''.join(links)}</head>"))
    ended = rewrite(built, "--json")
    assert (ended.code, codes(ended)) == (1, [("integrity", "_site/index.html")])


def test_a_list_of_a_service_worker_is_reported(rewrite: Callable[..., Ended], built: Path) -> None:
    (built / "sw.js").write_text('precache([{url:"index.html",revision:"abc"},{url:"x.png",revision:"d"}])')
    ended = rewrite(built, "--json")
    assert (ended.code, codes(ended)) == (0, [("precache", "_site/sw.js")])


# -- many pages, and kills -------------------------------------------------------------------------------------------


def test_many_pages_are_rewritten_by_several_processes(rewrite: Callable[..., Ended], built: Path) -> None:
    for number in range(200):
        (built / f"{number}.html").write_text(page(IMAGE, f"<p>{number}</p>"))
    report = rewrite(built, "--jobs", "2", "--json").json()
    assert (report["changed"], report["rewritten"], report["left"]) == (201, 201, 0)
    texts = {path.name: path.read_text() for path in built.glob("*.html")}
    assert all(A not in text for text in texts.values())
    assert all(f"<p>{number}</p>" in texts[f"{number}.html"] for number in range(200))
    assert rewrite(built, "--json").json()["changed"] == 0


@pytest.fixture
def command(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts `imgcache rewrite --offline` on the folder, as a process of its own group."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "imgcache", "rewrite", str(built), "--offline", "--jobs", "2"]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_kill_leaves_whole_files_and_images_that_load(
    rewrite: Callable[..., Ended], built: Path, command: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """Killed while pages are written, several times; the next run ends the work, and leaves nothing behind."""
    number = 400
    old = {f"{one}.html": page(IMAGE, f"<p>{one}</p>") for one in range(number)}
    for name, text in old.items():
        (built / name).write_text(text)
    for share in (0.1, 0.5):
        process = command()
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            if sum(A not in (built / name).read_text() for name in old) > share * number:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.005)
        process.wait()
        for name, text in old.items():
            found = (built / name).read_text()
            assert found == text or (found.endswith("</html>\n") and A not in found)
            for part in found.split('"'):
                if part.startswith("assets/imgcache/") and " " not in part:
                    assert (built / part).is_file()
    assert rewrite(built, "--offline").code == 0
    assert not any(path.name.endswith("-part") for path in built.rglob("*"))
    after = snapshot(built)
    assert all(A.encode() not in after[name] for name in old)
    assert rewrite(built, "--offline", "--json").json()["changed"] == 0
    assert snapshot(built) == after


def test_an_interrupt_ends_the_run_with_its_own_status(
    built: Path, command: Callable[[], subprocess.Popen[bytes]]
) -> None:
    for one in range(400):
        (built / f"{one}.html").write_text(page(IMAGE, f"<p>{one}</p>"))
    process = command()
    while process.poll() is None and A in (built / "0.html").read_text():
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (0, 130)  # 0 where it was done before
