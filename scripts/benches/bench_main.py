"""`scripts/bench [JOB…]`: run jobs, print their tables and write each to its section of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import compileall
import os
import sys
from collections.abc import Callable
from pathlib import Path

import bench_audit
import bench_cluster
import bench_crash
import bench_page
import bench_quality
import bench_rewrite
import bench_scan
import bench_serve
import bench_tiny
import bench_whole
import psutil
from bench_process import ROOT
from bench_report import Section, Skipped, pace, write_section

JOBS: dict[str, tuple[Callable[[argparse.Namespace], Section], str]] = {
    "whole": (bench_whole.run, "a first sync of real photographs, beside eleventy-img"),
    "codecs": (bench_whole.codecs, "how near that comes to the limit that decoding and encoding set"),
    "quality": (bench_quality.run, "how much the variants look like their originals, beside sharp; quality: auto"),
    "nothing": (bench_tiny.nothing, "a sync of 100,000 references that has nothing to do"),
    "growth": (bench_tiny.growth, "a sync with nothing to do, from 1,000 references to 100,000 or a million"),
    "scan": (bench_scan.run, "reading real articles with nothing remembered"),
    "overhead": (bench_tiny.overhead, "time and memory an image besides decoding, scaling and encoding"),
    "pace": (bench_tiny.pace, "800 images of one host that is busy now and then, beside one that never is"),
    "page": (bench_page.run, "what a browser loads for one page, before and after imgcache rewrite"),
    "rewrite": (bench_rewrite.run, "built pages made local: pages alone, nothing to do, memory, and beside jampack"),
    "serve": (bench_serve.run, "the endpoint beside nginx, with connections held, and its start"),
    "audit": (bench_audit.run, "an audit of 5,000 images on 50 hosts, beside linkinator"),
    "cluster": (bench_cluster.run, "two workers of a Dask cluster beside one machine, and what commanding costs"),
    "startup": (bench_tiny.startup, "`imgcache --help`"),
    "crash": (bench_crash.run, "300 kills at random times, and a minute of damaged files"),
}


def main() -> int:
    """Run the jobs that are named, else all; 1 where a limit is not kept."""
    listed = "\n".join(f"  {name:11} {what}" for name, (_, what) in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=f"Measure and write docs/benchmarks.md. Jobs:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="all where none is named")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each thing, in turn (%(default)s)")
    parser.add_argument("--full", action="store_true", help="the largest sizes too; the whole may take an hour")
    parser.add_argument("--dry-run", action="store_true", help="print, and leave docs/benchmarks.md as it is")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="pictures to use; default: the real ones")
    parser.add_argument("--pictures", type=int, metavar="N", help="a quick run with N of them, which is not written")
    options = parser.parse_args()
    if unknown := sorted(set(options.jobs) - set(JOBS)):
        parser.error(f"no such job: {', '.join(unknown)}; there are {', '.join(JOBS)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(ROOT / "imgcache", quiet=1)  # as pip leaves a package; an editable install is not compiled
    kept = [_run(name, options) for name in options.jobs or JOBS]
    return 0 if all(kept) else 1


def _run(name: str, options: argparse.Namespace) -> bool:
    """Whether every limit of the job was kept."""
    print(f"\n== {name}: {JOBS[name][1]}", flush=True)
    busy = psutil.cpu_percent(interval=2) / 100
    if busy > 0.1:
        print(f"warning: {busy:.0%} of this machine is at other work; measure again when it is quiet", flush=True)
    before = pace()
    try:
        section = JOBS[name][0](options)
    except Skipped as reason:
        print(f"skipped: {reason}")
        return True
    more = ["--full"] * options.full + [f"--photos {options.photos}"] * (options.photos is not None)
    text = section.render(
        " ".join(["scripts/bench", name, f"--rounds {options.rounds}", *more]), busy, (before, pace())
    )
    print(text, flush=True)
    if not options.dry_run and options.pictures is None:
        write_section(ROOT / "docs" / "benchmarks.md", name, JOBS[name][1], text)
    return all(limit.is_kept for limit in section.limits)


if __name__ == "__main__":
    sys.exit(main())
