"""Reading front matter: article bytes to image references, in plain lines or by a YAML parser."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from imgcache.core import Reference
from imgcache.scanner.frontmatter import documents
from imgcache.scanner.frontmatter.entries import Entry, entries
from imgcache.scanner.frontmatter.plain_lines import Section, plain_entries, plain_sections
from imgcache.scanner.frontmatter.yaml_marks import Block, Head, check_utf8, compose_head, find_block


class FrontMatter(msgspec.Struct, frozen=True):
    """What the head of an article says of images. `body_offset` is in bytes, `body_line` counts from 1."""

    references: tuple[Reference, ...]
    body_offset: int
    body_line: int


class Outline(NamedTuple):
    """A front matter of which it is known where it stands, and which sections name images.

    `sections` is None where that is for a YAML parser to say.
    """

    block: Block | Head | documents.Document
    sections: list[Section] | None


def parse(data: bytes, article: str) -> FrontMatter:
    """Read every image of the lists named `images`, at any depth.

    Args:
        data: the whole file.
        article: its path relative to the site, to put into the references.

    Raises:
        ArticleUnreadable: not UTF-8, an unclosed or malformed front matter, or a key twice on the way to an image.
            Mistakes in keys that hold no images may go unreported.
    """
    check_utf8(data)
    return read(outline(data), article)


def outline(data: bytes) -> Outline:
    """The first half of `parse`, but for a look whether the body is UTF-8. Raises as that does."""
    if documents.opens(data):
        return Outline(documents.read(data), None)
    block = find_block(data)
    return Outline(block, plain_sections(block.lines) if isinstance(block, Block) else None)


def read(front: Outline, article: str) -> FrontMatter:
    """The second half of `parse`. Raises as that does."""
    block, sections = front
    if isinstance(block, documents.Document):
        return FrontMatter(documents.references(block, article), block.body_offset, block.body_line)
    if isinstance(block, Block):
        found = None if sections is None else plain_entries(sections)
        if found is not None:
            return FrontMatter(_references(found, article), *block.body())
        block = compose_head(block)
    found = entries(block.root, block.text) if block.root else []
    return FrontMatter(_references(found, article), block.body_offset, block.body_line)


def _references(found: list[Entry], article: str) -> tuple[Reference, ...]:
    return tuple(
        [
            Reference(url, article, line, column, field, declared, is_cached, flaggable, focus)
            for url, field, line, column, declared, is_cached, flaggable, _, _, focus in found
        ]
    )
