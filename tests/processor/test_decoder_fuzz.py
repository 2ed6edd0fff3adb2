"""Fuzzing: the worker pool renders or refuses damaged files, and no process or file remains."""

from __future__ import annotations

import asyncio
import io
import os
import random
import time
from collections import Counter
from pathlib import Path

import msgspec
from PIL import Image

from imgcache.core import DecoderCrash, DecoderTimeout, ImageError, Limits, Recipe, VariantFormat
from imgcache.processor import RenderPool
from imgcache.processor.worker_process import fork_server
from tests.conftest import ROOT

# Small limits, so that a damaged header that asks for much costs little time here.
LIMITS = Limits(decode_memory=400_000_000, decode_time=3.0, pixels=8_000_000, frames=40)
RECIPES = (Recipe("thumb", width=32, format=VariantFormat.AUTO), Recipe("w48", width=48, effort=0))
_LARGEST = 150_000  # bytes of a file that is damaged: the small ones are nearly all header, where decoders break
_AT_ONCE = 4
_TELLING = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")


class Tally(msgspec.Struct):
    """What a fuzz saw: `outcomes` counts by code, `ok` for what was rendered; `wrong` should be empty."""

    files: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    wrong: list[str] = []


def seeds() -> list[bytes]:
    """Whole and broken files of every kind, and some drawn ones, so that there are seeds without real data."""
    folder = Path(os.environ.get("IMGCACHE_SHARED") or ROOT.parent / "shared") / "images" / "cases"
    found = [path.read_bytes() for path in sorted(folder.glob("*")) if path.stat().st_size <= _LARGEST]
    for name in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "ICO"):
        file = io.BytesIO()
        Image.effect_noise((48, 40), 60).convert("RGB").save(file, name)
        found.append(file.getvalue())
    return found


def damage(data: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """One to six changes, more of them near the front."""
    made = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(min(len(made), draw.choice((64, 1024, len(made)))) or 1) if made else 0
        match draw.randrange(6):
            case 0:
                made[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                made[at : at + 4] = draw.choice(_TELLING)
            case 2:
                del made[at : at + draw.randint(1, 64)]
            case 3:
                made[at:at] = made[at : at + draw.randint(1, 512)]
            case 4:
                del made[draw.randint(at, len(made)) :]
            case _:
                other = draw.choice(others)
                start = draw.randrange(len(other) or 1)
                made[at : at + 256] = other[start : start + 256]
    return bytes(made)


async def fuzz(folder: Path, seconds: float, draw: random.Random) -> Tally:
    """Damage files and render them for so many seconds, several at once; the files lie in `folder`."""
    tally, whole = Tally(), seeds()
    began = time.monotonic()

    async def keep_on(pool: RenderPool, number: int) -> None:
        source, out = folder / f"source-{number}", folder / f"out-{number}"
        while time.monotonic() < began + seconds:
            source.write_bytes(damage(draw.choice(whole), whole, draw))
            out.mkdir()
            started = time.monotonic()
            code = await _outcome(pool, source, out, tally)
            tally.slowest = max(tally.slowest, time.monotonic() - started)
            tally.outcomes[code] += 1
            tally.files += 1
            out.rmdir()

    async with RenderPool(2, LIMITS, max_tasks=100) as pool:
        await asyncio.gather(*(keep_on(pool, number) for number in range(_AT_ONCE)))
    tally.seconds = time.monotonic() - began
    tally.wrong += [f"worker {pid} is still there" for pid in workers()]
    return tally


async def _outcome(pool: RenderPool, source: Path, out: Path, tally: Tally) -> str:
    expected, code = set[str](), "ok"
    try:
        expected = {variant.path for variant in (await pool.render(source, out, RECIPES)).variants}
    except ImageError as error:
        code = error.code
    _clear(out, expected, code, tally)
    return code


def _clear(out: Path, expected: set[str], code: str, tally: Tally) -> None:
    """Empty the folder, and tell of what should not be in it."""
    found = {path.name for path in out.iterdir()}
    # A worker that dies may leave a half file: the folder is a staging folder, which goes as a whole.
    if found != expected and code not in {DecoderCrash.code, DecoderTimeout.code}:
        tally.wrong.append(f"{code} left {sorted(found)} instead of {sorted(expected)}")
    for name in found:
        (out / name).unlink()


def workers() -> list[int]:
    """The children of the fork server: there are none but while a pool is open."""
    server = fork_server().process
    children = Path(f"/proc/{server}/task/{server}/children")
    return [int(pid) for pid in children.read_text().split()] if children.exists() else []


def test_damaged_files_are_rendered_or_refused_and_nothing_is_left(tmp_path: Path) -> None:
    tally = asyncio.run(fuzz(tmp_path, 6.0, random.Random(11)))
    assert tally.wrong == []
    assert tally.files > 50
    assert tally.outcomes["ok"] and tally.outcomes["undecodable"], tally.outcomes
    assert tally.slowest < 5 * LIMITS.decode_time  # some wait for a worker behind others that take their whole time
    assert tally.seconds < 6.0 + 5 * LIMITS.decode_time
    assert {path.name for path in tmp_path.iterdir()} == {f"source-{number}" for number in range(_AT_ONCE)}
