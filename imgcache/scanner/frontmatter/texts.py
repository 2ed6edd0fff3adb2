"""Finds values of front matter that are Markdown or HTML with images in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import yaml

from imgcache.scanner.frontmatter import documents
from imgcache.scanner.frontmatter.entries import name_of, path
from imgcache.scanner.frontmatter.fields import Fields, Verdict, has_markup
from imgcache.scanner.frontmatter.places import Places
from imgcache.scanner.frontmatter.yaml_values import MERGE


class MarkupValue(NamedTuple):
    """One value. `text` is what it means, `raw` how the file writes it, from `line` and `column` on."""

    text: str
    raw: str
    field: str
    line: int
    column: int


def in_yaml(root: yaml.Node | None, text: str, fields: Fields) -> tuple[MarkupValue, ...]:
    """Return the values under the root of a YAML document whose marks refer to `text`."""
    if root is None or fields.reads_nothing or not has_markup(text):
        return ()
    places = Places(text)
    return tuple(
        MarkupValue(
            node.value, text[node.start_mark.index : node.end_mark.index], field, *places.of_mark(node.start_mark)
        )
        for node, field in _scalars(root)
        if fields.judge(field, node.value) is Verdict.TEXT
    )


def in_document(document: documents.Document, fields: Fields) -> tuple[MarkupValue, ...]:
    """Return the values of a TOML or JSON document."""
    if fields.reads_nothing or not has_markup(document.text):
        return ()
    return tuple(
        MarkupValue(found.value, found.raw, found.field, found.line, found.column)
        for found in documents.strings(document)
        if fields.judge(found.field, found.value) is Verdict.TEXT
    )


def _scalars(root: yaml.Node) -> Iterator[tuple[yaml.ScalarNode, str]]:
    """Yield each scalar value once, with the path of its keys."""
    stack: list[tuple[yaml.Node, str, bool]] = [(root, "", False)]
    seen: set[int] = set()
    while stack:
        node, field, in_images = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            if not in_images:
                yield node, field
        elif isinstance(node, yaml.SequenceNode):
            stack += [(child, field, in_images) for child in reversed(node.value)]
        else:
            for key, value in reversed(node.value):
                name = name_of(key)
                stack.append((value, field if key.tag == MERGE else path(field, name), name == "images"))
