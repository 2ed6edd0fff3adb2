"""Which site a command works on, and with which settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from imgcache.config import Config
from imgcache.core import make_folder, refuse_links, replace_file

Clock = Callable[[], float]
"""Seconds since the epoch."""

_ELSEWHERE = "elsewhere.json"
_homes = msgspec.json.Decoder(dict[str, str])


class Workspace(msgspec.Struct, frozen=True):
    """Which site and which cache a command works on, and how it was configured.

    `place` is the URL of the object store that holds blobs and manifest.json; then `cache` is the folder whose `index/`
    is this machine's own.
    """

    root: Path
    cache: Path
    config: Config
    place: str | None = None

    @property
    def own_cache(self) -> Path:
        """What `cache` is if nobody names one, and this site no other beside it."""
        return self.root / "cache"


class BuiltSite(msgspec.Struct, frozen=True):
    """Says that the folder of a command is what a generator built of a site.

    Its catalogue is one of its own, also where the site itself was built in place. `site` is the site that it was built
    from. `scope` stands for all that its references depend on beside its files.
    """

    site: Workspace
    scope: str


def index_home(own_cache: Path, place: str) -> Path:
    """The folder whose `index/` knows what a site has in an object store.

    It is the site's own, until the site is named with others: then it is that of the first of them, also when the site
    is named alone again.
    """
    found = _read(own_cache).get(place)
    if found is None:
        return own_cache
    home = Path(os.path.normpath(own_cache / found))
    return home if (home / "index" / "cache.db").is_file() else own_cache


def move_index_home(own_cache: Path, place: str, home: Path) -> None:
    """Lets `home_of` say another folder from now on. Raises DiskFull."""
    file = own_cache / "index" / _ELSEWHERE
    homes = _read(own_cache) | {place: os.path.relpath(home, own_cache)}
    refuse_links(file.parent)
    make_folder(file.parent)
    replace_file(file, msgspec.json.encode(homes), part="elsewhere.part")


def _read(own_cache: Path) -> dict[str, str]:
    try:
        return _homes.decode((own_cache / "index" / _ELSEWHERE).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
