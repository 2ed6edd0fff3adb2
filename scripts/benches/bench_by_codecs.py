"""Pillow's codecs alone as a contender of bench_pictures: the decoding and encoding that nobody with them can save.

Each file's bytes are decoded as `processor.render` decodes them (JPEG at the coarsest scale that is enough), and the
picture of each variant, scaled before the clock starts, is encoded. No file is read or written while the clock runs, no
picture scaled, no colour converted, no digest made. What it encoded is written when the clock has stopped.
"""

from __future__ import annotations

import functools
import io
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps


class _Ready(NamedTuple):
    """One file's bytes; `stored` is the size to decode at, before it is turned upright."""

    body: bytes
    stored: tuple[int, int]
    variants: list[Image.Image]


_ready: list[_Ready] = []  # the workers are forked when it is full: nothing of it is sent


def main() -> None:
    """Do the job that the first argument names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    _ready.extend(_prepared(one) for one in job["pictures"])
    with ProcessPoolExecutor(job["workers"]) as pool:
        list(pool.map(time.sleep, [0.1] * job["workers"]))  # the workers are there
        start = time.perf_counter()
        made = list(pool.map(functools.partial(_code, job["effort"], job["quality"]), range(len(_ready))))
        print(json.dumps({"seconds": time.perf_counter() - start}))
    for picture, files in zip(job["pictures"], made, strict=True):
        for width, data in zip(picture["widths"], files, strict=True):
            (Path(picture["folder"]) / f"w{width}.webp").write_bytes(data)


def _prepared(picture: dict[str, Any]) -> _Ready:
    body = Path(picture["path"]).read_bytes()
    with Image.open(io.BytesIO(body)) as file:
        upright = ImageOps.exif_transpose(file)
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        turned = upright.size != file.size
        variants = []
        for width in picture["widths"]:
            size = (width, max(1, round(upright.height * width / upright.width)))
            variants.append(upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
        largest = max((one.size for one in variants), key=lambda size: size[0])
        return _Ready(body, largest[::-1] if turned else largest, variants)


def _code(effort: int, quality: int, number: int) -> list[bytes]:
    ready = _ready[number]
    with Image.open(io.BytesIO(ready.body)) as file:
        if ready.stored != file.size:
            file.draft(None, ready.stored)
        file.load()
    files = []
    for variant in ready.variants:
        out = io.BytesIO()
        variant.save(out, "WEBP", quality=quality, method=effort)
        files.append(out.getvalue())
    return files


if __name__ == "__main__":
    main()
