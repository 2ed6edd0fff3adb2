"""How long a sync of very many images takes, on how many machines, and what bounds it. `scripts/simulate --help`.

Up to `--sample` images are simulated one by one. Of more, n and n / 2 are, in worlds as many times smaller, with the
same shares of the hosts, machines and limits; every time and count is taken to be a constant (start, end, what a host
costs) and a part for each image: T(N) = T(n) + (N - n) × (T(n) - T(n/2)) / (n/2). `doubt` is how far that is from the
simple multiple T(n) × N / n: the more, the larger a sample is needed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulation_crawl import Crawl, Totals
from simulation_figures import Figures, Plant, rows, sample, spread, with_settings

from imgcache.core import FetchPolicy, parse_seconds

_LEAST = 1000  # images a machine in a sample, or its start and end are most of it
_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}


@dataclass(frozen=True)
class Plan:
    """What a crawl of `sizes` comes to. `doubt`: what the constant part makes of the time, as a share."""

    sizes: list[int]
    plant: Plant
    figures: Figures
    totals: Totals
    sampled: int
    doubt: float


def plan(images: int, hosts: int, plant: Plant, figures: Figures, *, most: int, seed: int) -> Plan:
    """Simulate a crawl, or a sample of it of about `most` images. Raises ValueError where that is too few."""
    sizes = spread(images, hosts, figures.exponent)
    if images <= most:
        return Plan(sizes, plant, figures, Crawl(sizes, plant, figures, seed).run(), images, 0.0)
    if most < _LEAST * plant.machines:
        raise ValueError(f"--sample {most:,} is too small for {plant.machines} machines: {_LEAST:,} for each at least")
    half, whole = (
        Crawl(sample(sizes, images / count, random.Random(seed)), plant, figures, seed).run()
        for count in (most // 2, most)
    )
    totals = _extrapolated(half, whole, images)
    return Plan(sizes, plant, figures, totals, most, abs(totals.seconds / (whole.seconds * images / whole.images) - 1))


def _extrapolated(half: Totals, whole: Totals, images: int) -> Totals:
    if whole.seconds <= half.seconds:
        raise ValueError("twice the images took no longer: the sample is too small, give a larger --sample")
    factor = (images - whole.images) / (whole.images - half.images)
    first, second = dataclasses.asdict(half), dataclasses.asdict(whole)
    values: dict[str, Any] = {
        name: round(value) if isinstance(second[name], int) else value
        for name in second
        if name != "most_at_once"  # which is no sum
        for value in [second[name] + factor * (second[name] - first[name])]
    }
    return dataclasses.replace(whole, **values)


def bounds(found: Plan) -> dict[str, float]:
    """Seconds that the work takes at least, by what would be its only limit."""
    totals, plant, figures = found.totals, found.plant, found.figures
    policy, images = plant.policy, found.totals.images
    largest = found.sizes[0]
    held = totals.busiest_held or largest * totals.slot_seconds / totals.requests
    return {
        "cores": totals.stored * figures.core_seconds / (plant.machines * plant.cores),
        "downloads": totals.slot_seconds / (plant.machines * policy.concurrency),
        "largest host": max(held / policy.per_host, largest * policy.interval),
        "commanding process": images * figures.command_seconds,
    }


def summary(found: Plan) -> dict[str, float | str]:
    """The result as one flat object: hours, counts, GB (10⁹ bytes), shares from 0 to 1."""
    totals, plant, figures = found.totals, found.plant, found.figures
    out = totals.stored * (figures.bytes + figures.variant_bytes)
    objects = round(totals.stored * figures.files)
    limits = bounds(found)
    told: dict[str, float | str] = {
        "images": totals.images,
        "hosts": len(found.sizes),
        "largest_host": found.sizes[0],
        "largest_host_share": found.sizes[0] / totals.images,
        "machines": plant.machines,
        "cores": plant.machines * plant.cores,
        "hours": max(totals.seconds, totals.busiest_seconds) / 3600,  # each is extrapolated by itself
        "busiest_host_hours": totals.busiest_seconds / 3600,
    }
    told |= {f"hours_by_{name.replace(' ', '_')}": seconds / 3600 for name, seconds in limits.items()}
    told |= {
        "bound_by": max(limits, key=limits.__getitem__),
        "use_of_cores": totals.core_seconds / (totals.seconds * plant.machines * plant.cores),
        "use_of_largest_host": limits["largest host"] / totals.busiest_seconds if totals.busiest_seconds else 0.0,
        "use_of_commanding_process": totals.command_seconds / totals.seconds,
        "images_per_second": totals.images / totals.seconds,
        "failed": totals.images - totals.stored,
        "requests": totals.requests,
        "most_at_once_to_a_host": totals.most_at_once,
        "lookups": totals.lookups,
        "lookups_per_second": totals.lookups / totals.seconds,
        "gb_in": totals.bytes_in / 1e9,
        "gb_out": out / 1e9,
        "gbit_per_second_a_machine": (totals.bytes_in + out) * 8 / 1e9 / totals.seconds / plant.machines,
        "objects": objects,
        "puts": objects + 1,  # and manifest.json
        "lists": -(-objects // 1000),
        "manifest_gb": totals.stored * figures.manifest_bytes / 1e9,
        "index_gb": totals.images * (figures.index_bytes + figures.catalogue_bytes) / 1e9,
        "command_memory_gb": totals.images * figures.waiting_bytes / 1e9,
        "sampled": found.sampled,
        "doubt": found.doubt,
    }
    return told


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _count(text: str) -> int:
    """`10M` as a number. Raises ValueError, which argparse tells."""
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    value = float(number) * unit
    if value < 1 or value != int(value):
        raise ValueError(text)
    return int(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    add = parser.add_argument
    add("--images", type=_count, default=10**7, help="for example 10M; 10M if nothing is said")
    add("--hosts", type=_count, help="default: images to the power of `hosts_power`")
    add("--machines", type=_count, default=4)
    add("--cores", type=_count, default=16, help="of each machine; 16 if nothing is said")
    add("--per-host", type=_count, default=FetchPolicy().per_host, help="fetch.per_host")
    add("--interval", type=parse_seconds, default=0.0, help="fetch.interval, for example 1s")
    add("--concurrency", type=_count, default=FetchPolicy().concurrency, help="fetch.concurrency, of each machine")
    add("--shard", type=_count, default=Plant.shard, help="images in a shard at most")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="another value for a figure (--figures)")
    add("--sample", type=_count, help="images simulated at most; 120k, or 2,000 a machine where that is more")
    add("--seed", type=int, default=1)
    add("--json", action="store_true", help="one object instead of a table")
    add("--figures", action="store_true", help="print every figure with where it comes from, and simulate nothing")
    add("--measure", action="store_true", help="measure here those that can be, and simulate nothing (half a minute)")
    return parser


def main(words: list[str] | None = None) -> int:
    """The command. Returns its exit status: 2 for arguments that do not fit each other."""
    options = _parser().parse_args(words)
    if options.measure:
        from simulation_measure import measured

        _print(measured(), as_json=options.json)
        return 0
    try:
        figures = with_settings(Figures(), options.set)
        if options.figures:
            for name, value, unit, source in rows(figures):
                print(f"{name:>16}  {value:<10g}  {unit}; {source}")
            return 0
        hosts = options.hosts or max(1, round(options.images**figures.hosts_power))
        policy = FetchPolicy(per_host=options.per_host, interval=options.interval, concurrency=options.concurrency)
        plant = Plant(options.machines, options.cores, policy, options.shard)
        most = options.sample or max(120_000, 2 * _LEAST * plant.machines)
        found = plan(options.images, hosts, plant, figures, most=most, seed=options.seed)
    except ValueError as error:
        print(f"scripts/simulate: {error}", file=sys.stderr)
        return 2
    _print(summary(found), as_json=options.json)
    return 0


def _print(told: Mapping[str, float | str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(told))
        return
    width = max(map(len, told))
    for name, value in told.items():
        print(f"{name.replace('_', ' '):>{width}}  {_shown(value)}")


if __name__ == "__main__":
    sys.exit(main())
