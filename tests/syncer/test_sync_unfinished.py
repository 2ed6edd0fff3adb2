"""An unfinished sync: images with missing files do not count as cached, and the next sync continues."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from examples.origin import Answer, Origin, in_thread
from imgcache.core import ImgcacheError, Job, Outcome, WorkerLost
from imgcache.wiring import cluster
from tests.conftest import ROOT, Command, MakeSite, article, picture
from tests.support.site_files import codes, manifest, tree

A = "https://pictures.example/a.png"
ARTICLE = article((A, 100, 80))
FLAGGED = ARTICLE.replace("80\n", "80\n    isCached: true\n")
CONFIG = "variants: [{name: w64, width: 64, effort: 0}, {name: w32, width: 32, effort: 0}]\n"
BUDGET = ("--max-time", "1ms")

Damage = Callable[[Path], None]


def everything(site: Path) -> None:
    shutil.rmtree(site / "cache/assets")


def original(site: Path) -> None:
    next((site / "cache/assets").rglob("original.png")).unlink()


def variant(site: Path) -> None:
    next((site / "cache/assets").rglob("w32.webp")).unlink()


def recipes(site: Path) -> None:
    (site / "imgcache.yml").write_text("variants: [{name: w50, width: 50, effort: 0}]\n")


def nothing(site: Path) -> None:
    pass


def catalogue(site: Path) -> None:
    """The catalogue, which is also made again when `articles` or `flag` change."""
    (site / "cache/index/catalogue.db").unlink()


def moved(site: Path) -> None:
    """All files exist and look new."""
    (site / "cache").rename(site / "old")
    shutil.copytree(site / "old", site / "cache")
    shutil.rmtree(site / "old")


def comparable(report: dict[str, Any]) -> dict[str, Any]:
    """The report without what differs between a dry run and a real one."""
    return {key: value for key, value in report.items() if key not in {"seconds", "dry_run"}}


def is_flagged(site: Path, name: str) -> bool:
    return "isCached: true" in (site / name).read_text()


def listed(site: Path) -> set[str]:
    """The files that manifest.json names, each of which is there."""
    files = {file["path"] for entry in manifest(site).values() for file in entry["variants"]}
    files |= {entry["original"] for entry in manifest(site).values()}
    assert all((site / "cache" / path).is_file() for path in files)
    return files


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    with in_thread(Origin({})) as running:
        yield running


@pytest.fixture
def origin(server: Origin, run: Command) -> Origin:
    """One origin for all these tests, without requests so far; `run` connects to it."""
    server.answers.set(A, picture(100, 80))
    server.requests.clear()
    run.use(server)
    return server


@pytest.fixture(scope="module")
def pristine(server: Origin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site whose one image is cached; `cached` beside it is a copy."""
    site = tmp_path_factory.mktemp("unfinished") / "site"
    site.mkdir()
    (site / "a.md").write_text(ARTICLE)
    (site / "imgcache.yml").write_text(CONFIG)
    server.answers.set(A, picture(100, 80))
    with pytest.MonkeyPatch.context() as patch:
        run = Command(patch)
        run.use(server)
        assert run("sync", site, "--json").json()["cached"] == 1
    shutil.copytree(site, site.parent / "cached")
    return site


@pytest.fixture
def synced(pristine: Path, origin: Origin) -> Path:
    """The same site at the same place, and a second article with the image that no sync has read yet."""
    shutil.rmtree(pristine)
    shutil.copytree(pristine.parent / "cached", pristine)
    (pristine / "new.md").write_text(ARTICLE)
    return pristine


def catalogue_and_everything(site: Path) -> None:
    catalogue(site)
    everything(site)


LOST = [
    (catalogue_and_everything, ("--offline",)),
    (everything, ("--offline",)),
    (everything, BUDGET),
    (everything, ("--only-failed",)),
    (original, BUDGET),
    (variant, BUDGET),
    (variant, ("--only-failed",)),
    (recipes, BUDGET),
]


@pytest.mark.parametrize(("damage", "how"), LOST)
def test_an_incomplete_image_gets_no_flag_and_the_next_sync_completes_it(
    synced: Path, run: Command, origin: Origin, damage: Damage, how: tuple[str, ...]
) -> None:
    damage(synced)
    before = tree(synced)
    rehearsed = run("sync", synced, "--json", "--dry-run", *how)
    assert tree(synced) == before
    ended = run("sync", synced, "--json", *how)
    report = ended.json()
    assert (report["images"], report["cached"], report["flags_set"]) == (1, 0, 0)
    assert (rehearsed.code, comparable(rehearsed.json())) == (ended.code, comparable(report))
    assert not is_flagged(synced, "new.md")
    assert is_flagged(synced, "a.md") == (how != BUDGET)  # that one looked at everything, and had no time for more
    lost = damage in (everything, catalogue_and_everything, original)
    assert bool(listed(synced)) != lost
    report = run("sync", synced, "--json").json()
    assert (report["cached"], report["fetched"], report["problems"]) == (1, int(lost), [])
    assert origin.requests[A] == lost
    assert is_flagged(synced, "new.md")
    assert is_flagged(synced, "a.md")
    assert len(listed(synced)) == (2 if damage is recipes else 3)


