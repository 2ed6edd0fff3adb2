"""Reads files that are data as a whole (YAML, JSON, TOML), and applies edits to them, as to front matter. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from imgcache.core import ArticleUnreadable, Edit
from imgcache.scanner.frontmatter import documents, edits, texts
from imgcache.scanner.frontmatter.entries import entries
from imgcache.scanner.frontmatter.fields import Fields
from imgcache.scanner.frontmatter.plain_sections import EXTENSION
from imgcache.scanner.frontmatter.reading import FrontMatter
from imgcache.scanner.frontmatter.yaml_marks import read_whole_file

FIELD = "data"  # of every reference in such a file
_YAML = (".yml", ".yaml")


def read_file(data: bytes, path: str, fields: Fields) -> FrontMatter:
    """Read every image of a data file, in lists named `images` and in other fields. The `field` of each is `data`.

    Args:
        data: the whole file.
        path: its path relative to the site, whose suffix tells its format.
        fields: what names an image.

    Raises:
        ArticleUnreadable: not UTF-8, not valid, or nested too deeply. A file that cannot name an image is not parsed.
    """
    if not _may_name_images(data):
        return FrontMatter((), len(data), 0)
    with _about_file():
        if path.endswith(_YAML):
            head = read_whole_file(data)
            found = tuple(entry.reference(path) for entry in entries(head.root, head.text, fields)) if head.root else ()
            values = texts.in_yaml(head.root, head.text, fields)
        else:
            document = documents.read_file(data, is_toml=path.endswith(".toml"))
            found, values = documents.references(document, path, fields), texts.in_document(document, fields)
    references = tuple(msgspec.structs.replace(reference, field=FIELD) for reference in found)
    return FrontMatter(references, len(data), 0, tuple(value._replace(field=FIELD) for value in values))


def apply_to_file(data: bytes, path: str, changes: Sequence[Edit], fields: Fields) -> bytes:
    """Set or clear flags of a data file; every other byte stays. Arguments and errors as for `edits.apply`."""
    if not changes:
        return data
    with _about_file():
        if path.endswith(_YAML):
            return edits.apply_to_yaml(data, changes, fields, read_whole_file)
        read = functools.partial(documents.read_file, is_toml=path.endswith(".toml"))
        return documents.apply(data, changes, fields, read)


def _may_name_images(data: bytes) -> bool:
    return b"images" in data or b"//" in data or b"\\" in data or EXTENSION.search(data) is not None


@contextmanager
def _about_file() -> Iterator[None]:
    """Name the file in errors that are worded for front matter."""
    try:
        yield
    except ArticleUnreadable as error:
        message = error.message.replace("the front matter", "the data file")
        raise ArticleUnreadable(message, line=error.line, column=error.column) from error
