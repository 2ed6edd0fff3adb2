"""How images are spread over hosts: a long tail, fitted to a real site, and a sample of it. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from imgcache.runners.shards import SIZE

_SMALL = SIZE // 2  # images; hosts with no more share a lane, and are sampled whole


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
