"""`imgcache rewrite` where something ends it early or stands in its way, and with a cache in an object store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from examples.origin import Answer, Origin
from tests.conftest import A, B, Command, Ended, picture
from tests.support.built import page, snapshot
from tests.support.far_bucket import led_to_bucket
from tests.support.object_store import S3

URLS = [f"https://pictures.example/{number}.png" for number in range(12)]


@pytest.fixture
def rewrite(run: Command, origin: Origin) -> Callable[..., Ended]:
    """`imgcache rewrite` with every host led to the origin, which has A and B, and `URLS` after a moment."""
    origin.answers.set(A, picture(400, 300))
    origin.answers.set(B, picture(80, 60))
    for url in URLS:
        origin.answers.set(url, Answer(size=(30, 20), delay=0.2))

    def call(*words: str | Path) -> Ended:
        return run("rewrite", *words, *origin.connect_to)

    return call


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A site with a built folder of one page that has A and B."""
    folder = tmp_path / "site/_site"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(page(f'<img src="{A}" alt="">', f'<img src="{B}" alt="">'))
    (tmp_path / "site/imgcache.yml").write_text("variants: [{name: w, width: 100, effort: 0}]\n")
    return folder


def codes(ended: Ended) -> set[str]:
    return {one["code"] for one in ended.json()["problems"]}


@pytest.mark.parametrize("budget", [("--max-bytes", "400"), ("--max-time", "500ms")])
def test_a_budget_that_is_spent_leaves_the_rest_to_the_next_run(
    rewrite: Callable[..., Ended],
    built: Path,
    origin: Origin,
    monkeypatch: pytest.MonkeyPatch,
    budget: tuple[str, str],
) -> None:
    monkeypatch.setenv("IMGCACHE_FETCH__CONCURRENCY", "1")
    for number, url in enumerate(URLS):
        (built / f"{number:02}.html").write_text(page(f'<img src="{url}" alt="">'))
    (built / "index.html").write_text(page())
    ended = rewrite(built, *budget, "--json")
    report = ended.json()
    fetched = [url for url in URLS if origin.requests[url]]
    assert (ended.code, codes(ended)) == (1, {"budget"})
    assert 0 < len(fetched) < len(URLS)
    assert (report["fetched"], report["rewritten"], report["changed"]) == (len(fetched),) * 3
    assert report["left"] == len(URLS) - len(fetched) == len(report["problems"])
    local = {url for number, url in enumerate(URLS) if url not in (built / f"{number:02}.html").read_text()}
    assert local == set(fetched)
    report = rewrite(built, "--json").json()
    assert (report["rewritten"], report["left"], report["problems"]) == (len(URLS) - len(fetched), 0, [])
    assert {origin.requests[url] for url in URLS} == {1}


def test_a_page_that_is_saved_while_its_images_are_fetched_is_left(
    rewrite: Callable[..., Ended], built: Path, origin: Origin
) -> None:
    """Its new bytes were never searched: the next run does."""
    origin.answers.set(A, Answer(size=(400, 300), delay=0.5))
    newer = page(f'<img src="{A}" alt="">', "<p>saved meanwhile</p>")

    def save() -> None:
        until = monotonic() + 30
        while not origin.requests[A] and monotonic() < until:
            sleep(0.01)
        (built / "index.html").write_text(newer)

    author = Thread(target=save)
    author.start()
    ended = rewrite(built, "--json")
    author.join()
    assert (ended.code, codes(ended)) == (1, {"article-changed"})
    assert (built / "index.html").read_text() == newer
    report = rewrite(built, "--json").json()
    assert (report["changed"], report["left"], report["problems"]) == (1, 0, [])
    assert "<p>saved meanwhile</p>" in (built / "index.html").read_text()


@pytest.mark.parametrize("link", ["assets", "assets/imgcache"])
def test_no_image_is_put_through_a_link_that_leads_out_of_the_folder(
    rewrite: Callable[..., Ended], built: Path, tmp_path: Path, link: str
) -> None:
    before = (built / "index.html").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    (built / link).parent.mkdir(exist_ok=True)
    (built / link).symlink_to(tmp_path / "elsewhere")
    ended = rewrite(built)
    assert (ended.code, "_site/assets/imgcache: leads out of BUILT by a symbolic link" in ended.err) == (2, True)
    assert (built / "index.html").read_bytes() == before
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_cache_in_an_object_store(
    rewrite: Callable[..., Ended], built: Path, s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch, origin: Origin
) -> None:
    """The files come from the bucket, each once; a page that is built anew needs no request to the images' host."""
    far = led_to_bucket(s3, run, monkeypatch)
    source = (built / "index.html").read_bytes()
    ended = rewrite(built, "--cache", far.url, "--json")
    assert (ended.code, ended.json()["fetched"], ended.json()["rewritten"]) == (0, 2, 2)
    text = (built / "index.html").read_text()
    placed = [path for path in (built / "assets/imgcache").rglob("*") if path.is_file() and path.name[0] != "."]
    assert placed
    for path in placed:
        assert path.relative_to(built).as_posix() in text
        assert path.read_bytes() == far.read(f"assets/{path.relative_to(built / 'assets/imgcache').as_posix()}")
    assert sorted(path.name for path in (built / "assets").iterdir()) == ["imgcache"]
    after, asked = snapshot(built), dict(origin.requests)
    (built / "index.html").write_bytes(source)
    assert rewrite(built, "--cache", far.url, "--offline", "--json").json()["changed"] == 1
    known = len(far.s3.requests())
    assert rewrite(built, "--cache", far.url, "--json").json()["changed"] == 0
    assert not [line for line in far.s3.requests()[known:] if f"{far.name}/the/prefix/assets/" in line]
    assert (snapshot(built), dict(origin.requests)) == (after, asked)
