"""The net below every edit of a front matter: the result is parsed, and must be what it was but for the wishes."""

from __future__ import annotations

import yaml

from imgcache.core import ArticleUnreadable, Declared, Edit
from imgcache.scanner.frontmatter.entries import Entry, entries
from imgcache.scanner.frontmatter.yaml_marks import read_head


def check_edit(edited: bytes, rest: bytes, root: yaml.Node | None, found: list[Entry], wished: dict[int, Edit]) -> None:
    """Parse the result; it must be what it was, but for the wishes.

    Args:
        edited: the whole file after the edits.
        rest: the file below its front matter, before them.
        root: the nodes before them.
        found: the entries before them.
        wished: the edits, by the number of their entry in `found`.

    Raises:
        ArticleUnreadable: at the first entry that was to be edited.
    """
    first = found[min(wished)]
    try:
        head = read_head(edited)
        after = entries(head.root, head.text) if head.root else []
    except ArticleUnreadable as error:
        raise unsafe_edit(first.line, first.column) from error
    said = [(e.url, e.field, e.declared, e.is_cached, e.flaggable) for e in after]
    expected = [_wished(entry, wished.get(number)) for number, entry in enumerate(found)]
    if said != expected or edited[head.body_offset :] != rest:
        raise unsafe_edit(first.line, first.column)
    if _content(root, found, wished) != _content(head.root, after, wished):
        raise unsafe_edit(first.line, first.column)


def _wished(entry: Entry, edit: Edit | None) -> tuple[str, str, Declared, bool | None, bool]:
    """What the entry should say after the edit."""
    declared, is_cached = entry.declared, entry.is_cached
    if edit and edit.size:
        keys = {key.value for key, _ in entry.mapping.value} if entry.mapping else set[str]()
        width = edit.size.width if "width" in keys else declared.width
        height = edit.size.height if "height" in keys else declared.height
        declared = Declared(width, height)
    if edit and edit.flag is not None:
        is_cached = True if edit.flag else False if is_cached is False else None
    url = edit.url if edit and edit.url is not None else entry.url
    return url, entry.field, declared, is_cached, entry.flaggable


def _content(root: yaml.Node | None, found: list[Entry], wished: dict[int, Edit]) -> list[str | int]:
    """Everything that the YAML says, in order, without what the wishes are free to change."""
    free: set[int] = set()
    for number, edit in wished.items():
        mapping, scalar = found[number].mapping, found[number].scalar
        if edit.url is not None:
            free.add(id(scalar))
        for key, value in mapping.value if mapping else ():
            if edit.flag is not None and key.value == "isCached":
                free |= {id(key), id(value)}
            elif edit.size and key.value in {"width", "height"}:
                free.add(id(value))
    content: list[str | int] = []
    order: dict[int, int] = {}
    stack = [root] if root else []
    while stack:
        node = stack.pop()
        if id(node) in free:
            continue
        content.append(order.setdefault(id(node), len(order)))
        if content[-1] != len(order) - 1:
            continue
        content.append(node.tag)
        if isinstance(node, yaml.ScalarNode):
            content.append(node.value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(reversed(node.value))
        else:
            stack.extend(child for pair in reversed(node.value) for child in reversed(pair))
    return content


def unsafe_edit(line: int, column: int) -> ArticleUnreadable:
    """The word for an edit that is refused."""
    message = "this entry cannot be edited without changing something else: write it as plain `key: value` lines"
    return ArticleUnreadable(message, line=line, column=column)
