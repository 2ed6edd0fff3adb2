"""pyvips as a contender of bench_pictures: `thumbnail` for each width, run by the Python that has pyvips."""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_UNBOUND = 10_000_000  # libvips' largest height: the width alone decides


def main() -> None:
    """Do the job that the first argument names."""
    os.environ["VIPS_CONCURRENCY"] = "1"  # one thread a picture; read when pyvips is imported
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    make = functools.partial(_make, importlib.import_module("pyvips"), job)
    with ThreadPoolExecutor(job["workers"]) as pool:
        start = time.perf_counter()
        list(pool.map(make, job["pictures"]))
        print(json.dumps({"seconds": time.perf_counter() - start}))


def _make(pyvips: Any, job: dict[str, Any], picture: dict[str, Any]) -> None:
    for width in picture["widths"]:
        image = pyvips.Image.thumbnail(
            picture["path"], width, height=_UNBOUND, size="down", output_profile="srgb", intent="relative"
        )
        path = str(Path(picture["folder"]) / f"w{width}")
        if job["format"] == "webp":
            image.webpsave(f"{path}.webp", Q=job["quality"], effort=job["effort"], keep="none")
        else:
            image.jpegsave(f"{path}.jpg", Q=job["quality"], background=255, keep="none")


if __name__ == "__main__":
    main()
