"""What makes derivatives with this Python, for bench_pictures: `python contenders.py NAME JOB.json`.

`imgcache`: its worker pool. `codecs`: the decoding and encoding that nobody with Pillow's codecs can save. Each file's
bytes are decoded as `processor.render` decodes them (JPEG at the coarsest scale that is enough), and the picture of
each variant, scaled before the clock starts, is encoded; what came out is written when the clock has stopped.
"""

from __future__ import annotations

import asyncio
import functools
import io
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from imgcache.core import Limits, Recipe
from imgcache.processor import RenderPool


async def _imgcache(pictures: Sequence[dict[str, Any]], workers: int, settings: dict[str, Any]) -> float:
    async with RenderPool(workers, Limits()) as pool:
        await asyncio.gather(*(pool.probe(one["path"]) for one in pictures[:workers]))  # the workers have started
        start = time.perf_counter()
        jobs = ((one, [Recipe(f"w{width}", width=width, **settings) for width in one["widths"]]) for one in pictures)
        await asyncio.gather(*(pool.render(one["path"], one["folder"], recipes) for one, recipes in jobs))
        return time.perf_counter() - start


class _Ready(NamedTuple):
    """One file's bytes; `stored` is the size to decode at, before it is turned upright."""

    body: bytes
    stored: tuple[int, int]
    variants: list[Image.Image]


_ready: list[_Ready] = []  # the workers are forked when it is full: nothing of it is sent


def _prepared(picture: dict[str, Any]) -> _Ready:
    body = Path(picture["path"]).read_bytes()
    with Image.open(io.BytesIO(body)) as file:
        upright = ImageOps.exif_transpose(file)
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        sizes = [(width, max(1, round(upright.height * width / upright.width))) for width in picture["widths"]]
        variants = [upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0) for size in sizes]
        largest = max((one.size for one in variants), key=lambda size: size[0])
        return _Ready(body, largest[::-1] if upright.size != file.size else largest, variants)


def _code(settings: dict[str, Any], number: int) -> list[bytes]:
    ready = _ready[number]
    with Image.open(io.BytesIO(ready.body)) as file:
        if ready.stored != file.size:
            file.draft(None, ready.stored)
        file.load()
    files = []
    for variant in ready.variants:
        out = io.BytesIO()
        variant.save(out, "WEBP", quality=settings["quality"], method=settings["effort"])
        files.append(out.getvalue())
    return files


def main(name: str, asked: str) -> None:
    """Do a job, and print the seconds from the first picture in hand to the last one made."""
    settings = json.loads(Path(asked).read_text(encoding="utf-8"))
    pictures, workers = settings.pop("pictures"), settings.pop("workers")
    if name == "imgcache":
        seconds = asyncio.run(_imgcache(pictures, workers, settings))
    else:
        _ready.extend(_prepared(one) for one in pictures)
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(time.sleep, [0.1] * workers))  # the workers have started
            start = time.perf_counter()
            made = list(pool.map(functools.partial(_code, settings), range(len(_ready))))
            seconds = time.perf_counter() - start
        for picture, files in zip(pictures, made, strict=True):
            for width, data in zip(picture["widths"], files, strict=True):
                (Path(picture["folder"]) / f"w{width}.webp").write_bytes(data)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
