"""Which site and which cache a command works on, and with which settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from imgcache.config import Config
from imgcache.core import make_folder, refuse_links, replace_file
from imgcache.scanner import Layout, Site

Clock = Callable[[], float]
"""Seconds since the epoch."""

_ELSEWHERE = "elsewhere.json"
_homes = msgspec.json.Decoder(dict[str, str])


class Workspace(msgspec.Struct, frozen=True):
    """The site, the cache and the configuration of a command.

    `bucket_url` names the object store that holds blobs and manifest.json, if one does; `cache` is then the folder
    whose `index/` belongs to this machine. `layout` is what is known of the site by its generator.
    """

    root: Path
    cache: Path
    config: Config
    bucket_url: str | None = None
    layout: Layout = Layout()

    @property
    def site(self) -> Site:
        """The site, by its settings and by its generator."""
        return Site(self.root, self.config.site_url, self.layout, self.config.fields)

    @property
    def own_cache(self) -> Path:
        """The site's default cache folder."""
        return self.root / "cache"


class BuiltSite(msgspec.Struct, frozen=True):
    """Marks the folder of a command as what a generator built of a site.

    It has a catalogue of its own, even if the site was built in place. `site` is the site that it was built from, and
    `scope` stands for everything that its references depend on beside its files.
    """

    site: Workspace
    scope: str


def index_home(own_cache: Path, bucket_url: str) -> Path:
    """Returns the folder whose `index/` records what a site has in an object store.

    It is the site's own folder until the site is named together with others. From then on it is that of the first of
    them, also when the site is named alone.
    """
    found = _read(own_cache).get(bucket_url)
    if found is None:
        return own_cache
    home = Path(os.path.normpath(own_cache / found))
    return home if (home / "index" / "cache.db").is_file() else own_cache


def move_index_home(own_cache: Path, bucket_url: str, home: Path) -> None:
    """Make `index_home` return another folder from now on. Raises DiskFull."""
    file = own_cache / "index" / _ELSEWHERE
    homes = _read(own_cache) | {bucket_url: os.path.relpath(home, own_cache)}
    refuse_links(file.parent)
    make_folder(file.parent)
    replace_file(file, msgspec.json.encode(homes), temporary_name="elsewhere.part")


def _read(own_cache: Path) -> dict[str, str]:
    try:
        return _homes.decode((own_cache / "index" / _ELSEWHERE).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
