"""What can be served: the latest whole manifest.json, looked at twice a second, swapped in one step."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from imgcache.cache import parse_asset_path
from imgcache.core import MEDIA_TYPES, ConfigError
from imgcache.server.manifest_lines import ManifestLines, Stamp
from imgcache.server.negotiation import Candidate, Choice

LOOK_EVERY = 0.5  # seconds between two looks at the file
STALE_AFTER = 1.0  # seconds for which an answer need not wait for a manifest that is being read
_IMAGES_REMEMBERED = 2048
_CHOICES_REMEMBERED = 4096
_FORMATS = {media_type: name for name, media_type in MEDIA_TYPES.items()}
_logger = logging.getLogger("imgcache.server")

_K = TypeVar("_K")
_V = TypeVar("_V")


class Lru(Generic[_K, _V]):
    """The values asked for last, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[_K, _V] = OrderedDict()

    def get(self, key: _K) -> _V | None:
        """The value, which is now the youngest."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: _K, value: _V) -> None:
        """Adds one; the oldest goes."""
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
    """One version of the manifest, with the images that were asked for last decoded.

    Attributes:
        lines: the manifest; None where none was ever read.
        choices: what was chosen for the requests that came last, by whatever they depend on.
    """

    def __init__(self, lines: ManifestLines | None) -> None:
        self.lines = lines
        self.choices: Lru[Hashable, Choice] = Lru(_CHOICES_REMEMBERED)
        self._images: Lru[str, tuple[Candidate, ...]] = Lru(_IMAGES_REMEMBERED)
        self._by_digest: Lru[str, tuple[Candidate, ...]] = Lru(_IMAGES_REMEMBERED)

    @property
    def images(self) -> int:
        """How many are held."""
        return len(self.lines) if self.lines else 0

    async def candidates(self, url: str) -> tuple[Candidate, ...]:
        """The files of the image at a URL; none where it is not held.

        Raises:
            ConfigError: its line cannot be read.
        """
        found = self._images.get(url)
        if found is not None or self.lines is None or url not in self.lines:
            return found or ()
        found = await _decoded(self.lines.get, url)
        if found:
            self._images.put(url, found)
        return found

    async def file(self, path: str) -> Candidate | None:
        """The file at a path, where `lines` know digests and an image has it.

        Raises:
            ConfigError: the line of that image cannot be read.
        """
        parts = parse_asset_path(path)
        if parts is None or self.lines is None:
            return None
        found = self._by_digest.get(parts[0])
        if found is None:
            found = await _decoded(self.lines.named, parts[0])
            if found:
                self._by_digest.put(parts[0], found)
        return next((one for one in found if one.path == path), None)


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


class ManifestWatcher:
    """Gives the view to answer from. It belongs to one event loop; reading is done in a thread.

    Attributes:
        trouble: why manifest.json cannot be read now; None where it can.
        unreachable: whether that cannot even be known, since nobody answers there.
    """

    def __init__(
        self,
        cache: Path,
        clock: Callable[[], float],
        *,
        look_every: float = LOOK_EVERY,
        stale_after: float = STALE_AFTER,
    ) -> None:
        """`clock` gives seconds that only go forward."""
        self._look_every = look_every
        self._stale_after = stale_after
        self._file = cache / "manifest.json"
        self._clock = clock
        self._view = ManifestView(None)
        self._seen: Stamp | None = None
        self._looked_at = self._confirmed_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._reading_since = 0.0
        self._is_read = False
        self.trouble: str | None = None
        self.unreachable = False

    def at_hand(self) -> ManifestView | None:
        """The view, where it was right a moment ago (`stale_after`); else `view` has to be awaited."""
        now = self._clock()
        if now - self._looked_at >= self._look_every and self._reading is None:
            self._look(now)
        is_fresh = self._reading is None or self._reading_since - self._confirmed_at < self._stale_after
        return self._view if self._is_read and is_fresh else None

    async def view(self) -> ManifestView:
        """The newest view: waits for a reading that has begun."""
        self.at_hand()
        if self._reading is not None:
            await asyncio.shield(self._reading)
        return self._view

    def _look(self, now: float) -> None:
        self._looked_at = now
        try:
            stamp: Stamp | None = Stamp.of(self._file.stat())
        except OSError:
            stamp = None
        if self._is_read and stamp == self._seen:
            self._confirmed_at = now
            return
        self._reading_since = now
        self._reading = asyncio.ensure_future(self._read(stamp))

    async def _read(self, found: Stamp | None) -> None:
        try:
            lines = await asyncio.to_thread(ManifestLines.read, self._file)
        except ConfigError as error:
            self._cannot_read(str(error))
            self._seen = found
        else:
            self._view, self._seen, self.trouble = ManifestView(lines), lines.stamp, None
        finally:
            self._is_read = True
            self._confirmed_at = self._clock()
            self._reading = None

    def _cannot_read(self, trouble: str) -> None:
        if self.trouble != trouble:
            _logger.error("%s", trouble)
        self.trouble = trouble
