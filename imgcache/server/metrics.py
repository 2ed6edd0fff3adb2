"""Metrics for Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/.

With several workers, prometheus_client adds their counters up in files of the folder PROMETHEUS_MULTIPROC_DIR, which
`imgcache serve` creates.
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
_FLUSH_AFTER = 0.1  # seconds
disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter
CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


class State(NamedTuple):
    """The values of the gauges. `memory` is in bytes, `last_run` in seconds since the epoch."""

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
        self._pending: dict[str, list[int]] = {}  # requests and bytes that are not counted yet, by route

    def count(self, route: str, status: int, sent: int, seconds: float) -> None:
        """Counts one response. `sent`: bytes of its body; `seconds`: until it began."""
        known = self._route(route, status)
        known.requests.inc()
        known.bytes.inc(sent)
        self._latencies[route].observe(seconds)

    def count_cached(self, route: str, sent: int) -> None:
        """Counts one 200 response of the fast path, whose latency counts as 0. Call it in the event loop.

        The counters are updated a moment later for all of these at once: prometheus_client would take a fifth of the
        time of such a response.
        """
        tally = self._pending.get(route)
        if tally is None:
            if not self._pending:
                asyncio.get_running_loop().call_later(_FLUSH_AFTER, self.flush)
            tally = self._pending[route] = [0, 0]
        tally[0] += 1
        tally[1] += sent

    def flush(self) -> None:
        """Updates the counters with the responses of `count_cached`. Call it before `render`."""
        for route, (requests, sent) in self._pending.items():
            known = self._route(route, 200)
            known.requests.inc(requests)
            known.bytes.inc(sent)
            self._latencies[route]._buckets[0].inc(requests)  # noqa: SLF001  # the same as that many calls of observe(0.0)
        self._pending.clear()

    def _route(self, route: str, status: int) -> _Route:
        known = self._known.get((route, status))
        if known is None:
            known = _Route(self._requests.labels(route, str(status)), self._bytes.labels(route))
            self._known[route, status] = known
            self._latencies[route] = self._latency.labels(route)
        return known

    def render(self, state: State) -> bytes:
        """Returns all metrics in the text format."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        gauges = CollectorRegistry()
        gauges.register(_Gauges(state))
        return bytes(generate_latest(registry) + generate_latest(gauges))


class _Gauges(Collector):
    """The gauges, which are made for each scrape."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yields one family for each gauge."""
        state = self._state
        yield GaugeMetricFamily("imgcache_images_held", "Images in manifest.json.", state.images)
        yield GaugeMetricFamily("imgcache_memory_bytes", "Bytes of images held in memory.", state.memory)
        readable = int(state.is_readable)
        yield GaugeMetricFamily("imgcache_manifest_readable", "1 where manifest.json can be read.", readable)
        if state.last_run is not None:
            age = max(0.0, time.time() - state.last_run)
            yield GaugeMetricFamily(
                "imgcache_last_sync_age_seconds", "Seconds since a command last used the cache.", age
            )
        failing = GaugeMetricFamily("imgcache_failures", "Images that fail, by code.", labels=["code"])
        for code, count in sorted(state.failures.items()):
            failing.add_metric([code], count)
        yield failing
