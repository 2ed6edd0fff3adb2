"""The cache's own `.gitignore`: what is in a cache can be had again, and does not belong in a repository."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from imgcache.core import display_path
from imgcache.wiring.workspace import Workspace

logger = logging.getLogger(__name__)

NAME = ".gitignore"
CONTENT = b"""\
# Written by `imgcache sync` where there was none; change it as you like, or leave it empty to commit the cache.
*
!.gitignore
"""
_OURS = frozenset({"assets", "index", "manifest.json", ".DS_Store"})


def keep_out_of_git(ground: Workspace) -> None:
    """Write `.gitignore` into the cache's folder, if there is none.

    Not where the folder has anything that is none of ours, which the file would hide from git; nor where the repository
    has files of the cache: somebody commits it, and new images would be missing. A cache that cannot take the file is
    as good without it.
    """
    file = ground.cache / NAME
    try:
        names = {entry.name for entry in ground.cache.iterdir()}
        if names <= _OURS and not _is_committed(ground.cache):
            with file.open("xb") as new:
                new.write(CONTENT)
    except OSError as error:
        logger.info("%s was not written: %s", display_path(file), error.strerror)


def _is_committed(cache: Path) -> bool:
    """Whether the repository around the cache has a file of it, by the paths in its index.

    They are looked for as bytes (gitformat-index(5)): nothing is run that the repository could name. Version 4 leaves
    out what a path shares with the one before: there, any `manifest.json` counts.
    """
    cache = Path(os.path.realpath(cache))
    for root in cache.parents:
        git = root / ".git"
        if git.is_file():  # of a worktree or a submodule: it names the folder
            git = root / git.read_text(errors="surrogateescape").removeprefix("gitdir:").strip()
        if not (git / "index").is_file():
            continue
        index = (git / "index").read_bytes()
        is_compressed = index[4:8] == b"\0\0\0\4"
        inside = b"" if is_compressed else os.fsencode(cache.relative_to(root).as_posix()) + b"/"
        names = [b"manifest.json"] if is_compressed else [b"manifest.json", b"assets/"]
        return any(inside + name in index for name in names)
    return False
