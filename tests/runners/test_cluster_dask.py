"""Sync and audit with Dask workers in other processes give the same bytes as one machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import distributed
import msgspec
import pytest

from examples.origin import Answer, answers_for, in_thread
from examples.origin.drawing import draw
from imgcache.runners import dask_client, dask_worker
from tests.conftest import ROOT, Command, article
from tests.support.clusters import Result, Watched, processes, result, two_workers
from tests.support.object_store import S3
from tests.support.site_files import strike

_dask: Any = distributed
_TIMES = frozenset({"median", "seconds", "first_seen", "date", "day", "since", "days", "median_ms", "slowest_ms"})
_BROKEN = "https://missing.example/a.png"
_BIG = [f"https://big.example/{number}.png" for number in range(40)]  # more than a shard has, of one host
_EQUAL = ("https://one.example/same.png", "https://two.example/same.png")


@pytest.fixture(scope="module")
def pristine(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some articles of the real site, and one with failing images, all without flags."""
    site = tmp_path_factory.mktemp("pristine")
    for path in sorted((shared / "site").glob("_*/*.md"))[::9]:
        target = site / path.relative_to(shared / "site")
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    (site / "made.md").write_text(article((_BROKEN, 10, 10), (_EQUAL[0], 40, 30), (_EQUAL[1], 40, 30)))
    (site / "big.md").write_text(article(*((url, 40, 30) for url in _BIG)))
    (site / "imgcache.yml").write_text("variants: [{name: w64, width: 64, effort: 0}]\n")
    strike(site)
    return site


@pytest.fixture(scope="module")
def world(pristine: Path) -> Iterator[Watched]:
    """A slightly slow origin with the images of that site."""
    answers = answers_for(pristine)
    for url, answer in list(answers.items()):
        answers.set(url, dataclasses.replace(answer, delay=0.05))
    answers.set(_BROKEN, Answer(status=404))
    for url in _EQUAL:
        answers.set(url, Answer(body=draw((40, 30), "png", "same", "same"), media_type="image/png", delay=0.05))
    origin = Watched(answers)
    with in_thread(origin):
        yield origin


@pytest.fixture(scope="module")
def cluster(world: Watched, s3: S3) -> Iterator[Any]:
    with two_workers(world, s3) as made:
        yield made


@pytest.fixture
def on(run: Command, world: Watched) -> Command:
    """The command line, connected to the origin."""
    run.use(world)
    world.forget()
    return run


class Place(msgspec.Struct):
    """A cache: the options that name it, and a function that reads its files."""

    words: list[str]
    file: Callable[[str], bytes]


def in_folder(site: Path) -> Place:
    """The default cache of a site."""
    return Place([], lambda path: (site / "cache" / path).read_bytes())


