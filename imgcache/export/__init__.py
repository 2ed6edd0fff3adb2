"""What a site's build or a web server needs to show the cached images: pure texts, one file a target.

`placing.py` alone touches the disk.
"""

from __future__ import annotations

from importlib.resources import files

from imgcache import generators

SIGNATURE = generators.SIGNATURE


def signed(target: str) -> str:
    """The line by which a file is known as ours: the first of every file that an export writes."""
    return f"{SIGNATURE} {target}. Edits are lost: the same command writes it anew."


def template(name: str, target: str) -> str:
    """A template of the package, signed."""
    text = files(__name__).joinpath("templates", name).read_text(encoding="utf-8")
    return text.replace("@SIGNED@", signed(target))
