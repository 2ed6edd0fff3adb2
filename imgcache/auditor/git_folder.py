"""Builds a git directory without foreign settings, over the objects and the index of an untrusted repository.

The settings of a repository can name programs: filters, diff drivers, hooks, a file system monitor, helpers for remotes
and credentials (git-config(1)). A list of settings to override would be outdated with the next version of git.
Therefore git reads the files on disk through a directory of our own, which receives only settings that name no program.
The settings of the user and of the machine still apply: they are trusted.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

# How to treat file names, times, line ends and ignored files: none of these settings names a program.
SETTINGS = (
    "core.attributesfile", "core.autocrlf", "core.checkstat", "core.eol", "core.excludesfile", "core.filemode",
    "core.ignorecase", "core.precomposeunicode", "core.sparsecheckout", "core.sparsecheckoutcone", "core.symlinks",
    "core.trustctime",
)  # fmt: skip
# Even when git only resolves names in the repository itself, a setting could run a program. So nothing is fetched that
# a partial clone lacks (GIT_NO_LAZY_FETCH since git 2.45, protocol.allow in every version), and no bare repository is
# used that is hidden among the files of another.
SAFE_SETTINGS = (
    "safe.bareRepository=explicit",
    "protocol.allow=never",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
)
VARIABLES: Mapping[str, str] = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_COPIED = ("info/exclude", "info/attributes", "info/sparse-checkout")
_MAX_BYTES = 1 << 20  # of each of these files

RunGit = Callable[..., bytes]
"""Runs a git command in the repository and returns its output."""


def build(folder: Path, site: Path, git: RunGit) -> dict[str, str]:
    """Builds the git directory, and returns the variables that make git use it (git(1), "The Git Repository").

    Args:
        folder: an empty folder.
        site: a folder in the work tree.
        git: runs git in the repository itself, to find its format and its parts.
    """
    sha = git("rev-parse", "--show-object-format").decode().strip()
    lines = ["[core]", f"repositoryformatversion = {int(sha != 'sha1')}", "bare = false"]
    lines += ["[extensions]", f"objectformat = {sha}"] if sha != "sha1" else []
    (folder / "config").write_text("\n".join(lines) + "\n")
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    for name in ("objects", "refs", "info"):
        (folder / name).mkdir()
    for name in _COPIED:
        _copy(_path(git, site, "--git-path", name), folder / name)
    index = _path(git, site, "--git-path", "index")
    # The copy keeps the time of the original. By it git knows which files were saved so soon after the index that their
    # times prove nothing (gitformat-index(5), racy-git).
    _copy(index, folder / "index", max_bytes=None)
    for shared in index.parent.glob("sharedindex.*"):  # of an index in two parts (git-update-index(1), "Split index")
        _copy(shared, folder / shared.name, max_bytes=None)
    return {
        "GIT_DIR": str(folder),
        "GIT_WORK_TREE": str(_path(git, site, "--show-toplevel")),
        "GIT_OBJECT_DIRECTORY": str(_path(git, site, "--git-path", "objects")),
        "GIT_INDEX_FILE": str(folder / "index"),
    }


def settings(git: RunGit) -> list[str]:
    """Returns the settings that are taken over, as `name=value`."""
    found = git("config", "--null", "--get-regexp", f"^({'|'.join(SETTINGS)})$".replace(".", "[.]"), may_be_empty=True)
    pairs = (os.fsdecode(line).partition("\n") for line in found.split(b"\0")[:-1])
    return [f"{name}={value or 'true'}" for name, _, value in pairs]


def _path(git: RunGit, site: Path, *words: str) -> Path:
    return site / os.fsdecode(git("rev-parse", *words)).removesuffix("\n")


def _copy(source: Path, target: Path, max_bytes: int | None = _MAX_BYTES) -> None:
    """Copies a regular file, if it exists."""
    with suppress(FileNotFoundError):
        found = source.stat()
        if stat.S_ISREG(found.st_mode) and (max_bytes is None or found.st_size <= max_bytes):
            shutil.copy2(source, target)
