"""The gallery of examples/site as a browser shows it: light, dark and on a phone. Started by scripts/screenshots."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from examples.origin import Origin, answers_for, in_thread  # noqa: E402 (the repository's own, found by the line above)
from tests.browsing import launched  # noqa: E402

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
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "harbour-news") as address,
        launched() as browser,
    ):
        sizes = [shoot(browser, address, shot) for shot in SHOTS]
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


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Where `imgcache serve` shows a copy of examples/site, once it is synced."""
    shutil.copytree(ROOT / "examples/site", site, ignore=shutil.ignore_patterns("cache"))
    command = [sys.executable, "-m", "imgcache"]
    with in_thread(Origin(answers_for(site))) as origin:
        given = os.environ | {"SSL_CERT_FILE": str(origin.ca_file)}
        subprocess.run([*command, "sync", site, "-q", *origin.connect_to], env=given, cwd=ROOT, check=False,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    serve = [*command, "serve", str(site), "--port", "0"]
    with subprocess.Popen(serve, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        line = server.stderr.readline() if server.stderr else ""
        found = re.search(r"http://\S+", line)
        if not found:
            raise SystemExit(f"imgcache serve did not start: {line}")
        try:
            yield found[0]
        finally:
            server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
