"""`audit --since` in an untrusted repository runs no program that its settings name."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from imgcache.auditor.git import Repository
from tests.conftest import Command, article
from tests.support.work_trees import WorkTree

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.jpg"


class Trap:
    """A repository, and a program that creates a marker file when it is run."""

    def __init__(self, folder: Path) -> None:
        self.work = WorkTree(folder / "work")
        self.work.commit({"a.md": article((A, 4, 3)), "b.md": article((A, 4, 3))})
        self.mark = folder / "mark"
        self.program = folder / "trap"
        self.program.write_text(f"#!/bin/sh\ntouch '{self.mark}'\n")
        self.program.chmod(0o755)

    def config(self, **settings: str) -> None:
        for key, value in settings.items():
            self.work.git("config", key.replace("__", "."), value)

    def write(self, path: str, text: str) -> None:
        (self.work.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.work.root / path).write_text(text)

    def is_armed(self, *words: str) -> bool:
        """Returns whether plain git runs the program."""
        subprocess.run(
            ["git", "-C", str(self.work.root), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )
        is_run = self.mark.exists()
        self.mark.unlink(missing_ok=True)
        return is_run


def _filter(trap: Trap, kind: str) -> tuple[str, ...]:
    trap.work.commit({".gitattributes": "*.md filter=odd=name\n"})
    trap.work.git("config", f"filter.odd=name.{kind}", str(trap.program))
    trap.config(**{"filter__odd=name__required": "true"})
    trap.write("b.md", article((B, 4, 3)))
    return "diff", "--name-status"


def clean_filter(trap: Trap) -> tuple[str, ...]:
    return _filter(trap, "clean")


def filter_process(trap: Trap) -> tuple[str, ...]:
    return _filter(trap, "process")


def filter_of_local_attributes(trap: Trap) -> tuple[str, ...]:
    (trap.work.repository / ".git/info/attributes").write_text("*.md filter=x\n")
    trap.config(filter__x__clean=str(trap.program))
    trap.write("b.md", article((B, 4, 3)))
    return "diff", "--name-status"


def text_conversion(trap: Trap) -> tuple[str, ...]:
    trap.work.commit({".gitattributes": "*.md diff=x\n"})
    trap.config(diff__x__textconv=str(trap.program))
    trap.write("b.md", article((B, 4, 3)))
    return ("diff",)


def diff_driver(trap: Trap) -> tuple[str, ...]:
    trap.work.commit({".gitattributes": "*.md diff=x\n"})
    trap.config(diff__x__command=str(trap.program), diff__external=str(trap.program))
    trap.write("b.md", article((B, 4, 3)))
    return ("diff",)


def file_monitor(trap: Trap) -> tuple[str, ...]:
    trap.config(core__fsmonitor=str(trap.program))
    return ("status",)


def hook_of_the_index(trap: Trap) -> tuple[str, ...]:
    hook = trap.work.repository / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.symlink_to(trap.program)
    (trap.work.root / "b.md").touch()
    return ("status",)


def hooks_elsewhere(trap: Trap) -> tuple[str, ...]:
    (trap.work.repository / ".git/odd").mkdir()
    (trap.work.repository / ".git/odd/post-index-change").symlink_to(trap.program)
    trap.config(core__hooksPath=".git/odd")
    (trap.work.root / "b.md").touch()
    return ("status",)


def included_settings(trap: Trap) -> tuple[str, ...]:
    (trap.work.repository / ".git/more").write_text(f"[core]\nfsmonitor = {trap.program}\n")
    trap.config(include__path="more")
    return ("status",)


def settings_of_the_work_tree(trap: Trap) -> tuple[str, ...]:
    trap.config(extensions__worktreeConfig="true", core__repositoryformatversion="1")
    (trap.work.repository / ".git/config.worktree").write_text(f"[core]\nfsmonitor = {trap.program}\n")
    return ("status",)


def settings_of_a_submodule(trap: Trap) -> tuple[str, ...]:
    theme = WorkTree(trap.work.repository.with_name("theme"))
    theme.commit({"c.md": article((A, 4, 3))})
    trap.work.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(theme.repository), "theme")
    trap.work.commit()
    trap.work.git("-C", "theme", "config", "core.fsmonitor", str(trap.program))
    trap.write("theme/c.md", article((B, 4, 3)))
    return ("status",)


def _partial(trap: Trap, url: str, **settings: str) -> tuple[str, ...]:
    """A partial clone whose remote would fetch the missing object through a program."""
    name = trap.work.git("rev-parse", "HEAD:b.md")
    trap.write("b.md", article((B, 4, 3)))
    trap.work.commit()
    (trap.work.repository / ".git/objects" / name[:2] / name[2:]).unlink(missing_ok=True)
    trap.config(
        core__repositoryformatversion="1",
        extensions__partialClone="origin",
        remote__origin__url=url,
        remote__origin__promisor="true",
        **settings,
    )
    return "cat-file", "-p", name


def partial_clone_by_a_command(trap: Trap) -> tuple[str, ...]:
    return _partial(trap, f"ext::{trap.program} x", protocol__ext__allow="always")


def partial_clone_by_ssh(trap: Trap) -> tuple[str, ...]:
    return _partial(trap, "ssh://host.invalid/x", core__sshCommand=str(trap.program))


def partial_clone_by_file(trap: Trap) -> tuple[str, ...]:
    return _partial(trap, str(trap.work.repository), remote__origin__uploadpack=str(trap.program))


def partial_clone_with_credentials(trap: Trap) -> tuple[str, ...]:
    program = str(trap.program)
    settings = {"credential__helper": program, "core__gitProxy": program, "gpg__program": program}
    return _partial(trap, "git://host.invalid/x", **settings)


TRAPS = [
    clean_filter,
    filter_process,
    filter_of_local_attributes,
    text_conversion,
    diff_driver,
    file_monitor,
    hook_of_the_index,
    hooks_elsewhere,
    included_settings,
    settings_of_the_work_tree,
    settings_of_a_submodule,
    partial_clone_by_a_command,
    partial_clone_by_ssh,
    partial_clone_by_file,
    partial_clone_with_credentials,
]


@pytest.mark.parametrize("build", TRAPS, ids=lambda build: build.__name__)
def test_no_program_that_repository_settings_name_is_run(
    run: Command, tmp_path: Path, build: Callable[[Trap], tuple[str, ...]]
) -> None:
    trap = Trap(tmp_path)
    words = build(trap)
    trap.mark.unlink(missing_ok=True)
    for revision in ("HEAD", "HEAD~1"):
        ended = run("audit", trap.work.root, "--offline", "--since", revision)
        assert not trap.mark.exists(), revision
        assert ended.code in {0, 1, 2}, ended.err
    assert trap.is_armed(*words), "plain git does run it: the trap is a real one"


def test_an_alias_in_repository_settings_replaces_no_command(run: Command, tmp_path: Path) -> None:
    trap = Trap(tmp_path)
    for command in ("rev-parse", "diff", "ls-tree", "ls-files", "cat-file", "config"):
        trap.work.git("config", f"alias.{command}", f"!{trap.program}")
    assert run("audit", trap.work.root, "--offline", "--since", "HEAD").code in {0, 1}
    assert not trap.mark.exists()


def test_a_bare_repository_among_the_articles_is_not_used(run: Command, tmp_path: Path) -> None:
    """A bare repository has no `.git`: any folder with HEAD, objects and refs is one."""
    trap = Trap(tmp_path)
    bare = trap.work.root / "site"
    trap.work.git("init", "--quiet", "--bare", str(bare))
    (bare / "a.md").write_text(article((A, 4, 3)))
    with (bare / "config").open("a") as config:
        config.write(f"[core]\nbare = false\nworktree = ..\nfsmonitor = {trap.program}\n")
    run("audit", bare, "--offline", "--since", "HEAD")
    assert not trap.mark.exists()


def test_a_change_that_a_filter_would_hide_counts_as_changed(tmp_path: Path) -> None:
    """The bytes on disk are compared without filters of the repository."""
    trap = Trap(tmp_path)
    clean_filter(trap)
    repository = Repository(trap.work.root)
    assert repository.changes(repository.tree_of("HEAD")).touched == {"b.md"}


def test_line_end_settings_of_the_repository_apply(tmp_path: Path) -> None:
    trap = Trap(tmp_path)
    trap.work.git("config", "core.autocrlf", "input")
    text = (trap.work.root / "b.md").read_text()
    (trap.work.root / "b.md").write_bytes(text.replace("\n", "\r\n").encode())
    repository = Repository(trap.work.root)
    assert repository.changes(repository.tree_of("HEAD")).touched == frozenset()


def test_a_split_index_and_a_second_work_tree_are_read(tmp_path: Path) -> None:
    trap = Trap(tmp_path)
    trap.work.git("worktree", "add", "--quiet", str(tmp_path / "second"), "HEAD")
    trap.work.git("-C", str(tmp_path / "second"), "update-index", "--split-index")
    (tmp_path / "second/b.md").write_text(article((B, 4, 3)))
    repository = Repository(tmp_path / "second")
    tree = repository.tree_of("HEAD")
    assert repository.changes(tree).touched == {"b.md"}
    assert set(repository.files(tree).blobs) == {"a.md", "b.md"}
