"""`imgcache completion`: what it prints is what the shell runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_calls_imgcache(run: Command, shell: str) -> None:
    ended = run("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    assert f"_IMGCACHE_COMPLETE={shell}_complete" in ended.out


def test_another_shell_is_a_usage_error(run: Command) -> None:
    assert run("completion", "tcsh").code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [("imgcache comp", "completion"), ("imgcache sync --dim", "--dimensions"), ("imgcache sync --dimensions f", "fix")],
)
def test_bash_completes_commands_options_and_values(tmp_path: Path, words: str, expected: str) -> None:
    """The script asks the program itself; the program is found by its name on the path."""
    program = tmp_path / "imgcache"
    program.write_text(f"#!{sys.executable}\nfrom imgcache.cli import main\nmain()\n")
    program.chmod(0o755)
    line = words.split()
    script = (
        'eval "$(imgcache completion bash)"\n'
        f"COMP_WORDS=({' '.join(line)}) COMP_CWORD={len(line) - 1}\n"
        '_imgcache_completion imgcache\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert expected in ended.stdout.split()
