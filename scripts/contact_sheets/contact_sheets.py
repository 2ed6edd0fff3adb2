"""`scripts/fidelity`: docs/fidelity.html, sources beside the variants that imgcache makes of them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyvips  # type: ignore[import-untyped]
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, features
from PIL import __version__ as pillow

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))
from contact_cases import SECTIONS, Case, Section  # noqa: E402 (they need the repository's own, found by the line above)

from imgcache.models import Rendered, Variant  # noqa: E402
from imgcache.recipes import Recipe  # noqa: E402
from imgcache.render_pool import RenderPool  # noqa: E402
from tests.colour_samples import difference  # noqa: E402
from tests.moving_samples import shots  # noqa: E402

LARGEST = 1_500_000  # bytes of all files together
_GREY = [128, 128, 128]


class Picture(NamedTuple):
    """One figure of the page. Width and height are those at which it is shown, `path` is relative to the page."""

    path: str
    label: str
    alt: str
    width: int
    height: int
    facts: tuple[str, ...]
    is_magnified: bool = False


class Row(NamedTuple):
    """One case, made."""

    id: str
    title: str
    look: str
    pictures: list[Picture]
    notes: tuple[str, ...]


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
    page.write_text(jinja.get_template("contact_sheets.html").render(sections=made, versions=_versions()) + "\n")
    return [page, *sorted(file for file in pictures.rglob("*") if file.is_file())]


async def _render(folder: Path, cases: Sequence[Case]) -> dict[str, Rendered]:
    """Every source written as `NAME/source.EXTENSION`, and its variants beside it."""
    async with RenderPool(2) as pool:

        async def one(case: Case) -> Rendered:
            source = _source(folder, case)
            source.parent.mkdir()
            source.write_bytes(case.draw())
            return await pool.render(source, source.parent, case.recipes)

        return {case.name: await one(case) for case in cases}


def _source(folder: Path, case: Case) -> Path:
    return folder / case.name / f"source.{case.form}"


def _row(folder: Path, case: Case, rendered: Rendered) -> Row:
    source = _source(folder, case)
    known = _known(case, source)
    shown = _shown(case, source, known, rendered)
    variants = [_variant(case, source.parent, variant, known) for variant in rendered.variants]
    return Row(case.name, case.title, case.look, [shown, *variants], rendered.notes)


def _shown(case: Case, source: Path, known: pyvips.Image | None, rendered: Rendered) -> Picture:
    """The source as the browser shows it, or as libvips reads it; what no browser shows is not kept."""
    size, file, label = rendered.header.size, source, "source"
    facts = (f"{rendered.header.format.upper()}, {size}, {source.stat().st_size:,} bytes", *_motion(source))
    if case.shown == "libvips":
        assert known is not None
        file, label = source.with_name("read.png"), "source, read by libvips"
        samples = known.colourspace("srgb").write_to_memory()
        Image.frombytes("RGB", (size.width, size.height), samples).save(file, optimize=True)
        facts = (*facts, "browsers do not show it")
        source.unlink()
    return Picture(_path(file), label, f"{case.title}: the {label}", size.width, size.height, facts)


def _variant(case: Case, folder: Path, variant: Variant, known: pyvips.Image | None) -> Picture:
    file = folder / variant.path
    facts = (f"{variant.format.upper()}, {variant.width}×{variant.height}, {variant.bytes:,} bytes", *_motion(file))
    if known is not None:
        recipe = next(recipe for recipe in case.recipes if recipe.name == variant.name)
        facts += (f"ΔE {_apart(known, file, recipe):.2f}",)
    return Picture(_path(file), variant.name, f"{case.title}: the variant {variant.name}", variant.width * case.zoom,
                   variant.height * case.zoom, facts, case.zoom > 1)  # fmt: skip


def _path(file: Path) -> str:
    return f"fidelity/{file.parent.name}/{file.name}"


def _motion(file: Path) -> Iterator[str]:
    """Frames, seconds and rounds of an animation; nothing of a still."""
    film = list(shots(file.read_bytes()))
    if len(film) > 1:
        with Image.open(file) as image:
            rounds = image.info.get("loop", 0)
        yield f"{len(film)} frames, {film[-1].end / 1000:g} s, {f'{rounds} rounds' if rounds else 'for ever'}"


def _known(case: Case, source: Path) -> pyvips.Image | None:
    """The source upright and in sRGB, by libvips: 8 bits a sample, or 16 where it has so many."""
    match case.judge:
        case None:
            return None
        case "lab":  # this build of libvips writes such files, but does not read them: samples are Pillow's
            with Image.open(source) as image:
                samples = Image.merge("RGB", image.split())
            stored = pyvips.Image.new_from_memory(samples.tobytes(), *samples.size, 3, "uchar")
            lab = stored.linear([100 / 255, 1, 1], [0, -128, -128])
            return lab.cast("float").copy(interpretation="lab").icc_export(output_profile="srgb", intent="relative")
    image = pyvips.Image.new_from_file(str(source)).autorot()
    if case.judge == "inks":
        light = image.linear([-1] * 4, [255] * 4)
        return (light[:3] * light[3] / 255).rint().cast("uchar").copy(interpretation="srgb")
    if not image.get_typeof("icc-profile-data") or case.judge == "plain":
        return image.copy_memory()
    return _obeyed(image).copy_memory()


def _apart(known: pyvips.Image, file: Path, recipe: Recipe) -> float:
    """Mean CIEDE2000 between a variant, its profile obeyed, and the source scaled to its size by libvips."""
    made = pyvips.Image.new_from_file(str(file))
    if made.get_typeof("icc-profile-data"):
        made = _obeyed(made)
    expected = known.thumbnail_image(made.width, height=made.height, size="force", linear=recipe.linear)
    return difference(_lab(expected), _lab(made))


def _obeyed(image: pyvips.Image) -> pyvips.Image:
    """In sRGB by the image's own profile."""
    return image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)


def _lab(image: pyvips.Image) -> pyvips.Image:
    image = image.colourspace("srgb")
    return (image.flatten(background=_GREY) if image.hasalpha() else image).colourspace("lab")


def _versions() -> str:
    codecs = f"libwebp {features.version('webp')}, libavif {features.version('avif')}"
    return f"Pillow {pillow} ({codecs}) and libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}"


if __name__ == "__main__":
    sys.exit(main())
