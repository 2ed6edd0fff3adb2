"""Job `crash`: a sync of the real site, killed at random times, and damaged files through the decoders."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import time
from pathlib import Path

from bench_process import fresh, origin, shared
from bench_report import Limit, Section, Skipped

from examples.origin import answers_for
from examples.origin.answers import normal
from tests.processor.test_decoder_fuzz import LIMITS, Tally, fuzz
from tests.support.aftermath import Campaign, ExpectedSite, Nursery, outside
from tests.support.site_files import strike, unflagged

KILLS = 300
FUZZ_SECONDS = 60
_CONFIG = "variants: [{name: w4, width: 4, format: webp, effort: 0}]\ndimensions: ignore\nfetch: {retries: 0}\n"


def run(options: argparse.Namespace) -> Section:
    """Kill, look, run again, until there were enough kills; then damage files for a minute."""
    factor = 10 if options.full else 1
    real = shared() / "site"
    if not real.is_dir():
        raise Skipped("no real site here; set IMGCACHE_SHARED to the folder that holds one")
    work = fresh("crash")
    pristine = _writable(real, work / "pristine")
    expected = outside(pristine)
    refused = {normal(url) for url in unflagged(pristine)}
    struck = strike(pristine)
    (work / "imgcache.yml").write_text(_CONFIG, encoding="utf-8")
    _write_answers(work / "answers.yml", pristine, refused)
    words = ("--config", str(work / "imgcache.yml"))

    def site() -> Path:
        shutil.rmtree(work / "site", ignore_errors=True)
        return Path(shutil.copytree(pristine, work / "site"))

    with (
        origin("--answers", str(work / "answers.yml")) as said,
        Nursery(work, said["connect_to"], {"SSL_CERT_FILE": said["ca"]}) as nursery,
    ):
        nursery.sync(site(), *words)  # for the origin, which draws an image when it is first asked for it
        begin = time.perf_counter()
        ended = nursery.sync(undisturbed := site(), *words)
        seconds = time.perf_counter() - begin
        expected_site = ExpectedSite.of(outside(pristine), undisturbed)
        if expected_site.after != expected:
            raise Skipped(f"an undisturbed sync does not give the site's own bytes back: {ended.output[-800:]}")
        found, draw, begin = Campaign(), random.Random(options.rounds), time.perf_counter()
        found.run(
            nursery, site, expected_site, kills=KILLS * factor, seconds=seconds, draw=draw, words=words, each=_dot
        )
        took = time.perf_counter() - begin
    print()
    (work / "fuzz").mkdir()
    tally = asyncio.run(fuzz(work / "fuzz", FUZZ_SECONDS * factor, draw))
    for law in [*found.broken, *found.differs, *found.orphans, *tally.wrong][:30]:
        print(f"  broken: {law}", flush=True)
    size = f"{len(expected)} files with {struck} flags, {found.images} images; a run takes {seconds:.1f} s"
    return _section(found, tally, [size, f"the kills took {took:.0f} s, damaged files {tally.seconds:.0f} s"])


def _writable(real: Path, copy: Path) -> Path:
    """A copy that may be written into, whatever the rights of the real one."""
    shutil.copytree(real, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def _dot() -> None:
    print(".", end="", flush=True)


def _write_answers(path: Path, site: Path, refused: set[str]) -> None:
    """A small drawn image for every URL of the site, and 403 for those that the site itself has not flagged."""
    answers = {key: {"status": 403} if key in refused else {"size": [8, 8]} for key in answers_for(site)}
    path.write_text(json.dumps(answers), encoding="utf-8")  # JSON is YAML


def _section(found: Campaign, tally: Tally, notes: list[str]) -> Section:
    others = len(found.broken) - found.false_flags - found.lost + found.blocked
    outcomes = ", ".join(f"{code} {count:,}" for code, count in tally.outcomes.most_common())
    rows = [
        ["kills", f"{found.kills:,}"],
        ["runs that ended by themselves", f"{found.rounds:,}"],
        ["flags whose files were not all there, after a kill", str(found.false_flags)],
        ["files of the site with a byte lost or changed, after a kill", str(found.lost)],
        ["other laws broken (manifest.json, the lock)", str(others)],
        ["differences from an undisturbed run, at the end of a round", str(len(found.differs))],
        ["processes that outlived a kill by 8 s", str(len(found.orphans))],
        ["requests for images", f"{found.requests:,}"],
        ["of them in flight at a kill", f"{found.in_flight:,}"],
        ["downloads an image, beyond those in flight", f"{found.downloads:.3f}"],
        ["damaged files through the decoders", f"{tally.files:,}"],
    ]
    broken = len(found.broken) + len(found.differs) + len(found.orphans) + found.blocked
    limits = [
        Limit("kills", found.kills, KILLS, at_least=True),
        Limit("flags whose files were not all there, bytes lost or changed, other laws broken", broken, 0),
        Limit("downloads an image, beyond those in flight", found.downloads, 1.1),
        Limit("damaged files that were neither rendered nor refused, or left something", len(tally.wrong), 0),
        Limit("the slowest of them", tally.slowest, 5 * LIMITS.decode_time, "s"),
    ]
    return Section(["", ""], rows, limits, [*notes, f"damaged files ended as: {outcomes}"])