@pytest.fixture(scope="module")
def alone(pristine: Path, world: Watched, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The result of a sync on one machine."""
    site = tmp_path_factory.mktemp("alone") / "site"
    shutil.copytree(pristine, site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGCACHE_FETCH__RETRIES", "0")
        run = Command(patch)
        run.use(world)
        return result(site, run("sync", site, "--json").json())


@pytest.fixture
def site(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, site: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A cache that all workers can reach."""
    if request.param == "folder":
        return in_folder(site)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{uuid4().hex}"
    return Place(["--cache", s3.make_bucket(bucket)], lambda path: s3.ask("GET", f"/{bucket}/{path}")[1])


# -- sync --------------------------------------------------------------------------------------------------------------


def test_two_workers_make_what_one_machine_makes_and_share_no_host(
    site: Path, place: Place, alone: Result, cluster: Any, on: Command, world: Watched
) -> None:
    world.processes = processes(cluster)
    report = on("sync", site, "--json", "--dask", cluster.scheduler_address, *place.words).json()
    assert result(site, report, place.file("manifest.json")) == alone
    assert report["fetched"] > 20
    owners = set().union(*world.hosts.values())
    assert owners == set(world.processes)  # both worked, and nobody else asked
    assert world.at_once == {}
    assert "big.example" in cluster.scheduler.task_prefixes  # as its pages show what is under way
    for entry in json.loads(alone.manifest)["images"].values():
        assert hashlib.sha256(place.file(entry["original"])).hexdigest() == entry["digest"]
        assert all(len(place.file(variant["path"])) == variant["bytes"] for variant in entry["variants"])
    assert not any(path.is_file() for path in (site / "cache").glob("index/staging/**/*"))


@pytest.mark.parametrize("place", ["bucket"], indirect=True)
def test_a_worker_that_is_killed_changes_nothing(
    site: Path, place: Place, alone: Result, cluster: Any, on: Command, world: Watched
) -> None:
    world.processes = processes(cluster)
    victim = world.processes[0]

    def kill() -> None:
        until = time.monotonic() + 30
        while (len(world.requests) < 12 or not world.is_asked_by(victim)) and time.monotonic() < until:
            time.sleep(0.005)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    report = on("sync", site, "--json", "--dask", cluster.scheduler_address, *place.words).json()
    killer.join()
    assert victim not in processes(cluster)
    assert max(world.requests.values()) == 2  # what it had in hand was done again
    assert result(site, report, place.file("manifest.json")) == alone


def test_an_interrupted_run_keeps_what_its_workers_have_finished(site: Path, alone: Result, world: Watched) -> None:
    expected = json.loads(alone.manifest)["images"]
    assets = {entry["digest"] for entry in expected.values()}
    slow = "https://slow.example/a.png"
    world.answers.set(slow, Answer(size=(60, 40), drip=30))
    (site / "zz.md").write_text(article((slow, 60, 40)))
    world.forget()
    command = [sys.executable, "-m", "imgcache", "sync", str(site), "--dask", "local:2", "--json", *world.connect_to]
    environment = {**os.environ, "SSL_CERT_FILE": str(world.ca_file)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while len(list(site.glob("cache/assets/*/*"))) < len(assets) or not world.requests[slow]:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)  # the last of them are made durable
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().endswith("imgcache: interrupted; what was finished is kept\n")
    assert b"KeyboardInterrupt" not in err  # the workers took no notice
    assert json.loads(out)["cached"] == len(expected)  # also those that had a shard with the slow one


# -- audit -------------------------------------------------------------------------------------------------------------


def test_an_audit_by_workers_finds_what_one_machine_finds(
    site: Path, cluster: Any, on: Command, world: Watched
) -> None:
    (site / "http.md").write_text(article((_EQUAL[0].replace("https", "http"), 40, 30), (f"{_EQUAL[0]}?w=5", 1, 1)))
    world.answers.set(f"{_EQUAL[0]}?w=5", Answer(status=404))
    command: list[str | Path] = ["audit", site, "--json", *world.connect_to]
    here = on(*command).json()
    shutil.rmtree(site / "cache")
    world.forget()
    world.processes = processes(cluster)
    there = on(*command, "--dask", cluster.scheduler_address).json()
    assert without_times(there) == without_times(here)
    assert {"http-status", "not-secure"} <= {finding["rule"] for finding in there["findings"]}
    assert set().union(*world.hosts.values()) == set(world.processes)
    assert world.at_once == {}


def without_times(found: Any) -> Any:
    """Returns a report without dates and seconds."""
    if isinstance(found, dict):
        return {key: without_times(value) for key, value in found.items() if key not in _TIMES}
    return [without_times(one) for one in found] if isinstance(found, list) else found


# -- what cannot work --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("local:0", "is not local:N with N from 1 to 256"),
        ("local:many", "is not local:N with N from 1 to 256"),
        ("tcp://127.0.0.1:{closed}", "no scheduler answers at tcp://127.0.0.1:"),
        ("pigeon://somewhere:1", "no scheduler answers at pigeon://somewhere:1"),
    ],
)
def test_an_unreachable_scheduler_is_reported_in_one_line(
    where: str, words: str, site: Path, on: Command, world: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "CONNECT_TIMEOUT", 1.0)
    ended = on("sync", site, "--dask", where.format(closed=world.closed_port))
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith("imgcache: --dask: ")
    assert words in ended.err


def test_workers_with_other_versions_are_refused_before_any_request(
    site: Path, cluster: Any, on: Command, world: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_worker, "__version__", "9.9.9")
    ended = on("sync", site, "--dask", cluster.scheduler_address)
    assert ended.code == 2
    assert "and here is imgcache 9.9.9" in ended.err
    assert len(world.requests) == 0


@pytest.mark.parametrize("command", ["sync", "audit"])
def test_without_the_extra_the_error_names_what_to_install(
    command: str, site: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "imgcache.runners.dask_group", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    ended = run(command, site, "--dask", "local:2")
    assert ended.code == 2
    assert ended.err == (
        "imgcache: --dask: needs a package that is not installed (distributed): pip install 'imgcache[scale]'\n"
    )


def test_dask_is_loaded_only_for_the_dask_option(site: Path) -> None:
    code = (
        "import sys; from imgcache.cli import sync, audit; import imgcache.wiring.cluster;"
        " assert not {'dask', 'distributed', 'tornado'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_dry_run_uses_no_worker(site: Path, run: Command) -> None:
    assert run("sync", site, "--dry-run", "--json", "--dask", "tcp://nowhere.example:1").json()["fetched"] > 20
