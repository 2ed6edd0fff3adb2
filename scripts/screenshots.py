"""Pictures of what users see, for docs/images: the gallery, a report, a terminal. Started by scripts/screenshots.

The site of docs/ is pictured into build/, for people who change it.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image
from playwright.sync_api import Browser
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from examples.origin import Origin, answers_for, in_thread  # noqa: E402 (the repository's own, found by the line above)
from tests.support.browsing import launched  # noqa: E402
from tests.support.served import serving_process  # noqa: E402

IMAGES = ROOT / "docs/images"
LARGEST = 200_000  # bytes
COLUMNS = 80
_LINK = re.compile(r"\x1b\]8;;[^\x1b]*\x1b\\")
_PAGE = "<style>body {{ margin: 0; background: #1b1d21 }} pre {{ padding: 1.25rem; color: #e9eaec; {code} }}</style>"


class Shot(NamedTuple):
    """One picture. `search` is that of the gallery; `is_image`: the page of the first image that it finds."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int
    search: str = ""
    is_image: bool = False


GALLERY = [
    Shot("gallery-light", "light", 1280, 860),
    Shot("gallery-dark", "dark", 1280, 860, "bridge-tall", is_image=True),
    Shot("gallery-phone", "light", 360, 720),
]
REPORT = Shot("report", "light", 1280, 860)
TERMINAL = Shot("terminal", "dark", 720, 620)
DOCS = Shot("docs", "light", 1280, 860)


def main() -> int:
    """Write every picture; 1 where a picture is too large."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "scripts/docs"], check=True)
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        site = Path(folder) / "daily-example"
        shutil.copytree(ROOT / "examples/site", site, ignore=shutil.ignore_patterns("cache"))
        report, screen = Path(folder) / "report.html", Path(folder) / "terminal.html"
        with in_thread(Origin(answers_for(site))) as origin:
            environ = os.environ | {"SSL_CERT_FILE": str(origin.ca_file)}
            words = [str(site), *origin.connect_to]
            imgcache(environ, "sync", "-q", *words)
            screen.write_text(as_page(on_terminal(environ, "sync", *words)), encoding="utf-8")
            imgcache(environ, "audit", "-q", "--format", "html", "--output", str(report), *words)
        with serving_process(site) as (_, port):
            sizes = [shoot(browser, f"http://127.0.0.1:{port}/?q={shot.search}", shot) for shot in GALLERY]
        sizes.append(shoot(browser, report.as_uri(), REPORT))
        sizes.append(shoot(browser, screen.as_uri(), TERMINAL))
        sizes.append(shoot(browser, (ROOT / "build/docs/index.html").as_uri(), DOCS, ROOT / "build"))
    return int(max(sizes) > LARGEST)


def shoot(browser: Browser, address: str, shot: Shot, folder: Path = IMAGES) -> int:
    """Write one picture, and say how many bytes it has."""
    page = browser.new_page(color_scheme=shot.scheme, viewport={"width": shot.width, "height": shot.height})
    page.goto(address)
    if shot.is_image:
        page.locator(".card").first.click()
        page.wait_for_url("**/gallery/image**")
    page.wait_for_load_state("networkidle")
    file = folder / f"{shot.name}.png"
    with Image.open(io.BytesIO(page.screenshot())) as taken:  # a palette is a third of the size
        full = taken.convert("RGB")
        full.quantize(palette=full.quantize(256), dither=Image.Dither.FLOYDSTEINBERG).save(file, optimize=True)
    page.close()
    print(f"{file.relative_to(ROOT)} {file.stat().st_size:,} bytes")
    return file.stat().st_size


def imgcache(environ: dict[str, str], *words: str) -> None:
    """Run a command; examples/site has errors."""
    command = [sys.executable, "-m", "imgcache", *words]
    subprocess.run(command, env=environ, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)


def on_terminal(environ: dict[str, str], *words: str) -> str:
    """Run a command on a terminal of 80 columns. Returns what standard output shows there."""
    command = shlex.join([sys.executable, "-m", "imgcache", *words]) + " 2>/dev/null"
    script = ["script", "--quiet", "--command", command, "/dev/null"]  # util-linux
    width = {"COLUMNS": str(COLUMNS)}
    ended = subprocess.run(script, env=environ | width, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    return _LINK.sub("", ended.stdout)


def as_page(text: str) -> str:
    """Returns the end of a terminal's text, with its colours, as a page."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(("$ imgcache sync", "…", *text.splitlines()[-27:]))))
    return _PAGE.format(code="font: 14px/1.4 monospace") + console.export_html(
        inline_styles=True, theme=DIMMED_MONOKAI, code_format="<pre>{code}</pre>"
    )


if __name__ == "__main__":
    sys.exit(main())
