"""Reads what git knows about the folder of a site, through the git program and without a shell.

Nothing is written into the repository, and no program that its settings name is run (`git_folder`).
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
# Git sets these for the hooks that it runs (githooks(5)). Their paths are relative to the folder of the commit, which
# may be another one than ours.
_HOOK_VARIABLES = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})
_SUBMODULE_MODE = "160000"  # the mode of a submodule's entry in a tree (git-fast-import(1))
_LINK_MODE = "120000"
# Git would examine submodules in another process with their own settings, so this module does it instead.
_DIFF = ("diff", "--name-status", "-z", "--find-renames", "--relative", "--ignore-submodules=dirty", "--no-ext-diff",
         "--no-textconv")  # fmt: skip
_MAX_DEPTH = 10  # submodules in submodules


class Tree(msgspec.Struct, frozen=True):
    """The files below the folder at one revision.

    `blobs` maps paths to object names, `modules` maps submodules to commits. Paths are relative to the folder. Symbolic
    links are left out.
    """

    blobs: dict[str, str]
    modules: dict[str, str]


class Changes(msgspec.Struct, frozen=True):
    """The differences between a revision and the files on disk.

    `touched` has every path that was added, changed or deleted, untracked files included and ignored files left out.
    `renamed` maps the new path of a file to its old one.
    """

    touched: frozenset[str]
    renamed: dict[str, str]


class Repository:
    """The git work tree that contains a folder."""

    def __init__(self, folder: Path) -> None:
        """Open the repository.

        Raises:
            ConfigError: git is not installed, or the folder is in no work tree that git trusts.
        """
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
        self._environment |= git_folder.VARIABLES
        try:
            code, answer, complaint = self._run("rev-parse", "--is-inside-work-tree")
        except FileNotFoundError:
            raise ConfigError("git is not installed: install it, or use --baseline FILE", where=_OPTION) from None
        if code or answer.strip() != b"true":
            reason = f"git reports: {complaint}" if complaint else f"{clean_text(str(folder), 300)} is no git work tree"
            raise ConfigError(f"{reason}; without git, use --baseline FILE", where=_OPTION)

    def prefix(self) -> str:
        """Returns the path from the top of the work tree to the folder."""
        return os.fsdecode(self._output("rev-parse", "--show-prefix")).removesuffix("\n").removesuffix("/")

    def revision(self) -> str:
        """Returns the short name of the commit that is checked out. Raises ConfigError: there is none."""
        return self._output("rev-parse", "--short", "--verify", "HEAD").decode("ascii", "replace").strip()

    def tree_of(self, revision: str) -> str:
        """Returns the object name of the tree of a revision; `HEAD` before the first commit is the empty tree.

        Args:
            revision: `HEAD`, `origin/main`, `v1.2`, a hash, or anything else that gitrevisions(7) allows.

        Raises:
            ConfigError: git knows no such revision.
        """
        # An argument that begins with a dash is an option to git, and some options write files.
        if revision.startswith("-") or not revision.isprintable() or not revision:
            raise ConfigError(f"{clean_text(revision) or 'an empty text'} is not the name of a revision", where=_OPTION)
        code, answer, _ = self._run("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}")
        if not code:
            return answer.decode().strip()
        if revision == "HEAD" and not self._run("symbolic-ref", "--quiet", "HEAD")[0]:
            return self._output("hash-object", "-t", "tree", "--stdin").decode().strip()
        _, shallow, _ = self._run("rev-parse", "--is-shallow-repository")
        if shallow.strip() == b"true":
            advice = "this clone is shallow: fetch its history (actions/checkout: fetch-depth: 0; by hand: git fetch"
            advice += " --unshallow)"
        else:
            advice = "fetch it first (git fetch origin), or correct its name"
        raise ConfigError(f"git knows no revision {clean_text(revision)}; {advice}", where=_OPTION)

    def files(self, tree: str) -> Tree:
        """Returns all files of a tree below the folder."""
        blobs: dict[str, str] = {}
        modules: dict[str, str] = {}
        for entry in _fields(self._output("ls-tree", "-r", "-z", tree)):
            fields, _, path = entry.partition("\t")
            mode, _, name = fields.split(" ")
            if mode == _SUBMODULE_MODE:
                modules[path] = name
            elif mode != _LINK_MODE:
                blobs[path] = name
        return Tree(blobs, modules)

    def changes(self, tree: str, modules: Mapping[str, str] | None = None, *, depth: int = 0) -> Changes:
        """Returns the differences between a tree and the files on disk, below the folder.

        Args:
            tree: the object name of the tree.
            modules: its submodules and their commits; a submodule with a changed file counts as touched.
            depth: how many submodules contain this one.
        """
        with tempfile.TemporaryDirectory(prefix="imgcache-") as scratch:
            # Resolved, because git compares paths in the work tree by their real paths.
            variables = git_folder.build(Path(scratch).resolve(), self._folder, self._output)
            settings = git_folder.settings(self._output)
            fields = _fields(self._output(*_DIFF, tree, "--", ".", variables=variables, settings=settings))
            touched, renamed = set[str](), dict[str, str]()
            for status in fields:
                path = next(fields)
                touched.add(path)
                if status.startswith("R"):
                    renamed[next(fields)] = path
            touched |= renamed.keys()
            listing = ("ls-files", "--others", "--exclude-standard", "-z")
            untracked = self._output(*listing, variables=variables, settings=settings)
        touched |= set(_fields(untracked))
        touched |= {path for path, commit in (modules or {}).items() if self._is_edited(path, commit, depth)}
        return Changes(frozenset(touched), renamed)

    def _is_edited(self, module: str, commit: str, depth: int) -> bool:
        """Whether a file of a submodule differs from its commit. A submodule that cannot be read counts as changed."""
        folder = self._folder / module
        if depth >= _MAX_DEPTH or folder.is_symlink() or not (folder / ".git").exists():
            return folder.is_dir() and any(folder.iterdir())
        try:
            inner = Repository(folder)
            tree = inner.tree_of(commit)
            changes = inner.changes(tree, inner.files(tree).modules, depth=depth + 1)
        except ConfigError:
            return True
        return bool(changes.touched)

    def contents(self, blobs: Sequence[str]) -> Iterator[bytes]:
        """Yields the bytes of the given blobs in their order, and reads each one only when it is requested.

        Raises:
            ConfigError: the repository does not have one of them.
        """
        if not blobs:
            return
        with subprocess.Popen(  # noqa: S603 - no shell, fixed arguments
            self._command(["cat-file", "--batch"]),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as git:
            assert git.stdin is not None  # noqa: S101 - a pipe was requested
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

    def _command(self, words: Sequence[str], settings: Sequence[str] = ()) -> list[str]:
        """`settings` are settings of the repository that git would not read by itself."""
        given = [*settings, *git_folder.SAFE_SETTINGS, "diff.autoRefreshIndex=true", "diff.renameLimit=1000"]
        return ["git", "-C", str(self._folder), *(part for setting in given for part in ("-c", setting)), *words]

    def _run(
        self, *words: str, variables: Mapping[str, str] | None = None, settings: Sequence[str] = ()
    ) -> tuple[int, bytes, str]:
        """Returns exit status, standard output, and the first line of standard error."""
        ended = subprocess.run(  # noqa: S603 - no shell, and a revision is never an option
            self._command(words, settings),
            env={**self._environment, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        complaint = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
        return ended.returncode, ended.stdout, clean_text(complaint.removeprefix("fatal: "), 500)

    def _output(
        self,
        *words: str,
        variables: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
        may_be_empty: bool = False,
    ) -> bytes:
        """Returns standard output. `may_be_empty`: exit status 1 means that there is no output."""
        code, answer, complaint = self._run(*words, variables=variables, settings=settings)
        if code and not (may_be_empty and code == 1):
            raise ConfigError(f"git {words[0]} failed: {complaint or f'exit status {code}'}", where=_OPTION)
        return answer


def _fields(answer: bytes) -> Iterator[str]:
    """The NUL-terminated fields of an output; file names that are not UTF-8 are decoded as Python decodes paths."""
    return (os.fsdecode(field) for field in answer.split(b"\0")[:-1])


def git_prefix(folder: Path) -> str:
    """Returns the path from the top of the git work tree to the folder, without outer slashes; "" without git.

    Services that show a report beside the repository open files by this path.
    """
    try:
        return Repository(folder).prefix()
    except ConfigError:
        return ""


def git_revision(folder: Path) -> str:
    """Returns the short name of the commit that is checked out in the work tree of a folder; "" without git."""
    try:
        return Repository(folder).revision()
    except ConfigError:
        return ""
