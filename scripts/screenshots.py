"""The gallery of examples/site as a browser shows it: light, dark and on a phone. Started by scripts/screenshots."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from examples.origin import Origin, answers_for, in_thread  # noqa: E402 (the repository's own, found by the line above)
from tests.support.browsing import launched  # noqa: E402
from tests.support.served import serving  # noqa: E402

IMAGES = ROOT / "docs/images"
LARGEST = 200_000  # bytes


class Shot(NamedTuple):
    """One picture. `image` is the name of an image whose page is shown, "" for the grid."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    image: str = ""


SHOTS = [
    Shot("gallery-light", "light", 1280, 860),
    Shot("gallery-dark", "dark", 1280, 860, "bridge-tall"),
    Shot("gallery-phone", "light", 360, 720),
]


def main() -> int:
    """Write every picture; 1 where a picture is too large."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        cache = synced(Path(folder) / "harbour-news")
        with serving(cache) as port, launched() as browser:
            sizes = [shoot(browser, f"http://127.0.0.1:{port}", shot) for shot in SHOTS]
    return int(max(sizes) > LARGEST)


def shoot(browser: Browser, address: str, shot: Shot) -> int:
    """Write one picture, and say how many bytes it has."""
    page = browser.new_page(color_scheme=shot.scheme, viewport={"width": shot.width, "height": shot.height})
    page.goto(f"{address}/?q={shot.image}")
    if shot.image:
        page.locator(".card").first.click()
        page.wait_for_url("**/gallery/image**")
    page.wait_for_load_state("networkidle")
    file = IMAGES / f"{shot.name}.png"
    with Image.open(io.BytesIO(page.screenshot())) as taken:  # a palette is a third of the size
        full = taken.convert("RGB")
        full.quantize(palette=full.quantize(256), dither=Image.Dither.FLOYDSTEINBERG).save(file, optimize=True)
    page.close()
    print(f"{file.relative_to(ROOT)} {file.stat().st_size:,} bytes")
    return file.stat().st_size


def synced(site: Path) -> Path:
    """The cache of a copy of examples/site, once it is synced."""
    shutil.copytree(ROOT / "examples/site", site, ignore=shutil.ignore_patterns("cache"))
    with in_thread(Origin(answers_for(site))) as origin:
        command = [sys.executable, "-m", "imgcache", "sync", str(site), "-q", *origin.connect_to]
        given = os.environ | {"SSL_CERT_FILE": str(origin.ca_file)}
        subprocess.run(command, env=given, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)  # examples/site has errors
    return site / "cache"


if __name__ == "__main__":
    sys.exit(main())
