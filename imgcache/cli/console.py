"""What standard output can show."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from imgcache.core import Console


def console_for(root: Path, *, is_to_file: bool = False) -> Console:
    """Returns what standard output can show: on a terminal colours, unless NO_COLOR is set, links, and its width.

    Args:
        root: the folder that places are relative to.
        is_to_file: whether the text goes to a file instead.
    """
    if is_to_file or not sys.stdout.isatty():
        return Console(root)
    return Console(
        root=root,
        color=not os.environ.get("NO_COLOR"),
        hyperlinks=os.environ.get("TERM", "dumb") not in {"dumb", "linux"},
        width=shutil.get_terminal_size().columns,
    )
