"""How fast derivatives are made: `RenderPool` beside a bare loop over Pillow's codecs, same pictures, same processes.

    python scripts/bench_derivatives.py [FOLDER] [--workers 2] [--rounds 3] [--effort 4]

WebP q80 at 1280, 640 and 320 wide, never enlarged. FOLDER is $IMGCACHE_SHARED/images/photos unless given. The two take
turns, and the best round of each counts: on a machine that others use too, the rest measures the others. The bare loop
opens, drafts, scales and encodes, and does nothing else: no EXIF, no colour profiles, no limits, no files, no digests.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from imgcache.models import Limits, Recipe
from imgcache.render_pool import RenderPool

WIDTHS = (1280, 640, 320)


def bare(path: Path, effort: int) -> int:
    """Bytes that the three variants have together."""
    total = 0
    with Image.open(path) as image:
        image.draft("RGB", (WIDTHS[0], WIDTHS[0] * image.height // image.width))
        picture: Image.Image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    for width in WIDTHS:
        if picture.width > width:
            size = (width, max(1, round(picture.height * width / picture.width)))
            picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=80, method=effort)
        total += out.tell()
    return total


def bare_round(paths: list[Path], workers: int, effort: int) -> tuple[float, int]:
    """Seconds and bytes."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(bare, paths[:workers], [effort] * workers))
        start = time.perf_counter()
        total = sum(pool.map(bare, paths, [effort] * len(paths)))
        return time.perf_counter() - start, total


async def pool_round(paths: list[Path], workers: int, effort: int) -> tuple[float, int]:
    """Seconds and bytes."""
    recipes = [Recipe(f"w{width}", width=width, quality=80, effort=effort) for width in WIDTHS]
    with tempfile.TemporaryDirectory() as top:
        folders = [Path(tempfile.mkdtemp(dir=top)) for _ in paths]
        async with RenderPool(workers, Limits()) as pool:
            await asyncio.gather(*(pool.probe(path) for path in paths[:workers]))
            start = time.perf_counter()
            jobs = (pool.render(path, folder, recipes) for path, folder in zip(paths, folders, strict=True))
            results = await asyncio.gather(*jobs)
            seconds = time.perf_counter() - start
    return seconds, sum(variant.bytes for rendered in results for variant in rendered.variants)


def main() -> None:
    """Measures and prints a table."""
    shared = Path(os.environ.get("IMGCACHE_SHARED") or Path(__file__).parents[2] / "shared")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=shared / "images" / "photos")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--effort", type=int, default=4)
    asked = parser.parse_args()
    if not asked.folder.is_dir():
        parser.error(f"{asked.folder}: no such folder; name one with pictures, or set IMGCACHE_SHARED")
    paths = sorted(path for path in asked.folder.iterdir() if path.is_file())
    rows: dict[str, list[tuple[float, int]]] = {"bare Pillow": [], "RenderPool": []}
    for _ in range(asked.rounds):
        rows["bare Pillow"].append(bare_round(paths, asked.workers, asked.effort))
        rows["RenderPool"].append(asyncio.run(pool_round(paths, asked.workers, asked.effort)))
    print(f"{len(paths)} pictures, WebP q80 effort {asked.effort} at {WIDTHS}, {asked.workers} workers")
    for name, rounds in rows.items():
        seconds, total = min(rounds)
        print(f"{name:<12} {len(paths) / seconds:7.1f} images/s {total / 1e6:7.1f} MB out")


if __name__ == "__main__":
    main()
