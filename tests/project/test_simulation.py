"""The simulation behind docs/scale.md: its laws, cases whose answer is known, and its command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.core import FetchPolicy
from tests.conftest import ROOT

SCRIPTS = ROOT / "scripts" / "simulations"


def module(name: str) -> Any:
    """A module of scripts/, where modules import each other by their bare names."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(SCRIPTS))


simulation, crawl, figures = map(module, ("simulation", "simulation_crawl", "simulation_figures"))
Figures, Plant, Crawl = figures.Figures, figures.Plant, crawl.Crawl

# Nothing fails, nothing varies, and all but a request's 0.1 s takes no time.
PLAIN = Figures(
    latency=0.1, latency_sigma=0, bytes=1, bytes_sigma=0, core_seconds=0, command_seconds=0, put_seconds=0,
    shard_seconds=0, missing=0, stalled=0, dead_hosts=0,
)  # fmt: skip


def plant(machines: int = 1, cores: int = 4, shard: int = 64, **policy: float) -> Any:
    return Plant(machines, cores, FetchPolicy(**policy), shard)  # type: ignore[arg-type]


class Ended(NamedTuple):
    code: int | str | None
    out: str
    err: str


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`scripts/simulate`, in this process."""

    def call(*words: str) -> Ended:
        code: int | str | None
        try:
            code = simulation.main(list(words))
        except SystemExit as error:
            code = error.code
        return Ended(code, *capsys.readouterr())

    return call


# -- known answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_host", [1, 4])  # both divide a shard
def test_one_host_takes_its_images_times_a_request_over_its_slots(per_host: int) -> None:
    totals = Crawl([1200], plant(per_host=per_host), PLAIN, 1).run()
    opening = 0.3 + 0.2  # robots.txt, and two round trips more for the first request of each connection
    assert totals.seconds == pytest.approx(1200 * 0.1 / per_host + opening, rel=1e-4)
    assert (totals.requests, totals.most_at_once) == (1201, per_host)


def test_an_interval_keeps_requests_to_a_host_apart_and_no_other_host_from_being_asked() -> None:
    totals = Crawl([50, 50, 50], plant(interval=2.0, concurrency=18), PLAIN, 1).run()
    assert totals.seconds == pytest.approx(49 * 2.0, abs=0.7)


def test_a_host_waits_for_the_last_of_its_shard() -> None:
    small, large = (Crawl([1200], plant(shard=size), PLAIN, 1).run().seconds for size in (8, 64))
    assert small == pytest.approx(150 * 0.2 + 0.5, rel=1e-4)  # two rounds of six slots each for eight images
    assert large == pytest.approx(18 * 1.1 + 0.8 + 0.5, rel=1e-4)


def test_cores_are_the_bound_where_pictures_are_slow() -> None:
    totals = Crawl([20] * 200, plant(machines=2, cores=3), PLAIN.but(core_seconds=1.0), 1).run()
    assert totals.core_seconds == 4000
    assert 4000 / 6 < totals.seconds < 4000 / 6 * 1.1


def test_there_is_one_commanding_process_however_many_machines() -> None:
    totals = Crawl([20] * 200, plant(machines=10), PLAIN.but(command_seconds=0.5), 1).run()
    assert 2000 <= totals.seconds < 2000 * 1.05


def test_a_host_that_is_down_is_asked_as_often_as_politeness_allows() -> None:
    totals = Crawl([60] * 100, plant(), PLAIN.but(dead_hosts=1.0), 1).run()  # each has 1 % of the images
    assert totals.stored == 0
    assert 5 * 100 <= totals.requests <= 12 * 100


def test_what_is_missing_costs_one_request_and_what_stalls_three_more() -> None:
    assert Crawl([300], plant(), PLAIN.but(missing=1.0), 1).run().requests == 301
    totals = Crawl([300], plant(), PLAIN.but(stalled=1.0), 1).run()
    assert (totals.stored, totals.requests) == (0, 1 + 300 * 4)


# -- laws --------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 3000), st.floats(0.1, 3))
def test_every_image_has_a_host_and_every_host_an_image(count: int, more: int, exponent: float) -> None:
    sizes = figures.spread(count + more, count, exponent)
    assert (len(sizes), sum(sizes), min(sizes) >= 1) == (count, count + more, True)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.93])
def test_the_fit_finds_the_exponent_that_a_world_was_made_with(exponent: float) -> None:
    found, power = figures.fit(figures.spread(1_000_000, 500, exponent))
    assert found == pytest.approx(exponent, abs=0.02)
    assert 1_000_000**power == pytest.approx(500)


def test_the_figures_of_hosts_are_those_of_the_real_site(shared: Any) -> None:
    told = module("simulation_measure")._of_site(shared / "site")
    assert told["exponent"] == pytest.approx(Figures().exponent, abs=0.01)
    assert told["hosts_power"] == pytest.approx(Figures().hosts_power, abs=0.001)


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 90), min_size=1, max_size=40).filter(any),
    st.integers(1, 4),
    st.integers(1, 8),
    st.sampled_from([1, 16, 64]),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_every_image_ends_no_host_is_asked_too_much_and_no_bound_is_broken(
    sizes: list[int], machines: int, per_host: int, shard: int, trouble: float, seed: int
) -> None:
    world = Figures(dead_hosts=trouble, stalled=trouble / 4, missing=trouble / 2)
    place = plant(machines, 2, shard, per_host=per_host)
    totals = Crawl(sizes, place, world, seed).run()
    assert 0 <= totals.stored <= totals.images == sum(sizes)
    assert trouble or totals.stored == totals.images
    assert totals.most_at_once <= per_host
    assert totals.requests <= len(sizes) + 4 * totals.images
    ordered = sorted(sizes, reverse=True)
    for name, seconds in simulation.bounds(simulation.Plan(ordered, place, world, totals, 0, 0.0)).items():
        assert totals.seconds >= seconds * 0.999, name


def test_a_sample_keeps_the_shares_of_large_hosts_and_the_number_of_images() -> None:
    sizes = figures.spread(1_000_000, 4000, 1.0)
    small = figures.sample(sizes, 20, simulation.random.Random(1))
    assert sum(small) == pytest.approx(50_000, rel=0.05)
    assert small[0] / sum(small) == pytest.approx(sizes[0] / 1_000_000, rel=0.05)
    assert max(small) == small[0]


def test_a_sample_foretells_the_whole() -> None:
    place, world = plant(machines=2), Figures(exponent=1.0)
    whole = simulation.plan(12_000, 200, place, world, most=12_000, seed=1).totals
    found = simulation.plan(12_000, 200, place, world, most=4_000, seed=1).totals
    assert found.seconds == pytest.approx(whole.seconds, rel=0.25)
    assert found.requests == pytest.approx(whole.requests, rel=0.05)
    assert found.bytes_in == pytest.approx(whole.bytes_in, rel=0.15)


# -- figures -----------------------------------------------------------------------------------------------------------


def test_every_figure_says_where_it_comes_from() -> None:
    for name, value, unit, source in figures.rows(Figures()):
        assert value > 0, name
        assert unit
        assert source == "assumed" or re.search(r"`scripts/(simulate|bench) ", source), name


def test_bytes_of_the_index_and_of_the_manifest_are_still_those_that_are_counted_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IMGCACHE_SHARED", "/nonexistent")
    found, counted = module("simulation_measure").measured(640), Figures()
    for name in ("index_bytes", "catalogue_bytes", "manifest_bytes"):
        assert found[name] == pytest.approx(getattr(counted, name), rel=0.2), name


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_same_seed_tells_the_same_in_another_process(simulate: Callable[..., Ended]) -> None:
    words = ["--images", "3k", "--machines", "2", "--json"]
    program = [sys.executable, str(SCRIPTS / "simulation.py"), *words]
    first, second = json.loads(simulate(*words).out), json.loads(subprocess.check_output(program))
    assert second == first
    assert (first["images"], first["machines"], first["sampled"]) == (3000, 2, 3000)
    assert json.loads(simulate(*words, "--seed", "2").out)["hours"] != first["hours"]


def test_the_table_tells_what_the_object_tells(simulate: Callable[..., Ended]) -> None:
    words = ["--images", "500", "--machines", "1"]
    told, table = json.loads(simulate(*words, "--json").out), simulate(*words).out
    assert [line.split("  ")[-2].strip() for line in table.splitlines()] == [name.replace("_", " ") for name in told]
    assert "hours by largest host" in table


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "speed=1"], "'speed' is no figure: exponent"),
        (["--set", "rate=fast"], "'rate=fast' is not rate=NUMBER"),
        (["--images", "10", "--hosts", "11"], "10 images cannot be on 11 hosts"),
        (["--machines", "50", "--sample", "1k"], "--sample 1,000 is too small for 50 machines"),
        (["--images", "many"], "invalid _count value: 'many'"),
    ],
)
def test_a_wrong_argument_is_named(simulate: Callable[..., Ended], words: list[str], message: str) -> None:
    ended = simulate(*words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_the_commands_of_the_document_are_ours() -> None:
    text = (ROOT / "docs/scale.md").read_text()
    lines = re.findall(r"(?:^\$ |`)scripts/simulate ([^`\n…]*)", text, re.MULTILINE)
    lines += re.findall(r"^\| `(--[^`]+)`", text, re.MULTILINE)  # of tables that have the first words in their head
    assert len(lines) > 15
    for line in lines:
        given = simulation._parser().parse_args(shlex.split(line))
        assert figures.with_settings(Figures(), given.set)
