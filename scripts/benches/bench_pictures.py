"""Pictures to derivatives, as every contender gets the work: the same files, the same widths, two pictures at a time.

A contender is a command that is given a job, a file of JSON:

    {"pictures": [{"path": …, "widths": [640, 320], "folder": …}, …], "format": "webp", "quality": 80, "effort": 4,
     "workers": 2}

It writes `FOLDER/wWIDTH.webp` and prints {"seconds": S}: from the first picture in hand to the last file written,
so that its own start does not count. Pictures are turned upright, brought to sRGB and stripped of metadata.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench_process import SCRIPTS, fresh, measure, shared, watched
from bench_report import Skipped, spread
from PIL import Image

WIDTHS = (1280, 640, 320)
EFFORTS = (4, 2)


@dataclass(frozen=True)
class Picture:
    """One file, and its size as displayed."""

    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class Job:
    """What is to be made: no picture is enlarged, and a width that several come to is made once."""

    pictures: Sequence[Picture]
    widths: Sequence[int] = WIDTHS
    format: str = "webp"
    quality: int | str = 80
    effort: int = 4
    more: Mapping[str, float] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """As a file in `folder`, where a folder for each picture is made."""
        pictures = []
        for number, picture in enumerate(self.pictures):
            widths = sorted({min(width, picture.width) for width in self.widths}, reverse=True)
            own = folder / f"{number:04}"
            own.mkdir()
            pictures.append({"path": str(picture.path), "widths": widths, "folder": str(own)})
        path = folder / "job.json"
        settings = {"format": self.format, "quality": self.quality, "effort": self.effort, **self.more}
        path.write_text(json.dumps({"pictures": pictures, "workers": cores(), **settings}), encoding="utf-8")
        return path


@dataclass(frozen=True)
class Made:
    """One run: seconds, pictures that came out, their files in order, all processes' memory at most."""

    seconds: float
    images: int
    files: tuple[Path, ...]
    bytes: int
    memory: int

    def __str__(self) -> str:
        return f"{self.images} images in {self.seconds:.2f} s, {self.bytes / 1e6:.2f} MB"


def cores() -> int:
    """How many this process may use: as many pictures are in hand at once."""
    return len(os.sched_getaffinity(0))


def pictures(options: argparse.Namespace) -> list[Picture]:
    """Those of `--photos DIR`, or else the real ones; as many as `--pictures` says, drawn evenly."""
    folder: Path = options.photos or shared() / "images" / "photos"
    return some([displayed(path) for path in sorted(folder.iterdir()) if path.is_file()], options.pictures)


def some(found: Sequence[Picture], count: int | None) -> list[Picture]:
    """`count` of them, drawn evenly; all where there are not more."""
    if count is None or count >= len(found):
        return list(found)
    return [found[number * len(found) // count] for number in range(count)]


def copies(found: Sequence[Picture], count: int, folder: Path) -> Iterator[Picture]:
    """Every picture so many times, in a folder: no two have the same bytes, and none another picture in it."""
    for number in range(count):
        for one in found:
            path = folder / f"{number}-{one.path.name}"
            path.write_bytes(one.path.read_bytes() + bytes(number))  # after its end
            yield Picture(path, one.width, one.height)


def displayed(path: Path) -> Picture:
    """A picture with its size after EXIF orientation."""
    with Image.open(path) as image:
        turned = image.getexif().get(0x0112, 1) >= 5  # Exif 3.0, section 4.6.5
        return Picture(path, *(image.size[::-1] if turned else image.size))


def own(name: str) -> list[str]:
    """The command of a contender that runs with this Python."""
    return [sys.executable, str(SCRIPTS / "contenders.py"), name]


def make(name: str, command: Sequence[str], job: Job) -> Made:
    """Have a contender do the job. Raises Skipped where it fails, or leaves a file out."""
    folder = fresh(f"made/{re.sub(r'[^a-z0-9]+', '-', name.lower())}")
    asked = job.write(folder)
    with watched() as memory:
        said = json.loads(measure([*command, str(asked)]).output)
    run = made(said["seconds"], len(job.pictures), folder.glob("*/*"), memory.peak)
    wanted = sum(len(one["widths"]) for one in json.loads(asked.read_text(encoding="utf-8"))["pictures"])
    if len(run.files) != wanted:
        raise Skipped(f"{name} made {len(run.files)} of {wanted} files")
    return run


def made(seconds: float, images: int, files: Iterable[Path], memory: int) -> Made:
    """A run, with the bytes that its files have now."""
    found = tuple(sorted(files))
    return Made(seconds, images, found, sum(path.stat().st_size for path in found), memory)


def rate(runs: Sequence[Made]) -> float:
    """Images a second, the median of the runs."""
    return statistics.median(run.images / run.seconds for run in runs)


def size(runs: Sequence[Made]) -> float:
    """Bytes, the median of the runs."""
    return statistics.median(run.bytes for run in runs)


def cells(runs: Sequence[Made]) -> list[str]:
    """Of a table: images a second, MB out, MB of memory."""
    return [
        spread([run.images / run.seconds for run in runs], 1),
        f"{size(runs) / 1e6:.2f}",
        spread([run.memory / 1e6 for run in runs], 0),
    ]
