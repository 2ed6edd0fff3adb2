"""Images drawn from a name: the same name, size and format give the same bytes, another name gives others."""

from __future__ import annotations

import hashlib
import io

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

Colour = tuple[int, int, int]

MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "svg": "image/svg+xml",
}
_EXTENSIONS = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg"} | {name: name for name in MEDIA_TYPES}


def format_of(path: str) -> str:
    """The format that a URL's path asks for by its extension, in any case; JPEG where it has none that we draw."""
    last = path.rsplit("/", 1)[-1]
    return _EXTENSIONS.get(last.rsplit(".", 1)[-1].lower(), "jpeg") if "." in last else "jpeg"


def draw(size: tuple[int, int], image_format: str, name: str, label: str) -> bytes:
    """One image file of `size` (width, height in pixels): a gradient, a disc and `label`, all told by `name`.

    `image_format` is a key of `MEDIA_TYPES`. The name also travels as a comment where the format has room for one, so
    that no two names share their bytes, however small the image.
    """
    if image_format == "svg":
        return _svg(size, name, label)
    digest = hashlib.sha256(name.encode()).digest()
    picture = _mosaic(size, digest) if image_format in ("png", "gif") else _gradient(size, digest)
    _write_label(picture, label)
    out = io.BytesIO()
    match image_format:
        case "png":
            notes = PngImagePlugin.PngInfo()
            notes.add_text("Comment", name)
            picture.save(out, "PNG", compress_level=1, pnginfo=notes)
        case "gif":
            picture.save(out, "GIF", comment=name.encode()[:255])
        case "webp":
            picture.save(out, "WEBP", quality=70, method=0, exif=_described(name))
        case "avif":
            picture.save(out, "AVIF", quality=60, speed=10, exif=_described(name))
        case "bmp":
            picture.save(out, "BMP")
        case _:
            picture.save(out, "JPEG", quality=75, comment=name.encode())
    return out.getvalue()


def _colours(digest: bytes) -> list[Colour]:
    return [(digest[at], digest[at + 1], digest[at + 2]) for at in range(0, 15, 3)]


def _gradient(size: tuple[int, int], digest: bytes) -> Image.Image:
    colours = _colours(digest)
    corners = Image.new("RGB", (2, 2))
    for corner, colour in zip([(0, 0), (1, 0), (0, 1), (1, 1)], colours, strict=False):
        corners.putpixel(corner, colour)
    picture = corners.resize(size, Image.Resampling.BILINEAR)
    _disc(picture, digest, colours[4])
    return picture


def _mosaic(size: tuple[int, int], digest: bytes) -> Image.Image:
    """Few colours in large tiles: what PNG and GIF are good at, so that the largest is drawn and packed quickly."""
    colours = _colours(digest)
    tiles = Image.new("P", (8, 8))
    tiles.putpalette([value for colour in [*colours, (255, 255, 255), (0, 0, 0)] for value in colour])
    for at in range(64):
        tiles.putpixel((at % 8, at // 8), digest[at % 32] % 5)
    picture = tiles.resize(size, Image.Resampling.NEAREST)
    _disc(picture, digest, 4)
    return picture


def _disc(picture: Image.Image, digest: bytes, fill: Colour | int) -> None:
    width, height = picture.size
    radius = min(width, height) / (3 + digest[16] % 3)
    x, y = width * digest[17] / 255, height * digest[18] / 255
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _write_label(picture: Image.Image, label: str) -> None:
    width, height = picture.size
    if width < 48 or height < 16:
        return
    font = ImageFont.load_default(max(8, min(width // 16, height // 2)))
    white, black = (5, 6) if picture.mode == "P" else ((255, 255, 255), (0, 0, 0))
    ImageDraw.Draw(picture).text(
        (width // 32, height // 32), label, fill=white, stroke_width=1, stroke_fill=black, font=font
    )


def _described(name: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = name  # ImageDescription
    return exif


def _svg(size: tuple[int, int], name: str, label: str) -> bytes:
    colour = hashlib.sha256(name.encode()).hexdigest()[:6]
    text = label.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}">'
        f'<rect width="100%" height="100%" fill="#{colour}"/><text x="4" y="14">{text}</text></svg>\n'
    ).encode()
