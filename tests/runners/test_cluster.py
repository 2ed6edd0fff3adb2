"""Shards and the cluster runner, property by property, with a fake worker group."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from hypothesis import given
from hypothesis import strategies as st

from imgcache.cache import PendingImage
from imgcache.core import WorkerLost
from imgcache.runners import Budget, ClusterRunner, Shards, worker_session
from imgcache.runners.shards import LARGE_SHARD_SIZE, SHARD_SIZE, Shard

hosts = st.lists(st.sampled_from("aaaaaaabbbbcdefghij"), max_size=120)
many = st.lists(st.sampled_from("aaaaaaabbbbcdefghij"), min_size=100, max_size=150)
sizes = st.integers(1, 16)
seeds = st.integers(0, 1000)


def pending(hosts: Sequence[str]) -> list[PendingImage]:
    return [PendingImage(image, host) for image, host in enumerate(hosts)]


# -- shards ------------------------------------------------------------------------------------------------------------


@given(hosts, sizes, seeds)
def test_every_job_is_taken_once_and_no_host_is_in_two_shards_at_once(hosts: list[str], size: int, seed: int) -> None:
    rng, shards = random.Random(seed), Shards(pending(hosts), most=size)
    under_way: list[tuple[Shard, str]] = []
    taken: list[PendingImage] = []
    while len(taken) < len(hosts) or under_way:
        worker = rng.choice("xyz")
        shard = shards.take(worker, rng.randint(1, size)) if rng.random() < 0.7 else None
        if shard is not None:
            others = {job.host for other, _ in under_way for job in other.jobs}
            assert not others & {job.host for job in shard.jobs}
            assert 0 < len(shard.jobs) <= size
            under_way.append((shard, worker))
            taken += shard.jobs
        elif under_way:
            shards.done(*under_way.pop(rng.randrange(len(under_way))))
    assert sorted(taken) == pending(hosts)
    assert shards.is_empty
    assert list(shards.remaining()) == []
    for host in set(hosts):
        of_host = [job.image for job in taken if job.host == host]
        assert of_host == sorted(of_host)  # the newest first


@given(hosts, sizes)
def test_ready_shards_are_taken_newest_first_and_small_hosts_share_few_shards(hosts: list[str], size: int) -> None:
    shards = Shards(pending(hosts), most=size)
    size = shards.size
    taken = []
    while shard := shards.take("x", size):
        taken.append(shard)
    firsts = [shard.jobs[0].image for shard in taken]
    assert firsts == sorted(firsts)
    small = [shard for shard in taken if len({job.host for job in shard.jobs}) > 1 or len(shard.jobs) <= size // 2]
    assert len(small) <= 1 + 2 * sum(len(shard.jobs) for shard in small) / max(1, size - size // 2 + 1)


@given(hosts, sizes, seeds)
def test_a_host_stays_with_its_worker_until_the_worker_leaves(hosts: list[str], size: int, seed: int) -> None:
    rng, shards = random.Random(seed), Shards(pending(hosts), most=size)
    owner: dict[int, str] = {}
    there = set("xyz")
    for _ in range(100 + 20 * len(hosts)):
        if len(there) > 1 and rng.random() < 0.1:
            there.remove(rng.choice(sorted(there)))
            shards.keep_workers(there)
        worker = rng.choice(sorted(there))
        shard = shards.take(worker, size)
        if shard is not None:
            assert owner.get(shard.lane, worker) == worker or owner[shard.lane] not in there
            owner[shard.lane] = worker
            shards.done(shard, worker)
    assert list(shards.remaining()) == []


def test_rest_yields_the_jobs_that_were_not_taken() -> None:
    shards = Shards(pending("aaab"), most=2)
    shard = shards.take("x", 1)
    assert shard is not None
    assert sorted([*shards.remaining(), *(job.image for job in shard.jobs)]) == [0, 1, 2, 3]


@given(hosts.filter(bool), st.integers(1, 6))
def test_the_weight_and_the_parts_of_a_shard(hosts: list[str], per_host: int) -> None:
    shard = Shard(0, "x", tuple(pending(hosts)))
    assert shard.weight(per_host) == sum(min(per_host, count) for count in Counter(hosts).values())
    parts = shard.parts()
    assert [job for part in parts for job in part.jobs] == pending(hosts)
    assert len(parts) > 1 or len(hosts) == 1


def test_a_small_site_is_shared_by_all_workers() -> None:
    assert Shards(pending([f"host{number}" for number in range(64)]), 2).size == 8
    assert Shards(pending([f"host{number}" for number in range(640)]), 2).size == SHARD_SIZE


@given(st.integers(33, 5000), st.integers(1, 8))
def test_a_large_host_has_larger_shards_while_enough_rounds_remain(count: int, workers: int) -> None:
    others = [f"host{number}" for number in range(600)]
    shards = Shards(pending(["big"] * count + others), workers)
    left = count
    while shard := shards.take("x", LARGE_SHARD_SIZE):
        if shard.name != "big":
            assert len(shard.jobs) <= SHARD_SIZE
            continue
        large = min(LARGE_SHARD_SIZE, left // 4, (count + len(others)) // (4 * workers))
        assert len(shard.jobs) == min(left, max(large, shards.size))
        left -= len(shard.jobs)
        shards.done(shard, "x")
    assert left == 0


def test_a_shard_is_named_after_its_host_or_the_number_of_its_hosts() -> None:
    shards = Shards(pending(["big.example"] * SHARD_SIZE + ["small.example", "tiny.example"]))
    assert {shard.name for _ in range(2) if (shard := shards.take("x", SHARD_SIZE))} == {"big.example", "2 hosts"}


# -- the runner --------------------------------------------------------------------------------------------------------


class FakeWorkers:
    """Fake workers that return the number of each image. A worker dies of a poisonous image."""

    def __init__(self, workers: Mapping[str, int], *, poison: Sequence[int] = (), seed: int = 0) -> None:
        self.workers = dict(workers)
        self.poison = set(poison)
        self.rng = random.Random(seed)
        self.hosts: Counter[str] = Counter()
        self.load: Counter[str] = Counter()
        self.most = 0
        self.asked: list[int] = []
        self.shards: list[tuple[str, set[int], bool]] = []  # who had which jobs, and whether nothing was beside them
        self.mortal: set[str] = set()  # workers that go with their first shard
        self.finished = 10**9  # of each shard, where time is up

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def capacity(self) -> Mapping[str, int]:
        return self.workers

    async def run_shard(
        self, name: str, jobs: Sequence[tuple[str, int]], worker: str, seconds: float | None
    ) -> Mapping[int, int]:
        mine = {host for host, _ in jobs}
        for host in mine:
            self.hosts[host] += 1
            assert self.hosts[host] == 1, f"{host} is asked by two workers"
        self.load[worker] += len(jobs)
        self.most = max(self.most, self.load.total())
        self.asked += (job for _, job in jobs)
        self.shards.append((worker, {job for _, job in jobs}, self.load.total() == len(jobs)))
        try:
            for _ in range(self.rng.randint(0, 3)):
                await asyncio.sleep(0)
            if self.poison & {job for _, job in jobs} or worker in self.mortal:
                self.workers = {name: capacity for name, capacity in self.workers.items() if name not in self.mortal}
                raise WorkerLost("dead")
        finally:
            self.load[worker] -= len(jobs)
            self.hosts.subtract(mine)
        return {place: job for place, (_, job) in enumerate(jobs) if place < self.finished}

    async def stop(self) -> None: ...


class Work:
    """Counts the results of each image."""

    def __init__(self, bytes_each: int = 0) -> None:
        self.bytes_each = bytes_each
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.given_up: list[int] = []

    def begin(self, pending: PendingImage) -> int | None:
        self.begun.append(pending.image)
        return pending.image

    def end(self, pending: PendingImage, result: int) -> int:
        assert result == pending.image
        self.ended.append(result)
        return self.bytes_each

    def give_up(self, pending: PendingImage, error: WorkerLost) -> None:
        assert error.retryable
        self.given_up.append(pending.image)


def run(
    jobs: Sequence[PendingImage], group: FakeWorkers, work: Work, budget: Budget | None = None, now: float = 0.0
) -> list[int]:
    """Runs all jobs; returns the images that are left."""
    shards = Shards(jobs)
    runner: ClusterRunner[int, int] = ClusterRunner(
        shards, budget or Budget(), group, work, per_host=4, clock=lambda: now
    )
    asyncio.run(runner.run())
    return sorted(runner.remaining())


@given(hosts, seeds)
def test_every_job_is_done_once_on_any_worker(hosts: list[str], seed: int) -> None:
    work = Work()
    assert run(pending(hosts), FakeWorkers({"x": 4, "y": 9}, seed=seed), work) == []
    assert sorted(work.ended) == list(range(len(hosts)))


@given(hosts.filter(bool) | many, seeds, st.data())
def test_only_the_image_that_kills_workers_is_given_up(hosts: list[str], seed: int, data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.integers(0, len(hosts) - 1), max_size=3))
    work = Work()
    assert run(pending(hosts), FakeWorkers({"x": 4, "y": 9}, poison=sorted(poison), seed=seed), work) == []
    assert sorted(work.given_up) == sorted(poison)
    assert sorted(work.begun) == list(range(len(hosts)))  # once each, however often it is sent
    assert sorted(work.ended) == [image for image in range(len(hosts)) if image not in poison]


def test_a_shard_is_tried_three_times_beside_others_and_then_in_parts_alone() -> None:
    group = FakeWorkers({"x": 8, "y": 8}, poison=[5])
    run(pending(["big.example"] * 40 + [f"host{number}" for number in range(600)]), group, Work())
    tries = [(len(jobs), is_alone) for _, jobs, is_alone in group.shards if 5 in jobs]
    assert [size for size, _ in tries] == [40, 40, 40, 5, 1]
    assert [is_alone for _, is_alone in tries[3:]] == [True, True]


def test_the_shard_of_a_lost_worker_is_done_by_another() -> None:
    group, work = FakeWorkers({"x": 8, "y": 8}), Work()
    group.mortal = {"x"}
    assert run(pending([f"host{number}" for number in range(400)]), group, work) == []
    lost = [jobs for worker, jobs, _ in group.shards if worker == "x"]
    assert lost
    assert all(("y", jobs) in [(worker, mine) for worker, mine, _ in group.shards] for jobs in lost)
    assert sorted(work.ended) == sorted(work.begun) == list(range(400))


def test_the_deadline_ends_a_run_that_waits_for_workers() -> None:
    group, work = FakeWorkers({"x": 8}), Work()
    group.mortal = {"x"}
    shards = Shards(pending([f"host{number}" for number in range(40)]))
    runner: ClusterRunner[int, int] = ClusterRunner(
        shards, Budget(deadline=10.0), group, work, per_host=4, clock=lambda: 0.0 if group.workers else 10.0
    )
    asyncio.run(asyncio.wait_for(runner.run(), 20))
    assert work.ended == []
    assert sorted(runner.remaining()) == list(range(40))


def test_a_worker_gets_only_enough_shards_to_keep_it_busy() -> None:
    group = FakeWorkers({"x": 8, "y": 8})
    run(pending([f"host{number}" for number in range(4000)]), group, Work())
    assert group.most <= 2 * (2 * 8 + SHARD_SIZE)


def test_a_budget_of_bytes_leaves_images_for_the_next_run() -> None:
    work = Work(bytes_each=1_000_000)
    left = run(
        pending([f"host{number}" for number in range(400)]), FakeWorkers({"x": 8}), work, Budget(max_bytes=50_000_000)
    )
    assert 40 <= len(work.ended) <= 60
    assert sorted([*work.ended, *left]) == list(range(400))


def test_jobs_that_a_worker_had_no_time_for_are_left() -> None:
    work, group = Work(), FakeWorkers({"x": 8})
    group.finished = 3
    left = run(pending("a" * 20), group, work, Budget(deadline=10.0))
    assert sorted([*work.ended, *left]) == list(range(20))
    assert len(left) == 5 + 5 + 1


def test_nothing_begins_after_the_deadline() -> None:
    group = FakeWorkers({"x": 8})
    assert run(pending("abc"), group, Work(), Budget(deadline=10.0), now=10.0) == [0, 1, 2]
    assert group.asked == []


def test_an_interrupted_run_records_finished_results() -> None:
    class Waiting(FakeWorkers):
        over = asyncio.Event()

        async def run_shard(
            self, name: str, jobs: Sequence[tuple[str, int]], worker: str, seconds: float | None
        ) -> Mapping[int, int]:
            await self.over.wait()
            return {0: jobs[0][1]}

        async def stop(self) -> None:
            self.over.set()

    async def interrupted(work: Work) -> None:
        runner: ClusterRunner[int, int] = ClusterRunner(
            Shards(pending("a" * 20)), Budget(), Waiting({"x": 8}), work, per_host=4, clock=lambda: 0.0
        )
        task = asyncio.ensure_future(runner.run())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    work = Work()
    asyncio.run(interrupted(work))
    assert work.ended == [0]


def test_work_waits_for_a_worker_and_goes_on_when_one_comes() -> None:
    async def late(group: FakeWorkers, work: Work) -> None:
        runner: ClusterRunner[int, int] = ClusterRunner(
            Shards(pending("abc")), Budget(), group, work, per_host=4, clock=lambda: 0.0
        )
        task = asyncio.ensure_future(runner.run())
        await asyncio.sleep(0.01)
        assert not task.done()
        group.workers["x"] = 8
        await task

    group, work = FakeWorkers({}), Work()
    asyncio.run(late(group, work))
    assert sorted(work.ended) == [0, 1, 2]


def test_a_session_that_closed_by_itself_can_be_closed_again() -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[worker_session.ShardHandler]:
        async def echo(shard: bytes) -> bytes:
            return shard

        yield echo

    idle = worker_session.WorkerSession(opened(), idle=0.01)
    until = time.monotonic() + 10
    while idle.enter() and time.monotonic() < until:
        idle.leave()
        time.sleep(0.05)
    idle.close()
    assert not idle.enter()
