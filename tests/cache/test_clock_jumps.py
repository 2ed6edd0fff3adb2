"""A clock that is changed between runs and during a run."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from tests.conftest import A, B, Command, article
from tests.support.site_files import manifest

COMMANDS = ("sync", "gc", "verify", "status", "forget", "audit")
DAY = 86_400.0
Set = Callable[[Callable[[], float]], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Sets the clock of every command."""

    def put(now: Callable[[], float]) -> None:
        for command in COMMANDS:
            monkeypatch.setattr(f"imgcache.cli.{command}.now", now)

    return put


def _jump(chance: random.Random, base: float) -> float:
    return base + chance.uniform(-400 * DAY, 400 * DAY)


@pytest.mark.parametrize("seed", range(3))
def test_a_jumping_clock_neither_ends_a_run_nor_loses_a_copy(
    run: Command, origin: Origin, synced: Path, clock: Set, seed: int
) -> None:
    chance = random.Random(seed)
    gone = "https://gone.example/x.png"
    origin.answers.set(gone, Answer(status=404))
    (synced / "c.md").write_text(article((gone, 4, 3)))
    texts = {file: file.read_bytes() for file in synced.glob("*.md")}
    real = time.time()
    for _ in range(4):
        base = chance.uniform(-50 * 365 * DAY, 200 * 365 * DAY)  # between runs
        clock(partial(_jump, chance, real + base))  # in a run
        ended = run("sync", synced, "--json").json()
        assert (ended["cached"], ended["flags_cleared"]) == (2, 0)
        assert 0 <= ended["seconds"] < 600
        for command in (("audit", "--offline"), ("status",), ("gc",), ("gc", "--dry-run")):
            assert run(command[0], synced, *command[1:]).code in (0, 1)
    clock(lambda: real)
    assert run("sync", synced, "--json").json()["cached"] == 2
    assert manifest(synced).keys() == {A, B}
    assert {file: file.read_bytes() for file in synced.glob("*.md")} == texts
    assert run("verify", synced).code == 0


def test_a_clock_jump_does_not_use_up_the_time_budget(run: Command, origin: Origin, synced: Path, clock: Set) -> None:
    leaps = itertools.count(time.time(), 10 * DAY)
    clock(lambda: next(leaps))
    ended = run("sync", synced, "--refresh", "--max-time", "10m", "--json").json()
    assert [problem["code"] for problem in ended["problems"]] == []
    assert ended["revalidated"] == 2
    assert ended["seconds"] < 600


def test_the_newest_scan_counts_even_if_the_clock_was_set_back(
    run: Command, origin: Origin, synced: Path, clock: Set, tmp_path: Path
) -> None:
    cache = ("--cache", tmp_path / "shared")
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.md").write_text("nothing\n")
    run("sync", other, *cache)
    run("sync", synced, other, *cache)  # one catalogue for both, in which `synced` names A and B
    texts = {file: file.read_bytes() for file in synced.glob("*.md")}
    for file in texts:
        file.unlink()
    run("sync", synced, *cache)  # its own, in which it names nothing
    clock(lambda: time.time() - 400 * DAY)
    for file, data in texts.items():
        file.write_bytes(data)
    run("sync", synced, other, *cache)
    assert run("gc", other, *cache, "--yes", "--json").json()["subjects"] == []
