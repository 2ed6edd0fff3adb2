"""What git knows of a site's folder, asked through git's own program and read without a shell.

Nothing is written into the repository, and no program is run that its settings name (`git_folder`).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from imgcache.auditor import git_folder
from imgcache.core import ConfigError, clean_text

_OPTION = "--since"
# Git sets these for the hooks that it runs (githooks(5)). They speak of the folder that the commit is made in, with
# paths that are relative to it, and we may stand in another one.
_OF_HOOKS = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})
_MODULE = "160000"  # the mode of a submodule's entry in a tree (git-fast-import(1))
_LINK = "120000"
# Git would look into submodules with a process of its own, by their settings: they are looked into here instead.
_DIFF = ("diff", "--name-status", "-z", "--find-renames", "--relative", "--ignore-submodules=dirty", "--no-ext-diff",
         "--no-textconv")  # fmt: skip
_NESTED = 10  # submodules in submodules


class Tree(msgspec.Struct, frozen=True):
    """The files below the folder at one revision: `blobs` maps paths to object names, `modules` submodules to commits.

    Symbolic links are left out of `blobs`: what they hold is a path. Paths are relative to the folder.
    """

    blobs: dict[str, str]
    modules: dict[str, str]


class Changes(msgspec.Struct, frozen=True):
    """What differs between a revision and the files on disk: every path added, changed or deleted, untracked ones too.

    `renamed` maps the new path of a file to its old one. What .gitignore hides is not looked at.
    """

    touched: frozenset[str]
    renamed: dict[str, str]


class Repository:
    """The git work tree that a folder lies in."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError: no git, or no work tree that git trusts."""
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
        self._environment |= git_folder.VARIABLES
        try:
            code, answer, words = self._ask("rev-parse", "--is-inside-work-tree")
        except FileNotFoundError:
            raise ConfigError("git is not installed: install it, or use --baseline FILE", where=_OPTION) from None
        if code or answer.strip() != b"true":
            said = f"git says: {words}" if words else f"{clean_text(str(folder), 300)} is no git work tree"
            raise ConfigError(f"{said}; without git, use --baseline FILE", where=_OPTION)

    def prefix(self) -> str:
        """The way from the top of the work tree to the folder."""
        return os.fsdecode(self._must("rev-parse", "--show-prefix")).removesuffix("\n").removesuffix("/")

    def tree_of(self, revision: str) -> str:
        """The object name of a revision's tree. `HEAD` before the first commit is the empty tree. Raises ConfigError.

        A revision is whatever git takes for one (gitrevisions(7)): `HEAD`, `origin/main`, `v1.2`, a hash.
        """
        # An argument of git that begins with a dash is an option, and some of those write files.
        if revision.startswith("-") or not revision.isprintable() or not revision:
            raise ConfigError(f"{clean_text(revision) or 'nothing'} is no name of a revision", where=_OPTION)
        code, answer, _ = self._ask("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
        if not code:
            return answer.decode().strip()
        if revision == "HEAD" and not self._ask("symbolic-ref", "--quiet", "HEAD")[0]:
            return self._must("hash-object", "-t", "tree", "--stdin").decode().strip()
        _, shallow, _ = self._ask("rev-parse", "--is-shallow-repository")
        if shallow.strip() == b"true":
            advice = "this clone is shallow: fetch its history (actions/checkout: fetch-depth: 0; by hand: git fetch"
            advice += " --unshallow)"
        else:
            advice = "fetch it first (git fetch origin), or correct its name"
        raise ConfigError(f"git knows no revision {clean_text(revision)}; {advice}", where=_OPTION)

    def files(self, tree: str) -> Tree:
        """All files of a tree below the folder."""
        blobs: dict[str, str] = {}
        modules: dict[str, str] = {}
        for entry in _fields(self._must("ls-tree", "-r", "-z", tree)):
            about, _, path = entry.partition("\t")
            mode, _, name = about.split(" ")
            if mode == _MODULE:
                modules[path] = name
            elif mode != _LINK:
                blobs[path] = name
        return Tree(blobs, modules)

    def changes(self, tree: str, modules: Mapping[str, str] | None = None, *, depth: int = 0) -> Changes:
        """What differs below the folder between a tree and the files on disk.

        Args:
            tree: its object name.
            modules: the submodules in it and their commits; one of which a file differs counts as touched.
            depth: in how many submodules this one lies.
        """
        with tempfile.TemporaryDirectory(prefix="imgcache-") as scratch:
            # Resolved, for git tells a path in the work tree by its real path.
            there = git_folder.build(Path(scratch).resolve(), self._folder, self._must)
            taken = git_folder.settings(self._must)
            told = _fields(self._must(*_DIFF, tree, "--", ".", there=there, taken=taken))
            touched, renamed = set[str](), dict[str, str]()
            for status in told:
                path = next(told)
                touched.add(path)
                if status.startswith("R"):
                    renamed[next(told)] = path
            touched |= renamed.keys()
            new = self._must("ls-files", "--others", "--exclude-standard", "-z", there=there, taken=taken)
        touched |= set(_fields(new))
        touched |= {path for path, commit in (modules or {}).items() if self._is_edited(path, commit, depth)}
        return Changes(frozenset(touched), renamed)

    def _is_edited(self, module: str, commit: str, depth: int) -> bool:
        """Whether a file of a submodule differs from its commit. What cannot be looked into counts as changed."""
        folder = self._folder / module
        if depth >= _NESTED or folder.is_symlink() or not (folder / ".git").exists():
            return folder.is_dir() and any(folder.iterdir())
        try:
            inner = Repository(folder)
            tree = inner.tree_of(commit)
            found = inner.changes(tree, inner.files(tree).modules, depth=depth + 1)
        except ConfigError:
            return True
        return bool(found.touched)

    def contents(self, blobs: Sequence[str]) -> Iterator[bytes]:
        """The bytes of the given blobs, in their order, each asked for when the one before is done with."""
        if not blobs:
            return
        with subprocess.Popen(  # noqa: S603 - no shell, fixed words
            self._command(["cat-file", "--batch"]),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as git:
            assert git.stdin is not None  # noqa: S101 - a pipe was asked for
            assert git.stdout is not None  # noqa: S101
            for name in blobs:
                git.stdin.write(f"{name}\n".encode())
                git.stdin.flush()
                _, _, size = git.stdout.readline().decode().rstrip("\n").rpartition(" ")
                if not size.isdigit():
                    raise ConfigError(
                        f"git does not have the object {name}: the clone is not complete; git fetch it, or use"
                        " --baseline FILE",
                        where=_OPTION,
                    )
                yield git.stdout.read(int(size))
                git.stdout.read(1)

    def _command(self, words: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
        """`taken` are the repository's own settings, where git does not read them."""
        settings = [*taken, *git_folder.WALLS, "diff.autoRefreshIndex=true", "diff.renameLimit=1000"]
        return ["git", "-C", str(self._folder), *(part for setting in settings for part in ("-c", setting)), *words]

    def _ask(
        self, *words: str, there: Mapping[str, str] | None = None, taken: Sequence[str] = ()
    ) -> tuple[int, bytes, str]:
        """Exit status, standard output, and the first line of what git complains of."""
        ended = subprocess.run(  # noqa: S603 - no shell, and a revision is never an option
            self._command(words, taken),
            env={**self._environment, **(there or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        complaint = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
        return ended.returncode, ended.stdout, clean_text(complaint.removeprefix("fatal: "), 500)

    def _must(
        self, *words: str, there: Mapping[str, str] | None = None, taken: Sequence[str] = (), lenient: bool = False
    ) -> bytes:
        """The answer. `lenient`: exit status 1 says that there is none."""
        code, answer, complaint = self._ask(*words, there=there, taken=taken)
        if code and not (lenient and code == 1):
            raise ConfigError(f"git {words[0]} failed: {complaint or f'exit status {code}'}", where=_OPTION)
        return answer


def _fields(answer: bytes) -> Iterator[str]:
    """The fields of an answer that ends each with a NUL; names that are not UTF-8 as Python has them from the disk."""
    return (os.fsdecode(field) for field in answer.split(b"\0")[:-1])


def git_prefix(folder: Path) -> str:
    """The way from the top of the git work tree to the folder, with `/` and no slash at its ends; "" without git.

    Services that show a report beside the repository open its files by this.
    """
    try:
        return Repository(folder).prefix()
    except ConfigError:
        return ""
