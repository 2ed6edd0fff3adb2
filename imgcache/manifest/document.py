"""Reads and writes manifest.json, and applies edits to articles. The only writer of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from imgcache.cache import Document, HeldEntry, Index, LocalDocument
from imgcache.core import MEDIA_TYPES, Asset, ConfigError, Edit, Variant, disk_errors, new_file
from imgcache.manifest.article_file import apply_edits, link_target, replace_article
from imgcache.scanner import USUAL, ReadingRules

MANIFEST_NAME = "manifest.json"
VERSION = 1
_FORMATS = {media_type: name for name, media_type in MEDIA_TYPES.items()}


class ManifestVariant(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A variant in manifest.json. `path` is relative to the cache; sizes are in pixels and bytes.

    `frames` is written only for an animation.
    """

    name: str
    width: int
    height: int
    format: str
    bytes: int
    path: str
    frames: int = 1


class ManifestEntry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An image in manifest.json, under its URL. Unknown keys of later versions are ignored.

    `robots_tag` is the X-Robots-Tag header of the image; the key is omitted without one. `frames` is written only for
    an animation.
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
        """Return the public part of an asset."""
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
        """Yield the path, relative to the cache, and bytes of each file. A variant may share that of the original."""
        yield self.original, self.bytes
        yield from ((variant.path, variant.bytes) for variant in self.variants)

    def asset(self) -> Asset:
        """Return the asset as far as it is known: without recipes and digests of variants."""
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
    """manifest.json of one cache, and the articles of one site. To write, hold `CacheLock`."""

    def __init__(
        self,
        *,
        site: Path,
        cache: Path,
        scratch: Path,
        document: Document | None = None,
        rules: ReadingRules = USUAL,
    ) -> None:
        """Describe where the files are.

        Args:
            site: the folder of the site.
            cache: the folder of the cache.
            scratch: a folder for incomplete files, which the next run empties.
            document: manifest.json if it is not a file of the cache.
            rules: how the articles of the site are read.
        """
        self._site = site
        self._document: Document = document or LocalDocument(cache / MANIFEST_NAME)
        self._scratch = scratch
        self._rules = rules

    def write_article(self, article: str, *, scanned: str, edits: Sequence[Edit]) -> bool:
        """Apply edits to the front matter and body of one article; every other byte stays.

        Args:
            article: its path relative to the site.
            scanned: SHA-256, in hex, of the bytes to which the lines and columns of the edits refer.
            edits: the changes.

        Returns:
            False if the edits change nothing; then nothing is written.

        Raises:
            ArticleError: it was changed since, or cannot be written or safely edited. It stays as it is.
        """
        return replace_article(
            self._site / article,
            site=self._site,
            scratch=self._scratch,
            scanned=scanned,
            change=lambda data: apply_edits(data, article, edits, self._rules),
        )

    def link_target(self, article: str) -> str | None:
        """Return the target of an article that is a link, as `link_target`. Paths are relative to the site."""
        return link_target(self._site / article, site=self._site)

    def export(self, index: Index) -> bool:
        """Update manifest.json from the index; does nothing if neither has changed.

        A change of the file shows in its mark: a file that was damaged, copied, or written by another machine is
        written again.

        Returns:
            Whether the file was replaced.

        Raises:
            DiskFull: it cannot be written; the old file stays.
        """
        mark = self.mark()
        if not index.changed and index.exported == mark != "":
            return False
        replaced = self.write(index.entries())
        index.mark_exported(self.mark() if replaced else mark)
        return replaced

    def mark(self) -> str:
        """Return a mark that changes with every write of manifest.json; "" if there is no file."""
        return self._document.version()

    def write(self, entries: Iterable[HeldEntry]) -> bool:
        """Write manifest.json, one image on a line, in constant memory, and replace the file atomically.

        Args:
            entries: the cached images, sorted by the code points of their URLs, without duplicates.

        Returns:
            False if the file already has these bytes; then it is not replaced.

        Raises:
            DiskFull: it cannot be written; the old file stays.
            ValueError: the URLs are not in order.
        """
        part = self._scratch / MANIFEST_NAME
        with disk_errors(part), new_file(part) as file:
            file.writelines(_lines(entries))
        return self._document.replace(part)

    def read(self) -> dict[str, ManifestEntry]:
        """Return the entries of manifest.json; empty if there is none.

        Raises:
            ConfigError: it is damaged, or has another version.
        """
        return read_document(self._document)


def read_manifest(path: Path) -> dict[str, ManifestEntry]:
    """Return the entries of a manifest.json, by URL; empty if there is no such file.

    Raises:
        ConfigError: it is damaged, or has another version.
    """
    return read_document(LocalDocument(path))


def read_document(document: Document) -> dict[str, ManifestEntry]:
    """Return the entries of a manifest.json in any store, by URL; empty if there is none.

    Raises:
        ConfigError: it is damaged, or has another version.
        StoreError: the store does not answer.
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
    """Yield one line for each image, so that a diff shows images."""
    encode = msgspec.json.Encoder().encode
    before: str | None = None
    yield b'{"version":%d,"images":{' % VERSION
    for url, asset, tag in entries:
        if before is not None and url <= before:
            raise ValueError(f"{url!r} comes after {before!r}")
        yield b"%s\n%s:%s" % (b"," if before is not None else b"", encode(url), encode(ManifestEntry.of(asset, tag)))
        before = url
    yield b"\n}}\n"
