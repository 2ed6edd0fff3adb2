"""The Python API from the outside: what programs, event loops and notebooks get, and what they are spared."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import imgcache
from examples.origin import Answer, Origin
from tests.conftest import A, B, Command, MakeSite, article, picture
from tests.support.built import page
from tests.support.site_files import articles, tree


@pytest.fixture
def site(origin: Origin, make_site: MakeSite) -> Path:
    """A site with two images that no sync has fetched yet."""
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    return make_site({"a.md": article((A, 800, 600), (B, 80, 60))})


def as_json(report: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(msgspec.json.encode(report))
    found.pop("seconds", None)
    return found


def test_sync_returns_the_report_that_json_prints(site: Path, run: Command, origin: Origin) -> None:
    report = imgcache.sync(site, connect_to=origin.connect_to[1::2])
    assert isinstance(report, imgcache.SyncReport)
    assert (report.fetched, report.cached, report.flags_set, report.problems) == (2, 2, 2, [])
    again = imgcache.sync(str(site))
    printed = run("sync", site, "--json").json()
    printed.pop("seconds")
    assert as_json(again) == printed
    assert origin.requests[A] == 1


def test_audit_returns_the_report_that_json_prints(site: Path, run: Command) -> None:
    report = imgcache.audit(site, offline=True)
    assert isinstance(report, imgcache.AuditReport)
    printed = run("audit", site, "--offline", "--json").json()
    found = json.loads(report.to_json())
    assert (found["summary"], found["findings"]) == (printed["summary"], printed["findings"])


def test_audit_fixes_what_is_certain(site: Path, run: Command, origin: Origin) -> None:
    (site / "b.md").write_text(article((A, 300, 300)))
    found = imgcache.audit(site, connect_to=origin.connect_to[1::2])
    assert "dimensions" in found.summary.by_rule
    left = imgcache.audit(site, fix=True, connect_to=origin.connect_to[1::2])
    assert "dimensions" not in left.summary.by_rule
    assert "width: 800\n    height: 600" in (site / "b.md").read_text()


def test_options_are_written_as_on_the_command_line(site: Path, origin: Origin) -> None:
    report = imgcache.sync(
        site, dry_run=True, max_time="10m", max_bytes="1GB", jobs=1, dimensions="fix", connect_to=origin.connect_to[1]
    )
    assert (report.dry_run, report.fetched, origin.requests[A]) == (True, 2, 0)
    assert imgcache.sync(site, dry_run=True, max_time=600, max_bytes=10**9).fetched == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_time": "soon"}, "max_time: 'soon' is not a quantity such as 10m"),
        ({"max_bytes": 0}, "max_bytes: 0 is not a quantity such as 1GB"),
        ({"jobs": 0}, "jobs: 0 is not a number from 1 to 256"),
        ({"connect_to": "here"}, "here is not HOST:PORT:HOST2:PORT2"),
        ({"dimensions": "guess"}, "dimensions: 'guess' is not one of check, fix, ignore"),
        ({"config": "no-such.yml"}, "no such file"),
        ({"site": "no-such-folder"}, "no-such-folder: no such folder"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(site: Path, options: dict[str, object], message: str) -> None:
    before = tree(site)
    with pytest.raises(imgcache.Error) as raised:
        imgcache.sync(**{"site": site, **options})  # type: ignore[arg-type]
    assert message in str(raised.value)
    assert isinstance(raised.value, imgcache.ConfigError)
    assert tree(site) == before


def test_sync_works_within_a_running_event_loop(site: Path, origin: Origin) -> None:
    threads: set[str] = set()

    async def main() -> imgcache.SyncReport:
        return imgcache.sync(
            site,
            connect_to=origin.connect_to[1::2],
            progress=lambda _: threads.add(threading.current_thread().name),
        )

    assert asyncio.run(main()).cached == 2
    assert all(name.startswith("imgcache") for name in threads)


def test_sync_runs_beside_other_work_of_an_event_loop(site: Path, origin: Origin) -> None:
    async def main() -> int:
        working = asyncio.create_task(asyncio.to_thread(imgcache.sync, site, connect_to=origin.connect_to[1::2]))
        turns = 0
        while not working.done():
            await asyncio.sleep(0)
            turns += 1
        assert (await working).cached == 2
        return turns

    assert asyncio.run(main()) > 10


def test_progress_ends_with_every_image_done(site: Path, origin: Origin) -> None:
    updates: list[imgcache.ProgressUpdate] = []
    imgcache.sync(site, connect_to=origin.connect_to[1::2], progress=updates.append)
    assert updates[0] == imgcache.ProgressUpdate(articles=1)
    assert updates[1] == imgcache.ProgressUpdate(articles=1, images=2, waiting=2)
    assert updates[-1][:4] == (1, 2, 2, 2)
    assert {update.url for update in updates[2:]} == {A, B}


def test_an_exception_of_the_callback_ends_the_run_and_finished_images_are_kept(site: Path, origin: Origin) -> None:
    class EnoughError(Exception):
        pass

    def stop(update: imgcache.ProgressUpdate) -> None:
        if update.done:
            raise EnoughError

    with pytest.raises(EnoughError):
        imgcache.sync(site, connect_to=origin.connect_to[1::2], progress=stop)
    assert len(imgcache.Manifest.open(site / "cache")) >= 1
    assert imgcache.sync(site, connect_to=origin.connect_to[1::2]).cached == 2


QUIET = """
import logging, pathlib, signal, sys
import imgcache
loggers = [logging.getLogger(), logging.getLogger("imgcache")]
imgcache.sync
def state():
    handlers = [handler for logger in loggers for handler in logger.handlers]
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return [(logger.level, logger.propagate) for logger in loggers], handlers, signals
before = state()
site, *connect_to = sys.argv[1:]
imgcache.sync(site, connect_to=connect_to)
pathlib.Path(site, "cache/manifest.json").write_text("{}")  # the next run logs a warning
imgcache.sync(site, offline=True)
imgcache.audit(site, offline=True)
sys.exit(state() != before)
"""


def test_a_script_prints_nothing_and_keeps_its_logging_and_signals(site: Path, origin: Origin) -> None:
    command = [sys.executable, "-W", "error", "-c", QUIET, str(site), *origin.connect_to[1::2]]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_ctrl_c_ends_a_script_and_finished_images_are_kept(site: Path, origin: Origin) -> None:
    slow = "https://slow.example/x.png"
    origin.answers.set(slow, Answer(size=(30, 20), delay=30))
    (site / "1999-01-01-b.md").write_text(article((slow, 30, 20)))
    script = "import imgcache, sys; imgcache.sync(sys.argv[1], connect_to=sys.argv[2:])"
    command = [sys.executable, "-c", script, str(site), *origin.connect_to[1::2]]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 60
        while not origin.requests[slow] and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in err.splitlines()[-1]
    assert (site / "cache/manifest.json").is_file()


def test_several_sites_share_a_cache(site: Path, origin: Origin, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text(article((A, 800, 600)))
    report = imgcache.sync([site, other], cache=tmp_path / "both", connect_to=origin.connect_to[1::2])
    assert (report.articles, report.cached, origin.requests[A]) == (2, 2, 1)


def test_a_busy_cache_is_an_error(site: Path) -> None:
    from imgcache.cache import CacheLock

    with CacheLock(site / "cache/index", command="gc", now=0.0), pytest.raises(imgcache.CacheBusy):
        imgcache.sync(site)


LIGHT = """
import sys
import imgcache
heavy = {"PIL", "httpx", "aiohttp", "msgspec", "click", "yaml", "sqlite3", "asyncio", "distributed"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}), imgcache.__version__, "sync" in dir(imgcache))
"""


def test_the_package_is_light_until_a_name_is_used() -> None:
    ended = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["[]", imgcache.__version__, "True"]


# -- the manifest ------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a text, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_manifest_maps_urls_to_what_is_held(synced: Path) -> None:
    manifest = imgcache.Manifest.open(synced / "cache")
    assert sorted(manifest) == [A, B]
    assert (len(manifest), A in manifest, "https://other.example/x.png" in manifest) == (2, True, False)
    entry = manifest[A]
    assert isinstance(entry, imgcache.ManifestEntry)
    assert (entry.width, entry.height, entry.media_type) == (800, 600, "image/jpeg")
    assert (synced / "cache" / entry.original).is_file()


def test_a_url_that_is_not_held_is_an_error_and_a_key_error(synced: Path) -> None:
    manifest = imgcache.Manifest.open(synced / "cache")
    for ask in (manifest.__getitem__, manifest.picture):
        with pytest.raises(imgcache.NotHeld) as raised:
            ask("https://other.example/x.png")
        assert isinstance(raised.value, imgcache.Error)
        assert isinstance(raised.value, KeyError)
        assert str(raised.value) == "no image of https://other.example/x.png is held; `imgcache sync` fetches it"
    assert manifest.get("https://other.example/x.png") is None


def test_a_picture_offers_files_that_are_there(synced: Path) -> None:
    manifest = imgcache.Manifest.open(synced / "cache", assets_url="https://images.example/assets")
    text = manifest.picture(A, alt='A "harbour" & <boats>', sizes="40em", loading="eager", class_="wide")
    elements = Elements(text).found
    assert [tag for tag, _ in elements] == ["picture", "source", "img"]
    image = elements[-1][1]
    assert (image["alt"], image["loading"], image["class"]) == ('A "harbour" & <boats>', "eager", "wide")
    assert (image["width"], image["height"]) == ("800", "600")
    assert all(attributes.get("sizes", "40em") == "40em" for _, attributes in elements[1:])
    offered = [str(image["src"])]
    for _, attributes in elements[1:]:
        offered += [file.split(" ")[0] for file in str(attributes["srcset"]).split(", ")]
    for url in offered:
        assert (synced / "cache/assets" / url.removeprefix("https://images.example/assets/")).is_file()


@pytest.mark.parametrize("content", ["{", '{"version": 99, "images": {}}'])
def test_a_manifest_that_cannot_be_read_is_an_error(synced: Path, content: str) -> None:
    (synced / "cache/manifest.json").write_text(content)
    with pytest.raises(imgcache.Error, match=r"manifest\.json"):
        imgcache.Manifest.open(synced / "cache")


def test_a_cache_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(imgcache.Error, match="imgcache sync"):
        imgcache.Manifest.open(tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    assert len(imgcache.Manifest.open(tmp_path / "cache")) == 0


def test_a_dry_run_changes_no_byte(site: Path) -> None:
    before = articles(site)
    imgcache.sync(site, dry_run=True)
    assert articles(site) == before


def test_scan_returns_the_report_that_json_prints(site: Path, run: Command) -> None:
    report = imgcache.scan(site)
    assert isinstance(report, imgcache.ScanReport)
    assert as_json(report) == run("scan", site, "--json").json()
    empty = site.parent / "empty"
    empty.mkdir()
    with pytest.raises(imgcache.ConfigError, match="no article found"):
        imgcache.scan(empty)


def test_rewrite_returns_the_report_that_json_prints(site: Path, run: Command, origin: Origin) -> None:
    built = site / "_site"
    built.mkdir()
    (built / "index.html").write_text(page(f'<img src="{A}" alt="">'))
    report = imgcache.rewrite(built, site, connect_to=origin.connect_to[1::2])
    assert isinstance(report, imgcache.RewriteReport)
    assert (report.changed, report.rewritten, report.left, report.problems) == (1, 1, 0, [])
    printed = run("rewrite", built, site, "--json").json()
    printed.pop("seconds")
    assert as_json(imgcache.rewrite(built, site)) == printed
    assert origin.requests[A] == 1
    with pytest.raises(imgcache.ConfigError, match="inside BUILT"):
        imgcache.rewrite(built, site, to="../elsewhere")
