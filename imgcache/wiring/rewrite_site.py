"""Finds the site of a built folder, and the folder in it to which images are copied."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path, PurePosixPath

from imgcache.core import ConfigError, display_path

DEFAULT_FOLDER = "assets/imgcache"  # in the built folder


def site_of(built: Path) -> Path:
    """Returns the nearest folder at or above `built` with an imgcache.yml or a cache, else the working directory."""
    return nearest_site(built) or Path()


def nearest_site(folder: Path) -> Path | None:
    """Returns the nearest folder at or above `folder` with an imgcache.yml or a cache, None where there is none."""
    folder = folder.resolve()
    found = (one for one in (folder, *folder.parents) if (one / "imgcache.yml").is_file() or (one / "cache").is_dir())
    nearest, above = next(found, None), next(found, None)
    return above if nearest == folder and above is not None and _is_copy(folder, above) else nearest


def _is_copy(built: Path, site: Path) -> bool:
    """Whether the settings and the cache in a built folder are copies of the site's: Jekyll copies both."""
    names = [name for name in ("imgcache.yml", "cache/manifest.json") if (built / name).is_file()]
    return all((site / name).is_file() and filecmp.cmp(built / name, site / name, shallow=False) for name in names)


def check_target(text: str) -> str:
    """Returns the path in the built folder to which images are copied. Raises ConfigError if it is not inside."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or not text.isprintable():
        raise ConfigError(f"{text!r} is not a path inside BUILT, such as {DEFAULT_FOLDER}", where="--to")
    return path.as_posix()


def require_inside(built: Path, target: str) -> None:
    """Check that the folder to which images are copied lies in the built folder.

    Raises:
        ConfigError: a symbolic link on the way leads out of it.
    """
    root = Path(os.path.realpath(built))
    if not Path(os.path.realpath(root / target)).is_relative_to(root):
        message = "leads out of BUILT by a symbolic link, and nothing is written there: name another folder with --to"
        raise ConfigError(message, where=display_path(built / target))
