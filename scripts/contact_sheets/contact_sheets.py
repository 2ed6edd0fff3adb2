"""`scripts/fidelity`: docs/fidelity.html, sources beside the variants that imgcache makes of them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, features
from PIL import __version__ as pillow

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
from contact_cases import SECTIONS, Case, Section  # noqa: E402 (they need the repository's own, found by the line above)

from imgcache.core import Rendered  # noqa: E402
from imgcache.processor import RenderPool  # noqa: E402
from tests.support.moving_samples import shots  # noqa: E402

LARGEST = 1_500_000  # bytes of all files together


def main() -> int:
    """Write the page anew; 1 where all files together are too large."""
    files = write(ROOT / "docs", SECTIONS)
    total = sum(file.stat().st_size for file in files)
    print(f"docs/fidelity.html: {len(files)} files, {total:,} bytes")
    return int(total > LARGEST)


def write(folder: Path, sections: Sequence[Section]) -> list[Path]:
    """`fidelity.html` in `folder`, its pictures in a folder beside it that is made anew. All files that it wrote."""
    pictures = folder / "fidelity"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    rendered = asyncio.run(_render(pictures, [case for section in sections for case in section.cases]))
    made = [
        {"id": section.title.split()[0].lower(), "title": section.title, "text": section.text,
         "is_narrow": all(recipe.width and recipe.width <= 80 for case in section.cases for recipe in case.recipes),
         "rows": [_row(pictures, case, rendered[case.name]) for case in section.cases]}
        for section in sections
    ]  # fmt: skip
    jinja = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    page = folder / "fidelity.html"
    versions = f"Pillow {pillow} (libwebp {features.version('webp')}, libavif {features.version('avif')})"
    page.write_text(jinja.get_template("contact_sheets.html").render(sections=made, versions=versions) + "\n")
    return [page, *sorted(file for file in pictures.rglob("*") if file.is_file())]


async def _render(folder: Path, cases: Sequence[Case]) -> dict[str, Rendered]:
    """Every source written as `NAME/source.EXTENSION`, and its variants beside it."""
    async with RenderPool(2) as pool:

        async def one(case: Case) -> Rendered:
            source = folder / case.name / f"source.{case.form}"
            source.parent.mkdir()
            source.write_bytes(case.draw())
            return await pool.render(source, source.parent, case.recipes)

        return {case.name: await one(case) for case in cases}


def _row(folder: Path, case: Case, rendered: Rendered) -> dict[str, Any]:
    """What the page says of a case: the source as the browser shows it, and each variant."""
    size, home = rendered.header.size, folder / case.name
    shown = [_picture(home / f"source.{case.form}", "source", rendered.header.format, (size.width, size.height))]
    shown += [_picture(home / one.path, one.name, one.format, (one.width, one.height), case.zoom)
              for one in rendered.variants]  # fmt: skip
    return {"id": case.name, "title": case.title, "look": case.look, "pictures": shown, "notes": rendered.notes}


def _picture(file: Path, label: str, form: str, size: tuple[int, int], zoom: int = 1) -> dict[str, Any]:
    """One figure of the page. Width and height are those at which it is shown, `path` is relative to the page."""
    width, height = size
    facts = [f"{form.upper()}, {width}×{height}, {file.stat().st_size:,} bytes"]
    film = list(shots(file.read_bytes()))
    if len(film) > 1:
        with Image.open(file) as image:
            rounds = image.info.get("loop", 0)
        facts.append(f"{len(film)} frames, {film[-1].end / 1000:g} s, {f'{rounds} rounds' if rounds else 'for ever'}")
    path = f"fidelity/{file.parent.name}/{file.name}"
    return {"path": path, "label": label, "width": width * zoom, "height": height * zoom, "facts": facts,
            "is_magnified": zoom > 1}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
