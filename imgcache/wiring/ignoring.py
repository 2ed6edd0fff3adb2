"""Writes the cache's own `.gitignore`: a cache can be made again, and does not belong in a repository."""

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


def keep_out_of_git(workspace: Workspace) -> None:
    """Write `.gitignore` into the cache folder, if there is none.

    It is not written where the folder has files that are not imgcache's own, for it would hide them from git; nor where
    the repository has files of the cache: then the cache is committed, and new images would be left out. A failure to
    write it is logged and has no other effect.
    """
    file = workspace.cache / NAME
    try:
        names = {entry.name for entry in workspace.cache.iterdir()}
        if names <= _OURS and not _is_committed(workspace.cache):
            with file.open("xb") as new:
                new.write(CONTENT)
    except OSError as error:
        logger.info("%s was not written: %s", display_path(file), error.strerror)


def _is_committed(cache: Path) -> bool:
    """Whether the repository around the cache has a file of it, by the paths in the repository's index.

    The paths are searched for as bytes (gitformat-index(5)): no program runs that the repository could name. Version 4
    leaves out what a path shares with the one before; there, any `manifest.json` counts.
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
