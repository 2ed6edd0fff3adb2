"""What the simulated world is like: every figure with where it comes from.

Seconds, bytes, and shares from 0 to 1. What is said to be assumed was measured nowhere: put your own in its place.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imgcache.core import FetchPolicy
from imgcache.runners.shards import LARGE, SIZE

_MEASURE = "`scripts/simulate --measure`"
_WHOLE = "`scripts/bench whole`"
_ASSUMED = "assumed"
_SMALL = SIZE // 2  # images; hosts with no more share a lane, and are sampled whole


def _figure(default: float, unit: str, source: str) -> Any:
    return dataclasses.field(default=default, metadata={"unit": unit, "source": source})


@dataclass(frozen=True)
class Figures:
    """One world. `Figures()` is the one that docs/scale.md counts with."""

    exponent: float = _figure(1.93, "Zipf's exponent of images by host", f"a real Jekyll site; {_MEASURE}")
    hosts_power: float = _figure(0.593, "hosts are images to this power", f"the same; {_MEASURE}")
    latency: float = _figure(0.15, "s to the first byte, median", _ASSUMED)
    latency_sigma: float = _figure(0.7, "of its logarithm", _ASSUMED)
    rate: float = _figure(2e6, "bytes/s of one connection", _ASSUMED)
    bytes: float = _figure(330_000, "bytes an original, mean", f"84 photographs and graphics; {_MEASURE}")
    bytes_sigma: float = _figure(0.86, "of its logarithm", f"the same; {_MEASURE}")
    files: float = _figure(4.93, "files an image: original and variants", f"the same, default variants; {_MEASURE}")
    variant_bytes: float = _figure(160_000, "bytes of the WebP variants of an image", f"13.47 MB of 84; {_WHOLE}")
    core_seconds: float = _figure(0.208, "s of one core an image, all in all", f"9.6 images/s on 2 cores; {_WHOLE}")
    command_seconds: float = _figure(0.0009, "s of the commanding process an image", _MEASURE)
    put_seconds: float = _figure(0.03, "s until the store has taken one object", _ASSUMED)
    shard_seconds: float = _figure(0.05, "s a shard is on its way, there and back", _ASSUMED)
    missing: float = _figure(0.03, "of images: the host says 404", _ASSUMED)
    stalled: float = _figure(0.005, "of requests: nothing comes until `limits.read`", _ASSUMED)
    dead_hosts: float = _figure(0.05, "of hosts: no connection", _ASSUMED)
    index_bytes: float = _figure(2976, "bytes an image of index/cache.db", _MEASURE)
    catalogue_bytes: float = _figure(543, "bytes an image of index/catalogue.db", _MEASURE)
    manifest_bytes: float = _figure(1255, "bytes an image of manifest.json", _MEASURE)
    waiting_bytes: float = _figure(
        200, "bytes of the commanding process an image", "its limit; `scripts/bench overhead --full`"
    )

    def but(self, **values: float) -> Figures:
        """The same world with other values."""
        return dataclasses.replace(self, **values)


@dataclass(frozen=True)
class Plant:
    """What the work is done with. A machine runs one worker with all its cores."""

    machines: int
    cores: int
    policy: FetchPolicy
    shard: int = LARGE  # images of a large host at most; all others stay at SIZE or below


def rows(figures: Figures) -> list[tuple[str, float, str, str]]:
    """Name, value, unit and source of each."""
    return [
        (one.name, getattr(figures, one.name), one.metadata["unit"], one.metadata["source"])
        for one in dataclasses.fields(figures)
    ]


def with_settings(figures: Figures, settings: list[str]) -> Figures:
    """The figures with `NAME=VALUE` put in. Raises ValueError, saying what is wrong."""
    known = [one.name for one in dataclasses.fields(figures)]
    values: dict[str, float] = {}
    for text in settings:
        name, _, value = text.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is no figure: {', '.join(known)}")
        try:
            values[name] = float(value)
        except ValueError:
            raise ValueError(f"{text!r} is not {name}=NUMBER") from None
        if not 0 <= values[name] < float("inf"):
            raise ValueError(f"{text!r}: at least 0")
    return figures.but(**values)


# -- how images are spread over hosts: a long tail, fitted to a real site, and a sample of it --------------------------


def spread(images: int, hosts: int, exponent: float) -> list[int]:
    """Images of each host, the largest first: the host of rank r has a share of r ** -exponent (Zipf).

    They add up to `images`; every host has at least one.
    """
    if not 1 <= hosts <= images:
        raise ValueError(f"{images:,} images cannot be on {hosts:,} hosts")
    weights = [rank**-exponent for rank in range(1, hosts + 1)]
    each = (images - hosts) / math.fsum(weights)
    sizes = [1 + int(each * weight) for weight in weights]
    for rank in range(images - sum(sizes)):  # what rounding left over, fewer than there are hosts
        sizes[rank] += 1
    return sizes


def fit(counts: Sequence[int]) -> tuple[float, float]:
    """Zipf's exponent by maximum likelihood, to 0.01, and the power of the images that gives the hosts (Heaps' law)."""
    ordered, total = sorted(counts, reverse=True), sum(counts)
    logs = math.fsum(count * math.log(rank) for rank, count in enumerate(ordered, 1))

    def likelihood(exponent: float) -> float:
        whole = math.fsum(rank**-exponent for rank in range(1, len(ordered) + 1))
        return -exponent * logs - total * math.log(whole)

    best = max((hundredths / 100 for hundredths in range(10, 400)), key=likelihood)
    return best, math.log(len(ordered)) / math.log(total)


def sample(sizes: Sequence[int], factor: float, rng: random.Random) -> list[int]:
    """A world `factor` times as small, in the order of ranks; a host may come out empty.

    Hosts too small for a lane of their own are taken whole, one in `factor`; of larger ones a part of their images is.
    """
    if factor <= 1:
        return list(sizes)
    return [
        (size if rng.random() * factor < 1 else 0) if size <= _SMALL else int(size / factor + rng.random())
        for size in sizes
    ]
