"""Prints lines, notes and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from imgcache.core import clean_text, log_safety

if TYPE_CHECKING:
    from imgcache.wiring import Workspace


def print_line(text: str = "", *, color: str | None = None, bold: bool = False, dim: bool = False) -> None:
    """Print one line on standard output. Colours appear on a terminal only, and not where NO_COLOR is set."""
    is_plain = not (color or bold or dim) or os.environ.get("NO_COLOR")
    click.echo(text if is_plain else click.style(text, fg=color, bold=bold or None, dim=dim or None))


def print_note(text: str) -> None:
    """Print one line on standard error that is not an error: standard output is for results."""
    click.echo(f"imgcache: {text}", err=True)


def print_generators(workspaces: Sequence[Workspace]) -> None:
    """Print one line on standard error for each site whose generator is known."""
    for workspace in workspaces:
        if description := workspace.layout.description:
            site = f"{workspace.root}: " if len(workspaces) > 1 else ""
            print_note(clean_text(site + description, 300))


def print_json(found: object) -> None:
    """Print one JSON object on a line of standard output, always in UTF-8."""
    try:
        text = msgspec.json.encode(found).decode()
    except UnicodeEncodeError:  # a file name that is not UTF-8 needs escapes (RFC 8259, section 8.2)
        text = json.dumps(msgspec.to_builtins(found), ensure_ascii=True, separators=(",", ":"))
    print_bytes(log_safety.safe_json(text).encode() + b"\n")


def print_bytes(data: bytes) -> None:
    """Print bytes as they are: the caller escapes what would act on a terminal or in a log."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
