"""Job `quality`: how much variants look like their originals, beside sharp's; fixed quality beside `quality: auto`."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench_pictures import Job, Made, Picture, contenders, cores, make, own, pictures, some
from bench_process import SCRIPTS, fresh, measure, python_versions, python_with
from bench_report import Limit, Section, Skipped, spread
from PIL import Image

SCORER = "ssimulacra2==0.3.0"
WIDTH, COUNT = 640, 40
_TRIALS = 8  # targets that are tried at most


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


class _Scorer:
    """Scores variants against references, which are made when they are first asked for."""

    def __init__(self, photographs: Sequence[Picture], python: str) -> None:
        self._photographs = photographs
        self._python = python
        self._folder = fresh("quality")

    def __call__(self, run: Made) -> Scored:
        """One variant of each photograph, in their order."""
        sizes = [_size(path) for path in run.files]
        names = [self._folder / f"{number:04}-{size[0]}x{size[1]}.png" for number, size in enumerate(sizes)]
        made = zip([picture.path for picture in self._photographs], sizes, names, strict=True)
        missing = [one for one in made if not one[2].is_file()]
        with ProcessPoolExecutor(cores()) as pool:
            list(pool.map(_reference, *zip(*missing, strict=True))) if missing else None
        pairs = self._folder / "pairs.json"
        asked = [[str(name), str(path)] for name, path in zip(names, run.files, strict=True)]
        pairs.write_text(json.dumps(asked), encoding="utf-8")
        said = measure([self._python, str(SCRIPTS / "contend_score.py"), str(pairs)])
        return Scored(run.bytes, json.loads(said.output))


def run(options: argparse.Namespace) -> Section:
    """Each way once: the files and the scores are the same every time."""
    photographs = some(_photographs(options), min(COUNT, options.pictures or COUNT))
    python, (commands, notes, versions) = python_with("ssimulacra2", SCORER), contenders()
    scorer = _Scorer(photographs, python)
    fixed = scorer(make("imgcache", own("imgcache"), Job(photographs, [WIDTH])))
    rows, limits = [["imgcache, quality 80", *fixed.cells()]], []
    if "sharp" in commands:
        sharp = scorer(make("sharp", commands["sharp"], Job(photographs, [WIDTH])))
        rows.append(["sharp, quality 80", *sharp.cells()])
        limits += [
            Limit("mean score, above sharp's", fixed.mean - sharp.mean, -0.3, at_least=True),
            Limit("bytes against sharp's", fixed.bytes / sharp.bytes, 1.02, "times"),
        ]

    def auto(target: int, form: str = "best") -> Scored:
        job = Job(photographs, [WIDTH], format=form, quality="auto", more={"target": target})
        found = scorer(make("imgcache", own("imgcache"), job))
        rows.append([f"imgcache, format {form}, quality auto, target {target}", *found.cells()])
        print(f"  {' | '.join(rows[-1])}", flush=True)
        return found

    auto(round(fixed.mean), "webp")
    below, above = _around(auto, fixed.mean)
    share = (fixed.mean - below.mean) / (above.mean - below.mean)
    size = below.bytes + share * (above.bytes - below.bytes)
    lowest = min(below.scores) + share * (min(above.scores) - min(below.scores))
    between = "imgcache, format best, quality auto, between two targets at the mean of quality 80"
    rows.append([between, f"{size / 1e6:.3f}", f"{fixed.mean:.2f}", f"{lowest:.2f}", ""])
    limits += [
        Limit("format best, quality auto: bytes at the mean score of quality 80", size / fixed.bytes, 0.9, "times"),
        Limit(
            "format best, quality auto: lowest score, above that of quality 80",
            lowest - min(fixed.scores),
            0,
            at_least=True,
        ),
    ]
    return Section(
        title="How much variants look like their originals",
        text=f"{len(photographs)} photographs (JPEG, opaque, no colour profile) at {WIDTH} pixels wide, WebP effort 4,"
        " scored by SSIMULACRA2 (100: the same; 90: cannot be told apart; 70: high quality). The reference of each is"
        " the whole picture decoded and scaled by Lanczos 3 in 32-bit floating point, and rounded once. It is scaled as"
        " stored, in sRGB's own gamma and not in linear light, for both tools scale so unless they are told otherwise:"
        " the score then tells what scaling in few bits, JPEG's reduced decoding and the encoder lose."
        " Quality auto is given whole targets, until two neighbours have the mean score of quality 80 between them;"
        " bytes and lowest score at that very mean are read off the line through the two. With WebP alone quality auto"
        " evens the scores out, and saves next to nothing: what is saved comes from the format.",
        columns=["", "MB", "mean", "lowest", "median (lowest–highest)"],
        rows=rows,
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


def _around(trial: Callable[[int], Scored], mean: float) -> tuple[Scored, Scored]:
    """The trials of two neighbouring targets, the first with a mean below `mean`, the second with none below.

    Raises:
        Skipped: there are no such two; the message says what the means are.
    """
    below: dict[int, Scored] = {}
    above: dict[int, Scored] = {}
    target = round(mean)
    for _ in range(_TRIALS):
        found = trial(target)
        (below if found.mean < mean else above)[target] = found
        if below and above and min(above) - max(below) <= 1:
            return below[max(below)], above[min(above)]
        if below and above:
            target = (max(below) + min(above)) // 2
        else:
            step = round(mean - found.mean)
            target = max(below) + max(1, step) if below else min(above) + min(-1, step)
    means = {target: round(one.mean, 2) for target, one in (below | above).items()}
    raise Skipped(f"no target gives the mean score of quality 80, {mean:.2f}: {means}")
