"""The files of one task, opened by the parent: the original, and one new file for each recipe.

A worker gets them as open descriptors and has no access to folders. Afterwards the files of the variants that it
reported get their names, and the others are removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from imgcache.core import (
    EXTENSIONS,
    MEDIA_TYPES,
    VARIANT_FORMATS,
    Limits,
    MissingFile,
    Recipe,
    Rendered,
    Variant,
    clean_text,
    disk_errors,
)
from imgcache.processor.channel import BadAnswer

_HEX = frozenset("0123456789abcdef")
_PLACEHOLDER = "data:image/"
_LARGEST_PLACEHOLDER = 400  # bytes, as in `Asset.placeholder`
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_NOTES = 16  # of one image, at most


@contextlib.contextmanager
def original(path: str | Path) -> Iterator[int]:
    """Open a file for reading and yield its descriptor.

    Raises:
        MissingFile: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise MissingFile(f"{path}: cannot be read ({error.strerror})") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def rewind(descriptors: Sequence[int]) -> None:
    """Reset the files of a task for another attempt: the original is read again, the others are emptied."""
    for descriptor in descriptors:
        os.lseek(descriptor, 0, os.SEEK_SET)
    for descriptor in descriptors[1:]:
        os.ftruncate(descriptor, 0)


class TaskFiles:
    """The files of one image: its original, and a new file for each recipe, in a folder under temporary names.

    `descriptors` has the original first, then the new files in the order of the recipes.
    """

    def __init__(self, path: str | Path, folder: Path, recipes: Sequence[Recipe]) -> None:
        self._path = path
        self._folder = folder
        self._recipes = {recipe.fingerprint: number for number, recipe in enumerate(recipes)}
        self._named: set[int] = set()
        self._stack = contextlib.ExitStack()
        self.descriptors: list[int] = []

    def open(self) -> None:
        """Open the original, and create the new files, and their folder if it is missing.

        Raises:
            MissingFile: the original cannot be opened.
            DiskFull: the folder cannot be written.
        """
        self.descriptors.append(self._stack.enter_context(original(self._path)))
        with disk_errors(self._folder):
            self._folder.mkdir(mode=0o755, exist_ok=True)
            for number in range(len(self._recipes)):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                descriptor = os.open(self._part(number), flags, 0o666)
                self._stack.callback(self._close_new, number, descriptor)
                self.descriptors.append(descriptor)

    def name(self, variants: Sequence[Variant]) -> None:
        """Rename the files of these variants to their final names.

        Raises:
            BadAnswer: a file has another length than the worker reported.
            DiskFull: the folder cannot be written.
        """
        with disk_errors(self._folder):
            for variant in variants:
                number = self._recipes[variant.recipe]
                if os.fstat(self.descriptors[1 + number]).st_size != variant.bytes:
                    raise BadAnswer(f"{variant.path} has another length than the worker reported")
                self._part(number).rename(self._folder / variant.path)
                self._named.add(number)

    def close(self) -> None:
        """Close all files, and remove the new ones that have no final name."""
        self._stack.close()

    def _close_new(self, number: int, descriptor: int) -> None:
        os.close(descriptor)
        if number not in self._named:
            with contextlib.suppress(OSError):
                self._part(number).unlink()

    def _part(self, number: int) -> Path:
        return self._folder / f".{number}.part"


@contextlib.asynccontextmanager
async def task_files(path: str | Path, folder: Path, recipes: Sequence[Recipe]) -> AsyncIterator[TaskFiles]:
    """Open the files of one image for a block, in a thread.

    To create a folder and a file takes ext4 0.6 ms, which the event loop would lose for each image.

    Raises:
        MissingFile, DiskFull: as `TaskFiles.open`.
    """
    files = TaskFiles(path, folder, recipes)
    opening = asyncio.ensure_future(asyncio.to_thread(files.open))
    try:
        await asyncio.shield(opening)
        yield files
    finally:
        if not opening.done():  # cancelled; the thread goes on
            await asyncio.wait([opening])
        files.close()


def checked(rendered: Rendered, recipes: Sequence[Recipe], limits: Limits) -> Rendered:
    """Validate the result of a worker, because its values are written to manifest.json and pages.

    Raises:
        BadAnswer: a value is impossible.
    """
    requested = {recipe.fingerprint: recipe for recipe in recipes}
    header = rendered.header
    valid = (
        MEDIA_TYPES.get(header.format) == header.media_type
        and 0 < header.width * header.height <= limits.pixels
        and min(header.width, header.height) > 0
        and 0 < header.frames <= limits.frames
        and len(rendered.color) == 7
        and rendered.color[0] == "#"
        and _HEX.issuperset(rendered.color[1:])
        and _is_placeholder(rendered.placeholder)
        and set(rendered.recipes) == requested.keys()
        and len({variant.recipe for variant in rendered.variants}) == len(rendered.variants)
        and all(_is_valid(variant, requested.get(variant.recipe), rendered, limits) for variant in rendered.variants)
        and len(rendered.notes) <= _NOTES
    )
    if not valid:
        raise BadAnswer("the worker reported a result that does not match its task")
    return Rendered(
        header,
        rendered.color,
        rendered.placeholder,
        rendered.variants,
        rendered.recipes,
        tuple(clean_text(note, 1000) for note in rendered.notes),
    )


def _is_placeholder(text: str) -> bool:
    head, comma, body = text.partition(";base64,")
    kind = head.removeprefix(_PLACEHOLDER)
    return (
        len(text) <= _LARGEST_PLACEHOLDER
        and head.startswith(_PLACEHOLDER)
        and kind in VARIANT_FORMATS
        and bool(comma)
        and _BASE64.issuperset(body)
    )


def _is_valid(variant: Variant, recipe: Recipe | None, rendered: Rendered, limits: Limits) -> bool:
    return (
        recipe is not None
        and variant.name == recipe.name
        and variant.format in VARIANT_FORMATS
        and variant.path == f"{recipe.name}.{EXTENSIONS[variant.format]}"
        and 0 < variant.width <= rendered.header.width
        and 0 < variant.height <= rendered.header.height
        and 0 < variant.frames <= limits.frames
        and len(variant.digest) == 64
        and _HEX.issuperset(variant.digest)
    )
