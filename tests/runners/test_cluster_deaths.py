"""Cluster workers that die, are disconnected or cannot be used: the run ends and reports the cause."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import distributed
import msgspec
import pytest

from examples.origin import Answer, in_thread
from imgcache.cli import sync as sync_command
from imgcache.cli.progress import NoProgress
from imgcache.config import Config
from imgcache.core import ConfigError, DiskFull, ImgcacheError, Outcome, WorkerLost
from imgcache.policy import SyncPolicy
from imgcache.runners import ShardHandler, dask_group
from imgcache.runners import cluster as cluster_runner
from imgcache.runners.dask_group import DaskWorkerGroup
from imgcache.runners.dask_worker import RunSpec
from imgcache.wiring import cluster as wiring
from tests.conftest import Command, article
from tests.support.clusters import Watched, processes, result, two_workers
from tests.support.object_store import S3, s3_server

_dask: Any = distributed
_URLS = [f"https://host{number % 6}.example/{number}.png" for number in range(48)]
_DEADLY = _URLS[21]


@pytest.fixture(scope="module")
def world() -> Iterator[Watched]:
    """A slightly slow origin with images for six hosts."""
    origin = Watched({url: Answer(size=(40 + place, 30), delay=0.05) for place, url in enumerate(_URLS)})
    with in_thread(origin):
        yield origin


@pytest.fixture(scope="module")
def cluster(world: Watched, s3: S3) -> Iterator[Any]:
    with two_workers(world, s3) as made:
        yield made


@pytest.fixture
def both(cluster: Any) -> Any:
    """The cluster, after killed workers have been restarted."""
    with _dask.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
    return cluster


@pytest.fixture
def on(run: Command, world: Watched, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line, connected to the origin; lost workers are recognized at once."""
    monkeypatch.setattr(dask_group, "GRACE", 0.0)
    monkeypatch.setattr(dask_group, "TICK", 0.1)
    run.use(world)
    world.forget()
    return run


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    sizes = {url: (40 + place, 30) for place, url in enumerate(_URLS)}
    for number in range(4):
        images = [(url, *sizes[url]) for url in _URLS[number * 12 : number * 12 + 12]]
        (site / f"{number}.md").write_text(article(*images))
    (site / "imgcache.yml").write_text("variants: [{name: w16, width: 16, effort: 0}]\n")
    return site


# -- workers that die --------------------------------------------------------------------------------------------------


class Ticks(NoProgress):
    """Records how many images had been requested when each one ended."""

    def __init__(self, world: Watched) -> None:
        self._origin = world
        self.begun = 0
        self.asked: list[int] = []

    def started(self, host: str) -> None:
        self.begun += 1

    def ended(self, host: str, outcome: Outcome) -> None:
        self.asked.append(len(self._origin.requests))


