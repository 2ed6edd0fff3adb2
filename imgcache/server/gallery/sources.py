"""The files that the gallery reads: manifest.json and the two databases of the index. It never writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from imgcache.cache import built_catalogues
from imgcache.core import ConfigError, display_path
from imgcache.manifest import VERSION, ManifestEntry, read_manifest

_FIRST_LINE = b'{"version":%d,"images":{\n' % VERSION
_line = msgspec.json.Decoder(dict[str, ManifestEntry])

FilesStamp = tuple[tuple[int, int, int] | None, ...]


class GallerySources(msgspec.Struct, frozen=True):
    """The files of one cache. If the cache is outside the site, the index may be in the site."""

    manifest: Path
    index: Path
    site: Path | None = None

    @classmethod
    def of(cls, cache: Path, site: Path | None) -> GallerySources:
        """Returns the current paths; any of the files may be missing."""
        folder = cache / "index"
        if site is not None and not folder.is_dir():
            folder = site / "cache" / "index"
        return cls(cache / "manifest.json", folder, site)

    @property
    def records(self) -> Path:
        """Copies, failures and quarantined images by URL."""
        return self.index / "cache.db"

    @property
    def catalogue(self) -> Path:
        """Which article uses which image."""
        return self.index / "catalogue.db"

    @property
    def built(self) -> list[tuple[Path, str]]:
        """The catalogue of each built folder, and the path of that folder, relative to the site if it is inside it."""
        root = "" if self.site is None else f"{os.path.realpath(self.site)}/"
        cache = os.path.realpath(self.index.parent)
        folders = ((file, os.path.normpath(f"{cache}/{name}")) for file, name in built_catalogues(self.index))
        return [(file, folder.removeprefix(root)) for file, folder in folders]

    def stamp(self) -> FilesStamp:
        """Returns a value that changes with every change of a file."""
        databases = (self.records, self.catalogue)
        logs = (file.with_name(f"{file.name}-wal") for file in databases)
        # Empty logs do not count: readers create them.
        return (*map(_stamp, (self.manifest, *databases)), *(_stamp(log, empty=False) for log in logs))


def _stamp(file: Path, *, empty: bool = True) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found.st_size or empty else None


def entries(manifest: Path) -> Iterator[tuple[str, ManifestEntry]]:
    """Yields the entries of manifest.json, one line at a time if it has one image a line, as imgcache writes it.

    Raises:
        ConfigError: it is damaged or has another version.
    """
    try:
        file = manifest.open("rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=display_path(manifest)) from error
    with file:
        if file.readline() != _FIRST_LINE:
            yield from read_manifest(manifest).items()
            return
        for line in file:
            if line == b"}}\n":
                return
            try:
                yield from _line.decode(b"{%s}" % line.rstrip(b",\n")).items()
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ConfigError(f"a line cannot be read ({error})", where=display_path(manifest)) from error
    raise ConfigError("it is incomplete: run sync to write it again", where=display_path(manifest))
