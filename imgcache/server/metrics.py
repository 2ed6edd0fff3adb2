"""What Prometheus is told: https://prometheus.io/docs/instrumenting/exposition_formats/.

With several workers prometheus_client adds them up in files of the folder PROMETHEUS_MULTIPROC_DIR, which
`imgcache serve` makes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_MOMENT = 0.1  # seconds
disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, that no query here needs
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


class State(NamedTuple):
    """How things stand when Prometheus asks. `last_run` is in seconds since the epoch."""

    images: int
    memory: int
    is_readable: bool
    last_run: float | None
    failures: Mapping[str, int]


class _Route(NamedTuple):
    """The counters of one route and status."""

    requests: Counter
    bytes: Counter


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._requests = Counter(
            "imgcache_requests", "Requests answered, by route and status.", ["route", "status"], registry=registry
        )
        self._bytes = Counter("imgcache_sent_bytes", "Bytes of bodies sent, by route.", ["route"], registry=registry)
        self._latency = Histogram(
            "imgcache_latency_seconds",
            "From the request to the beginning of the answer, by route.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._known: dict[tuple[str, int], _Route] = {}
        self._latencies: dict[str, Histogram] = {}
        self._at_hand: dict[str, list[int]] = {}  # requests and bytes that are not entered yet, by route

    def count(self, route: str, status: int, sent: int, seconds: float) -> None:
        """One answer."""
        known = self._route(route, status)
        known.requests.inc()
        known.bytes.inc(sent)
        self._latencies[route].observe(seconds)

    def count_at_hand(self, route: str, sent: int) -> None:
        """One answer of 200 that took no time to speak of: entered a moment later, with the others of that moment.

        Prometheus' counters take a fifth of the time of such an answer. Belongs into an event loop.
        """
        tally = self._at_hand.get(route)
        if tally is None:
            if not self._at_hand:
                asyncio.get_running_loop().call_later(_MOMENT, self.enter)
            tally = self._at_hand[route] = [0, 0]
        tally[0] += 1
        tally[1] += sent

    def enter(self) -> None:
        """Enter what `count_at_hand` has gathered; `render` wants it done."""
        for route, (requests, sent) in self._at_hand.items():
            known = self._route(route, 200)
            known.requests.inc(requests)
            known.bytes.inc(sent)
            self._latencies[route]._buckets[0].inc(requests)  # noqa: SLF001  # as many calls of observe(0.0)
        self._at_hand.clear()

    def _route(self, route: str, status: int) -> _Route:
        known = self._known.get((route, status))
        if known is None:
            known = _Route(self._requests.labels(route, str(status)), self._bytes.labels(route))
            self._known[route, status] = known
            self._latencies[route] = self._latency.labels(route)
        return known

    def render(self, state: State) -> bytes:
        """The exposition, in the text format."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        now = CollectorRegistry()
        now.register(_Now(state))
        return bytes(generate_latest(registry) + generate_latest(now))


class _Now(Collector):
    """The gauges, which need no memory."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """One family a gauge."""
        state = self._state
        yield GaugeMetricFamily("imgcache_images_held", "Images in manifest.json.", state.images)
        yield GaugeMetricFamily("imgcache_memory_bytes", "Bytes of images held in memory.", state.memory)
        readable = int(state.is_readable)
        yield GaugeMetricFamily("imgcache_manifest_readable", "1 where manifest.json can be read.", readable)
        if state.last_run is not None:
            age = max(0.0, time.time() - state.last_run)
            yield GaugeMetricFamily("imgcache_last_sync_age_seconds", "Since a command last held the cache.", age)
        failing = GaugeMetricFamily("imgcache_failures", "Images that fail, by code.", labels=["code"])
        for code, count in sorted(state.failures.items()):
            failing.add_metric([code], count)
        yield failing