def test_the_death_of_the_only_worker_does_not_change_the_result(
    site: Path, on: Command, world: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # Dask sets it for its workers and leaves it: now it is taken back
    monkeypatch.setenv("IMGCACHE_FETCH__CONCURRENCY", "4")  # a shard at a time
    shutil.copytree(site, tmp_path / "alone")
    alone = result(tmp_path / "alone", on("sync", tmp_path / "alone", "--json").json())
    world.forget()
    ticks = Ticks(world)
    monkeypatch.setattr(sync_command, "progress_for", lambda *, quiet: ticks)
    monkeypatch.setattr(dask_group, "WARN_AFTER", 1)
    world.kills[_DEADLY] = 1
    ended = on("sync", site, "--json", "--dask", "local:1")
    assert result(site, ended.json()) == alone
    assert world.kills[_DEADLY] == 0
    assert "there is no worker; waiting for one" in ended.err
    assert len(ticks.asked) == ticks.begun == len(_URLS)
    assert ticks.asked[0] < len(world.requests)  # it moves while the run goes on


def test_only_the_image_that_kills_every_worker_is_given_up(
    site: Path, both: Any, on: Command, world: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_runner, "MAX_LOSSES", 2)  # test_cluster.py tests the real limit
    world.kills[_DEADLY] = 1000
    report = on("sync", site, "--json", "--dask", both.scheduler_address).json()
    assert [(problem["code"], problem["url"]) for problem in report["problems"]] == [("worker-lost", _DEADLY)]
    assert (report["cached"], report["flags_set"]) == (len(_URLS) - 1, len(_URLS) - 1)
    assert 1000 - world.kills[_DEADLY] == 3  # twice in its shard, and once alone


def test_an_audit_reports_the_image_that_kills_every_worker(
    site: Path, both: Any, on: Command, world: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_runner, "MAX_LOSSES", 1)
    world.kills[_DEADLY] = 1000
    found = on("audit", site, "--json", "--dask", both.scheduler_address, *world.connect_to).json()
    lost = [finding for finding in found["findings"] if finding["rule"] == "worker-lost"]
    assert [finding["url"] for finding in lost] == [_DEADLY]
    assert 1000 - world.kills[_DEADLY] == 2  # in its shard, and alone


# -- a group -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_counted(spec: bytes, cores: int) -> AsyncIterator[ShardHandler]:
    """A handler that creates a file in the folder `spec` when it is opened."""
    await asyncio.to_thread((Path(spec.decode()) / uuid4().hex).touch)

    async def do(order: bytes) -> bytes:
        _, jobs = msgspec.msgpack.decode(order, type=tuple[float | None, list[tuple[str, int]]])
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(jobs[0][1])
        return msgspec.msgpack.encode({})

    yield do


@asynccontextmanager
async def open_after(spec: bytes, cores: int) -> AsyncIterator[ShardHandler]:
    """A handler that fails to open once for each file in the folder `spec`, and removes the file."""
    for file in await asyncio.to_thread(lambda: [*Path(spec.decode()).iterdir()]):
        with suppress(FileNotFoundError):
            await asyncio.to_thread(file.unlink)
            raise DiskFull("no room at all")
    async with open_counted(spec, cores) as shop:
        yield shop


@pytest.fixture
def counted(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskWorkerGroup[int, int]]:
    """A worker group that counts in tmp_path how often its session is opened."""
    monkeypatch.setattr(dask_group, "GRACE", 0.0)
    monkeypatch.setattr(dask_group, "TICK", 0.1)
    contract = RunSpec(open_counted, str(tmp_path).encode())
    with dask_group.connect_workers(cluster.scheduler_address, contract, results=int, capacity=8) as group:
        yield group


def test_a_session_is_opened_once_in_each_worker_before_the_first_shard(
    both: Any, counted: DaskWorkerGroup[int, int], tmp_path: Path
) -> None:
    async def shards() -> None:
        async with counted:
            assert len(list(tmp_path.iterdir())) == len(counted.capacity()) == 2  # noqa: ASYNC240 (a test may wait)
            await asyncio.gather(
                *(counted.run_shard("some.example", [("a", 0)], worker, None) for worker in [*counted.capacity()] * 4)
            )

    asyncio.run(shards())
    assert len(list(tmp_path.iterdir())) == 2


def test_the_dask_dashboard_names_shards_by_host(cluster: Any, counted: DaskWorkerGroup[int, int]) -> None:
    """The dashboard groups tasks by the prefix of their keys."""
    hosts = ["some-host.example", "4.example"]

    async def shards() -> None:
        async with counted:
            worker = min(counted.capacity())
            await asyncio.gather(*(counted.run_shard(host, [("a", 0)], worker, None) for host in hosts * 2))

    asyncio.run(shards())
    assert {"some_host.example", "4.example"} <= set(cluster.scheduler.task_prefixes)


def test_a_shard_is_for_one_process_even_if_another_gets_its_address(counted: DaskWorkerGroup[int, int]) -> None:
    async def impostor() -> None:
        async with counted:
            worker = min(counted.capacity())
            member = counted.workers.get(worker)
            assert member is not None
            member.identity = "the process before"
            with pytest.raises(WorkerLost):
                await counted.run_shard("some.example", [("a", 0)], worker, None)
            while worker not in counted.capacity():  # noqa: ASYNC110 (it is asked who it is)
                await asyncio.sleep(0.05)
            await counted.run_shard("some.example", [("a", 0)], worker, None)

    asyncio.run(impostor())


@pytest.mark.parametrize("failing", [1, 2])
def test_a_worker_that_cannot_start_its_session_is_not_used_if_another_can(
    failing: int, both: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(group: DaskWorkerGroup[int, int]) -> None:
        async with group:
            (worker,) = group.capacity()
            await group.run_shard("some.example", [("a", 0)], worker, None)

    for number in range(failing):
        (tmp_path / f"{number}").touch()
    contract = RunSpec(open_after, str(tmp_path).encode())
    with dask_group.connect_workers(both.scheduler_address, contract, results=int, capacity=8) as group:
        if failing == 1:
            asyncio.run(work(group))
            assert "cannot start its session: no room at all; it is not used" in caplog.text
        else:
            with pytest.raises(ConfigError, match="cannot start its session: no room at all"):
                asyncio.run(work(group))


# -- workers that write elsewhere --------------------------------------------------------------------------------------


@pytest.fixture
def environment(both: Any) -> Iterator[Any]:
    """Sets or removes environment variables in all workers during a test."""
    with _dask.Client(both, set_as_default=False) as client:
        before: dict[str, dict[str, str | None]] = {}

        def change(**values: str | None) -> None:
            before.update(client.run(set_environment, values))

        yield change
        for worker, values in before.items():
            client.run(set_environment, values, workers=[worker])


def set_environment(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Runs in a worker; returns the previous values."""
    before = {name: os.environ.get(name) for name in values}
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    return before


@pytest.mark.parametrize("fault", ["elsewhere", "no keys"])
def test_workers_with_another_store_are_refused_before_anything_is_fetched(
    fault: str,
    site: Path,
    both: Any,
    on: Command,
    world: Watched,
    s3: S3,
    environment: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{uuid4().hex}"
    command = ["sync", site, "--cache", s3.make_bucket(bucket), "--dask", both.scheduler_address]
    if fault == "elsewhere":
        with s3_server(tmp_path / "log") as other:
            other.make_bucket(bucket)
            environment(AWS_ENDPOINT_URL=other.endpoint)
            ended = on(*command)
        words = f"does not see this cache: s3://{bucket} is another store there"
    else:
        environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
        ended = on(*command)
        words = "cannot use this cache: "
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith("imgcache: --dask: the worker tcp://127.0.0.1:")
    assert words in ended.err
    assert len(world.requests) == 0
    assert not [key for key in s3.keys(bucket) if "sign-" in key]


def test_a_worker_that_does_not_see_the_folder_is_refused(both: Any, tmp_path: Path) -> None:
    config = Config()
    spec = wiring.SyncSpec(wiring.run_name(), str(tmp_path), None, config, SyncPolicy(), None, ())
    contract = RunSpec(wiring.open_sync, msgspec.msgpack.encode(spec), wiring.obstacle)
    with (
        pytest.raises(ConfigError, match=r"the worker tcp://.* does not see this cache: it has to be a folder"),
        dask_group.connect_workers(both.scheduler_address, contract, results=int, capacity=8),
    ):
        pass


# -- a worker that lives on --------------------------------------------------------------------------------------------


@pytest.fixture
def guest(both: Any) -> Iterator[Any]:
    """A third worker, in this process, which survives it."""

    async def start() -> Any:
        return await _dask.Worker(both.scheduler_address, nthreads=1, dashboard=False)

    worker = both.sync(start)
    yield worker
    both.sync(worker.close)


def test_a_disconnected_worker_stops_before_another_takes_over(
    site: Path, both: Any, guest: Any, on: Command, world: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.processes = [os.getpid(), *processes(both)]
    for place, url in enumerate(_URLS):  # long enough for another one to come while this one still waits
        world.answers.set(url, Answer(size=(40 + place, 30), delay=0.5))

    def cut_off() -> None:
        until = time.monotonic() + 30
        while not world.is_asked_by(os.getpid()) and time.monotonic() < until:
            time.sleep(0.005)
        guest.loop.add_callback(guest.batched_stream.comm.abort)

    cutter = threading.Thread(target=cut_off)
    cutter.start()
    report = on("sync", site, "--json", "--dask", both.scheduler_address).json()
    cutter.join()
    assert report["cached"] == len(_URLS)
    taken_over = [asked_by for asked_by in world.hosts.values() if os.getpid() in asked_by]
    assert taken_over
    assert all(len(asked_by) > 1 for asked_by in taken_over)
    assert world.at_once == {}


def test_the_running_shard_of_a_retiring_worker_is_lost(guest: Any, counted: DaskWorkerGroup[int, int]) -> None:
    async def retirement() -> None:
        async with counted:
            assert guest.address in counted.capacity()
            shard = asyncio.ensure_future(counted.run_shard("some.example", [("a", 60)], guest.address, None))
            await asyncio.sleep(0.3)
            guest.loop.add_callback(guest.close_gracefully)
            with pytest.raises(WorkerLost):
                await asyncio.wait_for(shard, 20)
            assert guest.address not in counted.capacity()

    asyncio.run(retirement())


# -- no workers --------------------------------------------------------------------------------------------------------


def test_a_run_without_workers_ends_after_a_while(
    cluster: Any, counted: DaskWorkerGroup[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_group, "FAIL_AFTER", 3)

    async def alone() -> None:
        async with counted:
            cluster.scale(0)
            while True:
                counted.capacity()
                await asyncio.sleep(0.05)

    try:
        with pytest.raises(
            ImgcacheError, match=r"there has been no usable worker for 0.3 s; what was finished is kept"
        ):
            asyncio.run(asyncio.wait_for(alone(), 30))
    finally:
        cluster.scale(2)
