"""Reads the image references of front matter, in plain lines or with a YAML parser."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from imgcache.core import Reference
from imgcache.scanner.frontmatter import documents, texts
from imgcache.scanner.frontmatter.entries import entries
from imgcache.scanner.frontmatter.fields import DEFAULT, Fields
from imgcache.scanner.frontmatter.plain_lines import plain_references
from imgcache.scanner.frontmatter.plain_sections import Section, plain_sections
from imgcache.scanner.frontmatter.yaml_marks import Block, Head, check_utf8, compose_head, find_block


class FrontMatter(msgspec.Struct, frozen=True):
    """The image references of front matter, and where the body starts: an offset in bytes, a line from 1.

    `texts` are values with images in Markdown or HTML.
    """

    references: tuple[Reference, ...]
    body_offset: int
    body_line: int
    texts: tuple[texts.MarkupValue, ...] = ()


class Outline(NamedTuple):
    """The place of a front matter, and its sections that name images.

    `sections` is None if a YAML parser is needed.
    """

    block: Block | Head | documents.Document
    sections: list[Section] | None


def parse(data: bytes, article: str, fields: Fields = DEFAULT) -> FrontMatter:
    """Read every image of the lists named `images`, at any depth, and of other fields.

    Args:
        data: the whole file.
        article: its path relative to the site, for the references.
        fields: what names an image beside those lists.

    Raises:
        ArticleUnreadable: not UTF-8, an unclosed or malformed front matter, or a repeated key above an image.
            Mistakes in keys without images may not be reported.
    """
    check_utf8(data)
    return read(outline(data, fields), article, fields)


def outline(data: bytes, fields: Fields = DEFAULT) -> Outline:
    """Do the first half of `parse`, without checking whether the body is UTF-8. Raises the same errors."""
    if documents.may_be_document(data, metadata_lines=fields.metadata_lines):
        return Outline(documents.read(data), None)
    block = find_block(data)
    return Outline(block, plain_sections(block.lines, fields) if isinstance(block, Block) else None)


def read(front: Outline, article: str, fields: Fields = DEFAULT) -> FrontMatter:
    """Do the second half of `parse`. Raises the same errors."""
    block, sections = front
    if isinstance(block, documents.Document):
        found = documents.references(block, article, fields)
        return FrontMatter(found, block.body_offset, block.body_line, texts.in_document(block, fields))
    if isinstance(block, Block):
        plain = None if sections is None else plain_references(sections, article, fields)
        if plain is not None:
            return FrontMatter(plain, *block.body())
        block = compose_head(block)
    entries_found = entries(block.root, block.text, fields) if block.root else []
    references = tuple([entry.reference(article) for entry in entries_found])
    marked_up = texts.in_yaml(block.root, block.text, fields)
    return FrontMatter(references, block.body_offset, block.body_line, marked_up)
