"""imgcache as a contender of bench_pictures: a job's file in, files out, through `RenderPool`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from imgcache.models import Limits
from imgcache.recipes import Recipe
from imgcache.render_pool import RenderPool


def main() -> None:
    """Do the job that the first argument names."""
    print(json.dumps({"seconds": asyncio.run(_make(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))}))


async def _make(job: dict[str, Any]) -> float:
    pictures = job.pop("pictures")
    workers = job.pop("workers")
    async with RenderPool(workers, Limits()) as pool:
        await asyncio.gather(*(pool.probe(one["path"]) for one in pictures[:workers]))  # the workers are there
        start = time.perf_counter()
        await asyncio.gather(*(pool.render(one["path"], one["folder"], _recipes(one, job)) for one in pictures))
        return time.perf_counter() - start


def _recipes(picture: dict[str, Any], settings: dict[str, Any]) -> list[Recipe]:
    return [Recipe(f"w{width}", width=width, **settings) for width in picture["widths"]]


if __name__ == "__main__":
    main()
