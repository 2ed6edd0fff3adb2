"""A kill at any instruction between fetch and flag: no wrong flag, no lost byte, and the same final bytes."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

import pytest

from tests.support.aftermath import Campaign
from tests.support.crash_site import CrashSite, crash_site
from tests.support.crashes import STEPS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashSite]:
    with crash_site(tmp_path_factory.mktemp("world")) as made:
        yield made


BEFORE_TOO = [
    "index committed",
    "variants written",
    "files durable",
    "image in place",
    "article written",
    "manifest written",
]


@pytest.mark.parametrize(("step", "when"), [(one, "after") for one in STEPS] + [(one, "before") for one in BEFORE_TOO])
def test_a_kill_at_any_step_between_fetch_and_flag_loses_nothing(world: CrashSite, step: str, when: str) -> None:
    site = world.fresh()
    killed = world.nursery.sync(site, step=step, when=when)
    assert killed.code == -signal.SIGKILL, killed
    world.assert_recovers(site)


@pytest.mark.parametrize("number", [2, 8, 14, 20, 26, 33, 40])
def test_a_kill_between_two_changes_on_disk_loses_nothing(world: CrashSite, number: int) -> None:
    site = world.fresh()
    killed = world.nursery.sync(site, change=number, folder=str(site))
    assert killed.code == -signal.SIGKILL, killed
    world.assert_recovers(site)


def test_repeated_kills_at_random_times_lose_nothing(world: CrashSite) -> None:
    found = Campaign()
    found.run(world.nursery, world.fresh, world.expected, kills=10, seconds=0.5, draw=random.Random(3))
    assert found.kills == 10
    assert found.broken + found.differs + found.orphans == []
    assert found.blocked == 0
