"""One version of manifest.json, with the images that were requested last decoded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

from imgcache.cache import parse_asset_path
from imgcache.core import MEDIA_TYPES, ConfigError
from imgcache.server.manifest_lines import ManifestLines
from imgcache.server.negotiation import Candidate, Choice

_MAX_IMAGES = 2048
_MAX_CHOICES = 4096
_FORMATS = {media_type: name for name, media_type in MEDIA_TYPES.items()}

_K = TypeVar("_K")
_V = TypeVar("_V")


class Lru(Generic[_K, _V]):
    """A cache of at most `limit` values; the least recently used goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[_K, _V] = OrderedDict()

    def get(self, key: _K) -> _V | None:
        """Returns the value and marks it as used."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: _K, value: _V) -> None:
        """Adds a value; the least recently used one goes if there are too many."""
        self._values[key] = value
        if len(self._values) > self._limit:
            self._values.popitem(last=False)


class _Variant(msgspec.Struct, frozen=True, gc=False):
    width: int
    format: str
    bytes: int
    path: str
    frames: int = 1


class _Entry(msgspec.Struct, frozen=True, gc=False):
    media_type: str
    width: int
    bytes: int
    original: str
    variants: tuple[_Variant, ...]
    frames: int = 1


_entries = msgspec.json.Decoder(_Entry)


class ManifestView:
    """One version of the manifest.

    Attributes:
        lines: the manifest; None where none was ever read.
        choices: the files chosen for the latest requests, by the parts of a request that decide.
    """

    def __init__(self, lines: ManifestLines | None) -> None:
        self.lines = lines
        self.choices: Lru[Hashable, Choice] = Lru(_MAX_CHOICES)
        self._images: Lru[str, tuple[Candidate, ...]] = Lru(_MAX_IMAGES)
        self._by_digest: Lru[str, tuple[Candidate, ...]] = Lru(_MAX_IMAGES)

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.lines) if self.lines else 0

    async def candidates(self, url: str) -> tuple[Candidate, ...]:
        """Returns the files of the image at a URL; none where it is not cached.

        Raises:
            ConfigError: its entry is damaged.
        """
        found = self._images.get(url)
        if found is not None or self.lines is None or url not in self.lines:
            return found or ()
        found = await _decoded(self.lines.get, url)
        if found:
            self._images.put(url, found)
        return found

    async def file(self, path: str) -> Candidate | None:
        """Returns the file at a path, if an image has it. The digests of `lines` have to be indexed.

        Raises:
            ConfigError: the entry of that image is damaged.
        """
        parts = parse_asset_path(path)
        if parts is None or self.lines is None:
            return None
        found = self._by_digest.get(parts[0])
        if found is None:
            found = await _decoded(self.lines.named, parts[0])
            if found:
                self._by_digest.put(parts[0], found)
        return next((file for file in found if file.path == path), None)


async def _decoded(find: Callable[[str], bytes | None], key: str) -> tuple[Candidate, ...]:
    try:
        data = await asyncio.to_thread(find, key)
        return _candidates(_entries.decode(data)) if data is not None else ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"its entry in manifest.json is damaged: {error}") from error


def _candidates(entry: _Entry) -> tuple[Candidate, ...]:
    original = Candidate(
        _FORMATS.get(entry.media_type, ""), entry.width, entry.bytes, entry.original, True, entry.frames
    )
    return (original, *(Candidate(v.format, v.width, v.bytes, v.path, False, v.frames) for v in entry.variants))
