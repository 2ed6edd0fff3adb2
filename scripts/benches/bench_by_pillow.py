"""Pillow as a contender of bench_pictures, as one would write it at first: each width from the whole picture."""

from __future__ import annotations

import functools
import io
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageOps

_SRGB = ImageCms.createProfile("sRGB")
_EXTENSION = {"webp": "webp", "jpeg": "jpg"}


def main() -> None:
    """Do the job that the first argument names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Image.init()  # before the workers are forked
    with ProcessPoolExecutor(job["workers"]) as pool:
        list(pool.map(time.sleep, [0.1] * job["workers"]))  # the workers are there
        start = time.perf_counter()
        list(pool.map(functools.partial(_make, job), job["pictures"]))
        print(json.dumps({"seconds": time.perf_counter() - start}))


def _make(job: dict[str, Any], picture: dict[str, Any]) -> None:
    with Image.open(picture["path"]) as file:
        image = ImageOps.exif_transpose(file)
        transparent = image.has_transparency_data and job["format"] != "jpeg"
        image = image.convert("RGBA" if transparent else "RGB")
        if profile := file.info.get("icc_profile"):
            image = ImageCms.profileToProfile(image, io.BytesIO(profile), _SRGB) or image
    for width in picture["widths"]:
        size = (width, max(1, round(image.height * width / image.width)))
        small = image.resize(size, Image.Resampling.LANCZOS)
        path = Path(picture["folder"]) / f"w{width}.{_EXTENSION[job['format']]}"
        small.save(path, job["format"], quality=job["quality"], method=job["effort"])


if __name__ == "__main__":
    main()
