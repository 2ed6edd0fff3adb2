"""What the world is told of the cache: manifest.json, and the flags in the articles. The only writer of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from imgcache.cache import Document, HeldEntry, Index, LocalDocument
from imgcache.core import MEDIA_TYPES, Asset, ConfigError, Edit, Variant, disk_errors, new_file
from imgcache.manifest.article_file import apply_edits, link_target, replace_article

MANIFEST_NAME = "manifest.json"
VERSION = 1
_FORMATS = {media_type: name for name, media_type in MEDIA_TYPES.items()}


class ManifestVariant(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A variant as manifest.json has it. `path` is relative to the cache; sizes are in pixels and bytes.

    `frames` is there for one that moves.
    """

    name: str
    width: int
    height: int
    format: str
    bytes: int
    path: str
    frames: int = 1


class ManifestEntry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An image as manifest.json has it, under its URL. Keys that a later version adds are passed over.

    `robots_tag` is the X-Robots-Tag that came with the image; without one the key is left out. `frames` is there for an
    animation.
    """

    digest: str
    media_type: str
    width: int
    height: int
    bytes: int
    color: str
    placeholder: str
    original: str
    variants: tuple[ManifestVariant, ...]
    robots_tag: str | None = None
    frames: int = 1

    @classmethod
    def of(cls, asset: Asset, robots_tag: str | None = None) -> ManifestEntry:
        """The public part of what is held at a URL."""
        return cls(
            digest=asset.digest,
            media_type=asset.media_type,
            width=asset.width,
            height=asset.height,
            bytes=asset.bytes,
            color=asset.color,
            placeholder=asset.placeholder,
            original=asset.original,
            variants=tuple(
                ManifestVariant(v.name, v.width, v.height, v.format, v.bytes, v.path, v.frames) for v in asset.variants
            ),
            robots_tag=robots_tag,
            frames=asset.frames if asset.moves else 1,
        )

    def files(self) -> Iterator[tuple[str, int]]:
        """Path, relative to the cache, and bytes of each file; a variant may share the original's."""
        yield self.original, self.bytes
        yield from ((variant.path, variant.bytes) for variant in self.variants)

    def asset(self) -> Asset:
        """As much of the asset as can be told: no recipes, no digests of variants."""
        return Asset(
            digest=self.digest,
            media_type=self.media_type,
            format=_FORMATS.get(self.media_type, ""),
            width=self.width,
            height=self.height,
            frames=self.frames,
            bytes=self.bytes,
            color=self.color,
            placeholder=self.placeholder,
            original=self.original,
            variants=tuple(
                Variant(v.name, v.width, v.height, v.format, v.bytes, v.path, "", "", v.frames) for v in self.variants
            ),
            recipes=(),
        )


class _Document(msgspec.Struct):
    version: int
    images: dict[str, ManifestEntry]


class _Version(msgspec.Struct):
    version: int


class Manifest:
    """manifest.json of one cache and the flags of one site. Whoever writes holds `CacheLock`."""

    def __init__(self, *, site: Path, cache: Path, scratch: Path, document: Document | None = None) -> None:
        """`scratch` is a folder that the next run empties: what is incomplete lies there.

        `document` is manifest.json where that is not a file of the cache.
        """
        self._site = site
        self._document: Document = document or LocalDocument(cache / MANIFEST_NAME)
        self._scratch = scratch

    def write_article(self, article: str, *, scanned: str, edits: Sequence[Edit]) -> bool:
        """Applies edits to one article, front matter and body, and changes nothing else by a byte.

        Args:
            article: its path relative to the site.
            scanned: SHA-256 of the bytes in which the edits' lines and columns were found, in hex.
            edits: what to change.

        Returns:
            False if it says all that already; then nothing is written.

        Raises:
            ArticleError: it was changed in between, cannot be written, or not safely edited; it is left as it is.
        """
        return replace_article(
            self._site / article,
            site=self._site,
            scratch=self._scratch,
            scanned=scanned,
            change=lambda data: apply_edits(data, article, edits),
        )

    def leads_to(self, article: str) -> str | None:
        """The file that an article which is a link leads to, as `article.leads_to`. Paths are relative to the site."""
        return link_target(self._site / article, site=self._site)

    def export(self, index: Index) -> bool:
        """Brings manifest.json up to date with the index; does nothing if neither has changed since.

        Whether the file has is told by its mark: one that was damaged, copied, or written by another machine is
        written again.

        Returns:
            Whether the file was replaced.

        Raises:
            DiskFull: it cannot be written; the one that is there stays.
        """
        mark = self.mark()
        if not index.changed and index.exported == mark != "":
            return False
        replaced = self.write(index.entries())
        index.mark_exported(self.mark() if replaced else mark)
        return replaced

    def mark(self) -> str:
        """Another one whenever manifest.json was written; "" where there is none."""
        return self._document.mark()

    def write(self, entries: Iterable[HeldEntry]) -> bool:
        """Writes manifest.json, one image a line, in flat memory and in one step.

        Args:
            entries: what is held, by URL in the order of code points, none twice.

        Returns:
            False if the file has these very bytes; then it is not touched.

        Raises:
            DiskFull: it cannot be written; the one that is there stays.
            ValueError: the URLs are not in order.
        """
        part = self._scratch / MANIFEST_NAME
        with disk_errors(part), new_file(part) as file:
            file.writelines(_lines(entries))
        return self._document.replace(part)

    def read(self) -> dict[str, ManifestEntry]:
        """What manifest.json says; empty where there is none.

        Raises:
            ConfigError: it is damaged, or of another version.
        """
        return read_document(self._document)


def read_manifest(path: Path) -> dict[str, ManifestEntry]:
    """What a manifest.json says, by URL; empty where there is no such file.

    Raises:
        ConfigError: it is damaged, or of another version.
    """
    return read_document(LocalDocument(path))


def read_document(document: Document) -> dict[str, ManifestEntry]:
    """The same for a manifest.json wherever it is.

    Raises:
        ConfigError: it is damaged, or of another version.
        StoreError: the store gives no answer.
    """
    data = document.read()
    if data is None:
        return {}
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version != VERSION:
            raise ConfigError(
                f"version {version}, and this imgcache reads {VERSION}: use its version", where=document.where
            )
        return msgspec.json.decode(data, type=_Document).images
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"no manifest ({error}): remove it, and run sync to write it anew", where=document.where
        ) from error


def _lines(entries: Iterable[HeldEntry]) -> Iterator[bytes]:
    """One image a line, so that a diff shows images."""
    encode = msgspec.json.Encoder().encode
    before: str | None = None
    yield b'{"version":%d,"images":{' % VERSION
    for url, asset, tag in entries:
        if before is not None and url <= before:
            raise ValueError(f"{url!r} comes after {before!r}")
        yield b"%s\n%s:%s" % (b"," if before is not None else b"", encode(url), encode(ManifestEntry.of(asset, tag)))
        before = url
    yield b"\n}}\n"
