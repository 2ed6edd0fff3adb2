"""Job `quality`: how much variants look like their originals, beside sharp's; fixed quality beside `quality: auto`."""

from __future__ import annotations

import argparse
import functools
import json
import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench_pictures import Job, Made, Picture, cores, make, own, pictures, some
from bench_process import fresh, measure, node_script, node_versions, node_with, python_versions, python_with
from bench_report import Limit, Section, Skipped, spread
from PIL import Image

SCORER = "ssimulacra2==0.3.0"
WIDTH, COUNT = 640, 40
SHARP = ("sharp", "0.35.5")
OURS = "imgcache, quality 80"
_SCORE = """
import json, os, sys
from concurrent.futures import ProcessPoolExecutor
from ssimulacra2 import compute_ssimulacra2

with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    print(json.dumps(list(pool.map(compute_ssimulacra2, *zip(*json.load(open(sys.argv[1]))))), default=float))
"""


@dataclass(frozen=True)
class Scored:
    """One way to make the variants: bytes of all, the score of each."""

    bytes: float
    scores: Sequence[float]

    @property
    def mean(self) -> float:
        """Of the scores."""
        return statistics.fmean(self.scores)

    def cells(self) -> list[str]:
        """Of a table."""
        return [f"{self.bytes / 1e6:.3f}", f"{self.mean:.2f}", f"{min(self.scores):.2f}", spread(self.scores)]


def _score(python: str, photographs: Sequence[Picture], run: Made) -> Scored:
    """Scores one variant of each photograph, in their order, against references of their sizes."""
    sizes = [_size(path) for path in run.files]
    folder = fresh("quality")
    names = [folder / f"{number:04}.png" for number in range(len(sizes))]
    with ProcessPoolExecutor(cores()) as pool:
        list(pool.map(_reference, [picture.path for picture in photographs], sizes, names))
    pairs = folder / "pairs.json"
    asked = [[str(name), str(path)] for name, path in zip(names, run.files, strict=True)]
    pairs.write_text(json.dumps(asked), encoding="utf-8")
    said = measure([python, "-c", _SCORE, str(pairs)])
    return Scored(run.bytes, json.loads(said.output))


def run(options: argparse.Namespace) -> Section:
    """Each way once: the files and the scores are the same every time."""
    photographs = some(_photographs(options), min(COUNT, options.pictures or COUNT))
    python = python_with("ssimulacra2", SCORER)
    score, job, notes, versions = functools.partial(_score, python, photographs), Job(photographs, [WIDTH]), [], []
    found = {OURS: score(make("imgcache", own("imgcache"), job))}
    fixed = found[OURS]
    if folder := node_with(*SHARP, notes):
        found["sharp, quality 80"] = score(make("sharp", node_script(folder, "contend_sharp.mjs"), job))
        versions += node_versions(folder, SHARP[0])
    for form in ("webp", "best"):
        target = math.ceil(fixed.mean)
        job = Job(photographs, [WIDTH], format=form, quality="auto", more={"target": target})
        auto = score(make("imgcache", own("imgcache"), job))
        found[f"imgcache, format {form}, quality auto, target {target}"] = auto
    limits = [
        Limit("format best, quality auto: bytes against quality 80", auto.bytes / fixed.bytes, 0.9, "times"),
        Limit("its mean score, above that of quality 80", auto.mean - fixed.mean, 0, at_least=True),
        Limit("its lowest score, above that of quality 80", min(auto.scores) - min(fixed.scores), 0, at_least=True),
    ]
    if sharp := found.get("sharp, quality 80"):
        limits += [
            Limit("mean score, above sharp's", fixed.mean - sharp.mean, -0.3, at_least=True),
            Limit("bytes against sharp's", fixed.bytes / sharp.bytes, 1.02, "times"),
        ]
    return Section(
        columns=["", "MB", "mean", "lowest", "median (lowest–highest)"],
        rows=[[name, *scored.cells()] for name, scored in found.items()],
        limits=limits,
        notes=notes,
        versions=[*versions, *python_versions(python, "ssimulacra2")],
    )


def _photographs(options: argparse.Namespace) -> list[Picture]:
    found = pictures(argparse.Namespace(photos=options.photos, pictures=None))
    fitting = [one for one in found if one.path.suffix == ".jpg" and one.width > WIDTH and _is_plain(one.path)]
    if not fitting:
        raise Skipped(f"no JPEG here is wider than {WIDTH} pixels; name a folder that has some with --photos")
    return fitting


def _is_plain(path: Path) -> bool:
    """RGB without a profile, and upright: nothing but scaling and encoding is scored."""
    with Image.open(path) as image:
        return image.mode == "RGB" and "icc_profile" not in image.info and image.getexif().get(0x0112, 1) == 1


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _reference(path: Path, size: tuple[int, int], name: Path) -> None:
    """The picture at `path`, decoded whole, at `size`: each channel scaled as 32-bit floats and then rounded."""
    with Image.open(path) as image:
        channels = [channel.convert("F").resize(size, Image.Resampling.LANCZOS) for channel in image.split()]
    rounded = [channel.point(lambda value: value * 1 + 0.5).convert("L") for channel in channels]  # convert() cuts off
    Image.merge("RGB", rounded).save(name, compress_level=1)
