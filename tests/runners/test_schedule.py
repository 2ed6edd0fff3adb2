"""The schedule and the budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imgcache.cache import PendingImage
from imgcache.runners import Budget, Schedule

hosts = st.lists(st.sampled_from("abc"), max_size=40)


@given(hosts, st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_job_is_taken_once_and_no_host_exceeds_its_limit(hosts: list[str], share: int, rng: object) -> None:
    pending = [PendingImage(image, host) for image, host in enumerate(hosts)]
    schedule = Schedule(pending, share)
    running: list[PendingImage] = []
    taken: list[PendingImage] = []
    while len(taken) < len(pending) or running:
        job = schedule.take()
        if job is None:
            ended = running.pop(rng.randrange(len(running)))  # type: ignore[attr-defined]
            schedule.done(ended.host)
            continue
        running.append(job)
        taken.append(job)
        assert sum(other.host == job.host for other in running) <= share
    assert sorted(taken) == pending
    for host in "abc":
        of_host = [job.image for job in taken if job.host == host]
        assert of_host == sorted(of_host)
    assert list(schedule.remaining()) == []


def test_the_newest_startable_job_comes_first_and_rest_yields_the_others() -> None:
    schedule = Schedule([PendingImage(0, "a"), PendingImage(1, "a"), PendingImage(2, "b"), PendingImage(3, "a")], 1)
    assert [schedule.take(), schedule.take(), schedule.take()] == [PendingImage(0, "a"), PendingImage(2, "b"), None]
    assert sorted(schedule.remaining()) == [1, 3]
    schedule.done("a")
    assert schedule.take() == PendingImage(1, "a")


def test_a_byte_budget_counts_running_jobs() -> None:
    budget = Budget(max_bytes=100)
    assert budget.allows(0, 0.0)
    assert not budget.allows(1, 0.0)
    budget.add_finished(30)
    assert budget.allows(1, 0.0)
    assert not budget.allows(2, 0.0)
    budget.add_finished(70)
    assert not budget.allows(0, 0.0)


def test_a_time_budget_ends_at_its_deadline() -> None:
    budget = Budget(deadline=10.0)
    assert budget.allows(500, 9.9)
    assert not budget.allows(0, 10.0)
