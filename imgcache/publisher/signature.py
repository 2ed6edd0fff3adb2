"""The line by which imgcache knows the files that it exported."""

from __future__ import annotations

from imgcache.scanner.generators import SIGNATURE

__all__ = ["SIGNATURE", "with_signature"]


def with_signature(target: str) -> str:
    """Returns the first line of every file that `imgcache export TARGET` writes."""
    return f"{SIGNATURE} {target}. Edits are lost: the same command writes it anew."
