"""The images that our site loads from elsewhere, drawn: of its articles, and of the generators' templates."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from examples.origin import Answer
from tests.conftest import picture

ARTICLES = "https://pictures.example"
THEME = "https://theme.example"
HOSTS = ("pictures.example", "mirror.example", "theme.example")


def _upright() -> bytes:
    """Stored on its side, to be shown a quarter turned: 600 × 800 (EXIF orientation 6)."""
    stored = Image.new("RGB", (800, 600), "steelblue")
    ImageDraw.Draw(stored).rectangle((0, 0, 200, 600), fill="khaki")
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    stored.save(out, "JPEG", exif=exif)
    return out.getvalue()


def _moving() -> bytes:
    frames = [Image.new("P", (160, 120), index) for index in range(3)]
    for frame in frames:
        frame.putpalette([200, 40, 40, 40, 200, 40, 40, 40, 200])
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)
    return out.getvalue()


def _transparent() -> bytes:
    drawn = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    ImageDraw.Draw(drawn).ellipse((16, 8, 80, 56), fill=(220, 120, 20, 200))
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()


_SIZES = {
    "hero.jpg": (1200, 630),
    "lighthouse.jpg": (1000, 750),
    "harbour.jpg": (1600, 900),
    "wide.jpg": (2000, 500),
    "one.jpg": (640, 480),
    "two.jpg": (480, 640),
    "three.jpg": (300, 300),
    "drawing.svg": (240, 120),
    "late.jpg": (600, 400),
    "tall.jpg": (600, 900),
    "broad.jpg": (900, 300),
    "banner.jpg": (1280, 240),
}
PICTURES: dict[str, Answer] = {
    **{f"{ARTICLES}/tides/{name}": picture(*size) for name, size in _SIZES.items()},
    f"{ARTICLES}/tides/upright.jpg": Answer(body=_upright()),
    f"{ARTICLES}/tides/moving.gif": Answer(body=_moving()),
    f"{ARTICLES}/tides/lamp.png": Answer(body=_transparent()),
    f"{ARTICLES}/chart?width=800&height=500": picture(800, 500),
    f"{ARTICLES}/photo?id=7&size=large": picture(500, 400),
    "https://mirror.example/relative.jpg": picture(700, 300),
    f"{THEME}/logo.png": picture(120, 40),
    f"{THEME}/paper.png": picture(64, 64),
}
# SVG is a document that can run scripts; the cache holds none.
NEVER_HELD = {f"{ARTICLES}/tides/drawing.svg"}
