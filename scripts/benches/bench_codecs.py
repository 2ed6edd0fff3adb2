"""Job `codecs`: how near imgcache comes to the limit that decoding and encoding set."""

from __future__ import annotations

import argparse
import functools

from bench_pictures import EFFORTS, Job, cells, copies, in_turn, make, own, pictures, rate
from bench_process import fresh, origin
from bench_report import Limit, Section
from bench_whole import HOST, first_sync

SHARE = 0.85
COPIES = 4  # of each picture, for the whole job


def run(options: argparse.Namespace) -> Section:
    """The codecs, the worker pool and the whole job, `--rounds` times in turn, at each effort."""
    found = pictures(options)
    many = list(copies(found, COPIES, fresh("codecs/pictures")))
    rows, limits = [], []
    with origin("--folder", str(many[0].path.parent), "--host", HOST) as said:
        for effort in EFFORTS:
            job = Job(found, effort=effort)
            ways = {
                "codecs alone": functools.partial(make, "codecs", own("codecs"), job),
                "worker pool, from files": functools.partial(make, "imgcache", own("imgcache"), job),
                "`imgcache sync`, from URLs": functools.partial(first_sync, said, many, effort),
            }
            runs = in_turn(ways, options.rounds)
            limit = rate(runs["codecs alone"])
            for name, these in runs.items():
                share = rate(these) / limit
                rows.append([name, str(effort), *cells(these), f"{share:.3f}"])
                if name != "codecs alone":
                    limits.append(Limit(f"effort {effort}: {name}, share of the limit", share, SHARE, at_least=True))
    return Section(
        columns=["", "effort", "images/s", "MB of WebP", "MB of memory", "share"],
        rows=rows,
        limits=limits,
    )
