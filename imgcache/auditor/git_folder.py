"""A git folder without settings, over the objects and the index of a repository that may come from anybody.

The settings of a repository name programs: filters, drivers for diffs, hooks, a monitor of the file system, helpers for
remotes and credentials (git-config(1)). A list of those to overrule would be out of date with the next version of git.
So git reads the files on disk by a folder of our own, into which only settings are taken that name no program. Those of
the user and of the machine still count: they are theirs.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

# How file names, times, line ends and what is ignored are to be taken: none of these names a program.
SETTINGS = (
    "core.attributesfile", "core.autocrlf", "core.checkstat", "core.eol", "core.excludesfile", "core.filemode",
    "core.ignorecase", "core.precomposeunicode", "core.sparsecheckout", "core.sparsecheckoutcone", "core.symlinks",
    "core.trustctime",
)  # fmt: skip
# What could run a program while git only looks up names and settings of the repository itself: nothing is fetched that
# a partial clone lacks (git 2.45 has a word for it, every version obeys the second), and no repository is taken that
# lies hidden among the files of another.
WALLS = ("safe.bareRepository=explicit", "protocol.allow=never", "core.fsmonitor=false", "core.hooksPath=/dev/null")
VARIABLES: Mapping[str, str] = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_COPIED = ("info/exclude", "info/attributes", "info/sparse-checkout")
_MOST = 1 << 20  # bytes of each of these

Ask = Callable[..., bytes]
"""Words of a git command in the repository -> its answer."""


def build(folder: Path, site: Path, ask: Ask) -> dict[str, str]:
    """Makes the git folder, and gives the variables that lead git to it (git(1), "The Git Repository").

    Args:
        folder: an empty one.
        site: a folder in the work tree.
        ask: asks the repository itself, for what it is and where its parts are.
    """
    sha = ask("rev-parse", "--show-object-format").decode().strip()
    lines = ["[core]", f"repositoryformatversion = {int(sha != 'sha1')}", "bare = false"]
    lines += ["[extensions]", f"objectformat = {sha}"] if sha != "sha1" else []
    (folder / "config").write_text("\n".join(lines) + "\n")
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    for name in ("objects", "refs", "info"):
        (folder / name).mkdir()
    for name in _COPIED:
        _copy(_path(ask, site, "--git-path", name), folder / name)
    index = _path(ask, site, "--git-path", "index")
    # With the time of the original: by it git tells which files were saved too soon after it was written to be believed
    # unchanged (gitformat-index(5), racy-git).
    _copy(index, folder / "index", most=None)
    for shared in index.parent.glob("sharedindex.*"):  # of an index in two parts (git-update-index(1), "Split index")
        _copy(shared, folder / shared.name, most=None)
    return {
        "GIT_DIR": str(folder),
        "GIT_WORK_TREE": str(_path(ask, site, "--show-toplevel")),
        "GIT_OBJECT_DIRECTORY": str(_path(ask, site, "--git-path", "objects")),
        "GIT_INDEX_FILE": str(folder / "index"),
    }


def settings(ask: Ask) -> list[str]:
    """`name=value` of the settings that count."""
    found = ask("config", "--null", "--get-regexp", f"^({'|'.join(SETTINGS)})$".replace(".", "[.]"), lenient=True)
    pairs = (os.fsdecode(line).partition("\n") for line in found.split(b"\0")[:-1])
    return [f"{name}={value or 'true'}" for name, _, value in pairs]


def _path(ask: Ask, site: Path, *words: str) -> Path:
    return site / os.fsdecode(ask("rev-parse", *words)).removesuffix("\n")


def _copy(source: Path, target: Path, most: int | None = _MOST) -> None:
    """A plain file, if it is there."""
    with suppress(FileNotFoundError):
        found = source.stat()
        if stat.S_ISREG(found.st_mode) and (most is None or found.st_size <= most):
            shutil.copy2(source, target)
