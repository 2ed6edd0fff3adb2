"""The manual pages: one for each command, with all that its help says, and valid for groff."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from imgcache.cli import COMMANDS, imgcache
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs/man").iterdir())


def shown(page: Path) -> str:
    """What `man` shows, without bold print and line breaks. Fails if groff warns of anything."""
    ended = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-c", page], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    return re.sub(r".\x08", "", ended.stdout)


def commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = imgcache.get_command(click.Context(imgcache), name)
        assert command is not None
        yield f"imgcache-{name}", command
        if isinstance(command, click.Group):
            yield from ((f"imgcache-{name}-{inner}", one) for inner, one in command.commands.items())


def test_each_command_has_a_page() -> None:
    assert {page.stem for page in PAGES} == {"imgcache", *(name for name, _ in commands())}
    whole = shown(ROOT / "docs/man/imgcache.1")
    assert all(f"imgcache-{name}(1)" in whole for name in COMMANDS)


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_a_page_has_every_option_and_example_of_its_command(name: str, command: click.Command) -> None:
    text = shown(ROOT / f"docs/man/{name}.1")
    options = [one for parameter in command.params if isinstance(parameter, click.Option) for one in parameter.opts]
    assert [one for one in options if one not in text] == []
    examples = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    assert examples
    assert [one for one in examples if one not in text] == []
