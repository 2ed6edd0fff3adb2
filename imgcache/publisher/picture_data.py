"""Makes the data file for a site's build: the part of manifest.json that a `<picture>` needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from imgcache.core import BROWSER_MEDIA_TYPES, MEDIA_TYPES, MODERN_FORMATS, ConfigError, clean_text
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.publisher import entries
from imgcache.publisher.signature import with_signature

DEFAULT_ASSETS_URL = "/assets/imgcache"

# Best first: a browser takes the first <source> whose type it knows (HTML, section 4.8.4.3.5).
_SOURCES = MODERN_FORMATS
# No comma and no space: both mean something in srcset. No quote or bracket: it stands in attributes and in CSS.
_ASSETS_URL = re.compile(r"(https?://[A-Za-z0-9.:\[\]_-]+|/[A-Za-z0-9._~-])[A-Za-z0-9._~:/@!$&*+;=%-]*")
# Jekyll reads JSON as YAML, which takes these for line ends or refuses them unescaped (YAML 1.1, sections 5.1 and 5.4).
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class ImageFile(msgspec.Struct, frozen=True, array_like=True):
    """One file of an image, by its name in the image's folder, and its width in pixels: `["w640.webp", 640]`."""

    name: str
    width: int


class PictureSource(msgspec.Struct, frozen=True):
    """What one `<source>` offers, narrowest first."""

    type: str
    files: tuple[ImageFile, ...]


class HeldImage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image as templates use it.

    `at` is its folder below the address of the assets. `fallback` lists what the `<img>` offers, narrowest first; it
    is never empty. `color` (`#rrggbb`) and `placeholder` (a data: URI) are set only for an opaque picture, which covers
    them once it is loaded.
    """

    at: str
    width: int
    height: int
    fallback: tuple[ImageFile, ...]
    sources: tuple[PictureSource, ...] = ()
    color: str | None = None
    placeholder: str | None = None

    @property
    def paths(self) -> Iterator[str]:
        """Yields every file that a page may request, relative to the address of the assets."""
        for file in (*self.fallback, *(file for source in self.sources for file in source.files)):
            yield f"{self.at}/{file.name}"


def held_images(images: Mapping[str, ManifestEntry], automatic: Collection[str]) -> dict[str, HeldImage]:
    """Returns the images that a page can show, by URL. Images that no browser shows are left out.

    Args:
        images: the entries of manifest.json, by URL.
        automatic: the names of the variants whose format is `auto`; PNG for one of them means transparency.

    Raises:
        ConfigError: manifest.json names a file outside `assets/`, or an invalid colour or placeholder.
    """
    found = ((url, _held(url, entry, automatic)) for url, entry in images.items())
    return {url: held for url, held in found if held is not None}


def document(target: str, assets_url: str, images: Iterable[tuple[str, HeldImage]], rest: bytes = b"") -> bytes:
    """Returns the data file: JSON that is valid YAML too, one image a line.

    Args:
        target: the generator.
        assets_url: where the files are published.
        images: URL and image, in the order of the file.
        rest: further members of the object, each with a comma before it.
    """
    lines = b",\n".join(b"%s:%s" % (encode(url), encode(held)) for url, held in images)
    head = b'{"//":%s,\n"assets":%s,\n"images":{\n' % (encode(with_signature(target)), encode(assets_url))
    return b"%s%s\n}%s}\n" % (head, lines, rest)


def encode(value: object) -> bytes:
    """Returns JSON that a YAML parser reads as the same value."""
    text = msgspec.json.encode(value).decode()
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def check_assets_url(text: str) -> str:
    """Returns an address for `assets/` without its last slash.

    Raises:
        ConfigError: the address cannot be used in a srcset.
    """
    if not _ASSETS_URL.fullmatch(text):
        raise ConfigError(
            f"{clean_text(text)!r} is neither a path of the site, such as {DEFAULT_ASSETS_URL}"
            " nor an address, such as https://images.example.org/assets",
            where="--assets-url",
        )
    return text.rstrip("/")


def _held(url: str, entry: ManifestEntry, automatic: Collection[str]) -> HeldImage | None:
    at, original = entries.file_of(url, entry.original)
    variants = [variant for variant in entry.variants if entries.is_whole(variant, entry)]
    if any(entries.file_of(url, variant.path)[0] != at for variant in variants):
        raise entries.damaged(url, "has files in two folders")
    sources = [_source(name, variants) for name in _SOURCES]
    offered = [source for source in sources if source.files]
    fallback = list(_source_files(entries.EVERYWHERE, variants))
    widest = max((variant.width for variant in variants), default=0)
    may_serve = entry.media_type in BROWSER_MEDIA_TYPES
    if may_serve and entries.moves(entry, variants):
        fallback = [ImageFile(original, entry.width)]
    elif may_serve and (not variants or not fallback or fallback[-1].width < widest):
        fallback = [file for file in fallback if file.width < entry.width]
        fallback.append(ImageFile(original, entry.width))
    if not fallback:
        if not offered:
            return None
        fallback = list(offered.pop().files)
    entries.check_background(url, entry)
    covered = entry.frames == 1 and entries.is_opaque(entry, automatic)  # an `auto` variant shows one frame alone
    return HeldImage(
        at=at,
        width=entry.width,
        height=entry.height,
        fallback=tuple(fallback),
        sources=tuple(offered),
        color=entry.color if covered else None,
        placeholder=entry.placeholder if covered else None,
    )


def _source(name: str, variants: Collection[ManifestVariant]) -> PictureSource:
    """Returns the files of one format, and wider files of later formats, which `format: best` can lead to.

    Otherwise a browser that takes the first format it knows would enlarge a small file. It knows the later formats as
    well: `type` only tells browsers what to skip (HTML, section 4.8.2).
    """
    files = _source_files((name,), variants)
    later = (*_SOURCES[_SOURCES.index(name) + 1 :], *entries.EVERYWHERE)
    if files and all(variant.frames == 1 for variant in variants):
        files += tuple(file for file in _source_files(later, variants) if file.width > files[-1].width)
    return PictureSource(MEDIA_TYPES[name], files)


def _source_files(formats: Collection[str], variants: Iterable[ManifestVariant]) -> tuple[ImageFile, ...]:
    """Returns files narrowest first; of several files of one width the one with the fewest bytes."""
    best: dict[int, ManifestVariant] = {}
    for variant in variants:
        if variant.format in formats and (
            variant.width not in best or (variant.bytes, variant.path) < _rank(best[variant.width])
        ):
            best[variant.width] = variant
    return tuple(ImageFile(best[width].path.rsplit("/", 1)[-1], width) for width in sorted(best))


def _rank(variant: ManifestVariant) -> tuple[int, str]:
    return variant.bytes, variant.path
