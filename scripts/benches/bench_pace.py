"""Job `pace`: a sync of 800 images of one host that is busy now and then, beside one that never is."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from bench_process import article, configure, fresh, lean_origin, sync
from bench_report import Limit, Section, spread

IMAGES = 800
SHARE = 0.015  # of the URLs, which are refused once
MOST = 1.5  # times the time without

_QUIET = "never busy"
_WAYS: dict[str, Sequence[str]] = {
    _QUIET: (),
    "503, no Retry-After": ("--busy", str(SHARE)),
    "503, Retry-After: 1": ("--busy", str(SHARE), "--retry-after", "1"),
    "429, no Retry-After": ("--busy", str(SHARE), "--status", "429"),
    "429, Retry-After: 1": ("--busy", str(SHARE), "--status", "429", "--retry-after", "1"),
}
_ASKED = "429, Retry-After: 1"  # each of these asks the client to make no request at all for a second


def run(options: argparse.Namespace) -> Section:
    """Run each way `--rounds` times in turn, from a cold cache and a server that remembers nothing."""
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS}
    for _ in range(options.rounds):
        for name, busy in _WAYS.items():
            seconds[name].append(_first_sync(busy))
            print(f"  {name}: {seconds[name][-1]:.1f} s", flush=True)
    ratios = {
        name: [one / quiet for one, quiet in zip(these, seconds[_QUIET], strict=True)]
        for name, these in seconds.items()
    }
    limits = [
        Limit(f"{name}: the time without", statistics.median(ratios[name]), MOST, "times")
        for name in _WAYS
        if name not in (_QUIET, _ASKED)
    ]
    return Section(
        columns=["", "seconds", "times"],
        rows=[[name, spread(seconds[name], 1), spread(ratios[name], 2)] for name in _WAYS],
        limits=limits,
        notes=[
            f"{_ASKED} has no limit: each of these responses asks for a second without any request, and imgcache waits."
        ],
    )


def _first_sync(busy: Sequence[str]) -> float:
    site = fresh("pace/site")
    configure(site, [4])
    with lean_origin("tiny", *busy) as port:
        for number in range(0, IMAGES, 10):
            images = [(f"http://images.example/{one}.jpg", 8, 8) for one in range(number, number + 10)]
            (site / f"{number:04}.md").write_text(article(images), encoding="utf-8")
        ran, summary = sync(site, ["--connect-to", f"::127.0.0.1:{port}"])
    if summary["cached"] != IMAGES:
        raise RuntimeError(f"{summary['cached']} of {IMAGES} images are cached")
    return ran.seconds
