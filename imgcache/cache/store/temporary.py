"""A temporary file that is deleted together with the object that is its path."""

from __future__ import annotations

import weakref
from contextlib import suppress
from pathlib import Path, PosixPath


class TemporaryFile(PosixPath):
    """The path of a temporary file, which is deleted with this object; pickled, it becomes a plain path."""

    def delete_with_path(self) -> None:
        """Deletes the file, if there is one, as soon as this object is no longer used."""
        weakref.finalize(self, _unlink, str(self))

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        return Path, (str(self),)


def _unlink(path: str) -> None:
    with suppress(OSError):  # the next writer empties the folder
        Path(path).unlink()