@pytest.mark.parametrize("how", [("--refresh", *BUDGET), ("--refresh", "--only-failed")])
@pytest.mark.parametrize("damage", [nothing, moved, catalogue])
def test_a_complete_copy_that_is_due_stays(synced: Path, run: Command, damage: Damage, how: tuple[str, ...]) -> None:
    damage(synced)
    report = run("sync", synced, "--json", *how).json()
    assert (report["cached"], report["flags_set"], report["flags_cleared"]) == (1, 1, 0)
    assert is_flagged(synced, "new.md")
    assert len(listed(synced)) == 3


@pytest.mark.parametrize("damage", [variant, recipes])
def test_offline_renders_missing_variants_from_the_original(synced: Path, run: Command, damage: Damage) -> None:
    damage(synced)
    report = run("sync", synced, "--json", "--offline").json()
    assert (report["cached"], report["flags_set"]) == (1, 1)


def test_a_url_is_cached_again_when_another_url_restores_the_same_bytes(
    synced: Path, run: Command, origin: Origin
) -> None:
    twin = "https://other.example/twin.png"
    origin.answers.set(twin, Answer(body=next(synced.rglob("original.png")).read_bytes()))
    (synced / "2030-01-01-twin.md").write_text(article((twin, 100, 80)))
    everything(synced)
    report = run("sync", synced, "--json", "--max-bytes", "1").json()  # enough for one
    assert (report["fetched"], report["cached"], report["flags_set"]) == (1, 2, 2)
    assert len(listed(synced)) == 3


