"""Reads the image references of front matter, in plain lines or with a YAML parser."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from imgcache.core import Reference
from imgcache.scanner.frontmatter import documents
from imgcache.scanner.frontmatter.entries import Entry, entries
from imgcache.scanner.frontmatter.plain_lines import Section, plain_entries, plain_sections
from imgcache.scanner.frontmatter.yaml_marks import Block, Head, check_utf8, compose_head, find_block


class FrontMatter(msgspec.Struct, frozen=True):
    """The image references of front matter, and where the body starts: an offset in bytes, a line from 1."""

    references: tuple[Reference, ...]
    body_offset: int
    body_line: int


class Outline(NamedTuple):
    """The place of a front matter, and its sections that name images.

    `sections` is None if a YAML parser is needed.
    """

    block: Block | Head | documents.Document
    sections: list[Section] | None


def parse(data: bytes, article: str) -> FrontMatter:
    """Read every image of the lists named `images`, at any depth.

    Args:
        data: the whole file.
        article: its path relative to the site, for the references.

    Raises:
        ArticleUnreadable: not UTF-8, an unclosed or malformed front matter, or a repeated key above an image.
            Mistakes in keys without images may not be reported.
    """
    check_utf8(data)
    return read(outline(data), article)


def outline(data: bytes) -> Outline:
    """Do the first half of `parse`, without checking whether the body is UTF-8. Raises the same errors."""
    if documents.may_be_document(data):
        return Outline(documents.read(data), None)
    block = find_block(data)
    return Outline(block, plain_sections(block.lines) if isinstance(block, Block) else None)


def read(front: Outline, article: str) -> FrontMatter:
    """Do the second half of `parse`. Raises the same errors."""
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
    return tuple([entry.reference(article) for entry in found])
