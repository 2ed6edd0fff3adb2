"""Held images for tests, by address, and pages around them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from imgcache.publisher.rewrite import File, FileKind, Held, Options, Rewritten, find, rewrite
from imgcache.publisher.rewrite.values import BuiltReference

HOST = "https://img.example"
SITE = Options(site_url="https://site.example/blog")
PLACEHOLDER = "data:image/webp;base64,UklGRg=="


def folder(url: str) -> str:
    digest = hashlib.sha256(url.encode()).hexdigest()
    return f"{digest[:2]}/{digest}"


def image(
    url: str = f"{HOST}/a.jpg",
    width: int = 1600,
    height: int = 900,
    *,
    formats: tuple[str, ...] = ("webp",),
    original: str = "jpeg",
    moves: bool = False,
) -> Held:
    at = folder(url)
    widths = sorted({min(wanted, width) for wanted in (320, 640, 1280)})
    files = [
        File(f"{at}/w{one}.{name}", one, max(1, round(height * one / width)), name, one * 10, moves)
        for one in widths
        for name in formats
    ]
    return Held(
        width=width,
        height=height,
        files=tuple(sorted(files, key=lambda file: (file.width, file.bytes, file.path))),
        original=File(f"{at}/original.{original}", width, height, original, width * height, moves),
        moves=moves,
        color="" if moves else "#aabbcc",
        placeholder="" if moves else PLACEHOLDER,
    )


def held(*names: str, **options: object) -> dict[str, Held]:
    """Images of `HOST`, one for each name."""
    urls = [name if "//" in name else f"{HOST}/{name}" for name in names]
    return {url: image(url, **options) for url in urls}  # type: ignore[arg-type]  # passed on as they are


def local(name: str, file: str, up: str = "../") -> str:
    """Where a page one folder deep finds a file of an image of `HOST`."""
    return f"{up}assets/imgcache/{folder(name if '//' in name else f'{HOST}/{name}')}/{file}"


def public(name: str, file: str) -> str:
    return local(name, file, "https://site.example/blog/")


def references(
    text: str | bytes, kind: FileKind = FileKind.HTML, path: str = "post/index.html", options: Options = SITE
) -> tuple[BuiltReference, ...]:
    found = find(text.encode() if isinstance(text, str) else text, path, kind, options)
    assert isinstance(found, tuple), found
    return found


def urls(text: str | bytes, kind: FileKind = FileKind.HTML, options: Options = SITE) -> list[str]:
    return [reference.url for reference in references(text, kind, options=options)]


def rewritten(
    text: str,
    images: Mapping[str, Held],
    kind: FileKind = FileKind.HTML,
    path: str = "post/index.html",
    options: Options = SITE,
) -> str:
    """The file after its rewrite, which has to be whole and final."""
    done = run(text.encode(), images, kind, path, options)
    assert done.error is None, done.error
    return done.data.decode()


def run(
    data: bytes,
    images: Mapping[str, Held],
    kind: FileKind = FileKind.HTML,
    path: str = "post/index.html",
    options: Options = SITE,
) -> Rewritten:
    done = rewrite(data, path, kind, images, options)
    again = rewrite(done.data, path, kind, images, options)
    assert (again.data, again.rewritten) == (done.data, 0), "a second rewrite changes something"
    return done