def test_ctrl_c_during_the_fetch_sets_no_flag(synced: Path, origin: Origin) -> None:
    everything(synced)
    origin.answers.set(A, Answer(size=(100, 80), drip=10))
    command = [sys.executable, "-m", "imgcache", "sync", str(synced), "--json", *origin.connect_to]
    environment = {**os.environ, "SSL_CERT_FILE": str(origin.ca_file)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        until = time.monotonic() + 20
        while not origin.requests[A] and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b'"cached":0,' in out
    assert (is_flagged(synced, "a.md"), is_flagged(synced, "new.md")) == (True, False)
    assert manifest(synced) == {}


def test_an_object_store_without_inventory_is_listed(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(100, 80))
    site = make_site({"a.md": ARTICLE})
    place = site.parent / "store"
    where = ("--cache", f"file://{place}")
    run("sync", site, *where)
    (site / "new.md").write_text(ARTICLE)
    shutil.rmtree(place / "assets")
    (site / "cache/index/objects.db").unlink()  # as on another machine: the bucket has to be listed
    report = run("sync", site, "--json", "--offline", *where).json()
    assert (report["cached"], report["flags_set"]) == (0, 0)
    assert run("sync", site, "--json", *where).json()["fetched"] == 1


def test_a_dry_run_counts_what_it_would_fetch_as_cached(synced: Path, run: Command) -> None:
    everything(synced)
    report = run("sync", synced, "--json", "--dry-run").json()
    assert (report["fetched"], report["cached"], report["flags_set"], report["flags_cleared"]) == (1, 1, 1, 0)


def test_a_dry_run_reports_an_image_that_is_gone_for_good(synced: Path, run: Command, origin: Origin) -> None:
    origin.answers.set(A, Answer(status=410))
    assert run("sync", synced, "--json", "--refresh").json()["cached"] == 1  # the older copy
    everything(synced)
    rehearsed = run("sync", synced, "--json", "--dry-run").json()
    assert (rehearsed["cached"], rehearsed["flags_cleared"], codes(rehearsed)) == (0, 2, [("http-status", "error")])
    assert comparable(run("sync", synced, "--json").json()) == comparable(rehearsed)


# -- a refresh that fails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [variant, recipes])
def test_a_refresh_that_fails_still_renders_missing_variants(
    synced: Path, run: Command, origin: Origin, damage: Damage
) -> None:
    damage(synced)
    origin.answers.set(A, Answer(status=503))
    report = run("sync", synced, "--json", "--refresh").json()
    assert (report["cached"], report["failed"], codes(report)) == (1, 0, [("http-status", "warning")])
    assert is_flagged(synced, "new.md")
    assert len(listed(synced)) == (2 if damage is recipes else 3)


@pytest.mark.parametrize("how", ["--refresh", "--offline"])
def test_an_image_without_its_variants_is_not_cached(synced: Path, run: Command, origin: Origin, how: str) -> None:
    file = next((synced / "cache/assets").rglob("original.png"))
    file.write_bytes(bytes(file.stat().st_size))
    recipes(synced)
    origin.answers.set(A, Answer(status=503))
    report = run("sync", synced, "--json", how).json()
    wrong = "http-status" if how == "--refresh" else "not-an-image"
    assert (report["cached"], report["failed"], codes(report)) == (0, 1, [(wrong, "error")])
    assert not is_flagged(synced, "new.md")
    assert origin.requests[A] == (how == "--refresh")


# -- by workers --------------------------------------------------------------------------------------------------------


class IdleWorkers:
    """One worker that does no job: its time is up, or it fails."""

    def __init__(self, error: ImgcacheError | None = None) -> None:
        self.error = error
        self.asked = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def capacity(self) -> Mapping[str, int]:
        return {"worker": 4}

    async def run_shard(
        self, name: str, jobs: Sequence[tuple[str, Job]], near: str, seconds: float | None
    ) -> Mapping[int, Outcome]:
        self.asked += len(jobs)
        if self.error is not None:
            raise self.error
        return {}

    async def stop(self) -> None: ...


Connect = Callable[[ImgcacheError | None], IdleWorkers]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes `--dask` connect such a worker."""

    def connect(error: ImgcacheError | None) -> IdleWorkers:
        workers = IdleWorkers(error)

        @contextmanager
        def connected(*_: object) -> Iterator[IdleWorkers]:
            yield workers

        monkeypatch.setattr(cluster, "sync_workers", connected)
        return workers

    return connect


def test_an_image_that_workers_had_no_time_for_is_compared_with_the_disk(
    synced: Path, run: Command, connect: Connect
) -> None:
    everything(synced)
    workers = connect(None)
    report = run("sync", synced, "--json", "--dask", "here").json()
    assert (workers.asked, codes(report), report["cached"], report["flags_set"]) == (1, [("budget", "error")], 0, 0)
    assert not is_flagged(synced, "new.md")


@pytest.mark.parametrize(("damage", "held"), [(everything, 0), (recipes, 0), (nothing, 1)])
def test_an_image_that_kills_its_workers_keeps_a_complete_copy(
    synced: Path, run: Command, connect: Connect, damage: Damage, held: int
) -> None:
    damage(synced)
    connect(WorkerLost("dead"))
    report = run("sync", synced, "--json", "--dask", "here", "--refresh").json()
    assert (report["cached"], report["flags_set"], report["failed"]) == (held, held, 1 - held)
    assert codes(report) == [("worker-lost", "warning" if held else "error")]


def test_a_run_that_ends_in_an_error_clears_no_flag(synced: Path, run: Command, connect: Connect) -> None:
    everything(synced)
    (synced / "new.md").write_text(FLAGGED)
    connect(ImgcacheError("the scheduler is gone"))
    assert run("sync", synced, "--dask", "here").code == 2
    assert is_flagged(synced, "a.md")
    assert is_flagged(synced, "new.md")


# -- the progress bar --------------------------------------------------------------------------------------------------


class CountingProgress:
    """A progress bar that counts."""

    def __init__(self) -> None:
        self.waiting = 0
        self.running: Counter[str] = Counter()
        self.done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def scanned(self) -> None: ...

    def planned(self, images: int, waiting: int) -> None:
        self.waiting = waiting

    def started(self, host: str) -> None:
        self.running[host] += 1

    def ended(self, host: str, outcome: Outcome) -> None:
        assert self.running[host]
        self.running[host] -= 1
        self.done += 1


@pytest.mark.parametrize("how", [(), ("--offline",), ("--dry-run",)])
def test_the_progress_bar_counts_every_image(
    synced: Path, run: Command, origin: Origin, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...]
) -> None:
    others = [f"https://pictures.example/{n}.png" for n in range(3)]
    origin.answers.set(others[0], picture(30, 20))
    (synced / "b.md").write_text(article(*((url, 30, 20) for url in others)))
    for url in (A, others[1]):
        run("forget", url, synced)
    bar = CountingProgress()
    monkeypatch.setattr("imgcache.cli.sync.progress_for", lambda **_: bar)
    run("sync", synced, *how)
    assert (bar.waiting, bar.done, bar.running.total()) == (4, 4, 0)
