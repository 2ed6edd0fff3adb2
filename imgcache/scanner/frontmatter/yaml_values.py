"""Reads the values of an entry from the nodes of parsed YAML, also those that it merges by `<<`. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from imgcache.core import ArticleUnreadable, Focus
from imgcache.scanner.frontmatter.places import Places

MAX_MERGES = 100  # mappings that one entry may merge by `<<`
READ = frozenset({"url", "width", "height", "isCached", "focus"})  # the keys of an entry that may come from a merge
STR = "tag:yaml.org,2002:str"
MERGE = "tag:yaml.org,2002:merge"

_BOOL = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"
_PIXELS = re.compile(r"[1-9][0-9]{0,8}")
_FRACTION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}")


class MergeSource(NamedTuple):
    """What one node contributes to the entries that merge it."""

    values: dict[str, yaml.Node]
    merged: list[yaml.Node]


def effective(node: yaml.MappingNode, sources: dict[int, MergeSource]) -> dict[str, yaml.Node]:
    """Return the values of `READ`: own keys first, then merges in their order (YAML 1.1 merge type)."""
    values: dict[str, yaml.Node] = {}
    stack: list[yaml.Node] = [node]
    seen: set[int] = set()
    while stack:
        mapping = stack.pop()
        if id(mapping) in seen:
            continue
        seen.add(id(mapping))
        if len(seen) > MAX_MERGES:
            mark = node.start_mark
            message = f"this entry merges more than {MAX_MERGES} mappings by `<<`: write out its keys instead"
            raise ArticleUnreadable(message, line=mark.line + 1, column=mark.column + 1)
        if id(mapping) not in sources:  # many entries may merge the same node
            sources[id(mapping)] = _merge_source(mapping)
        for name, value in sources[id(mapping)].values.items():
            values.setdefault(name, value)
        stack.extend(sources[id(mapping)].merged)
    return values


def _merge_source(node: yaml.Node) -> MergeSource:
    """Return the values that a merged node has itself, by name, and the nodes that it merges, in reverse order."""
    if isinstance(node, yaml.SequenceNode):
        return MergeSource({}, node.value[: MAX_MERGES + 1][::-1])
    if not isinstance(node, yaml.MappingNode):
        return MergeSource({}, [])
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in READ:
            values.setdefault(key.value, value)
    merged = [value for key, value in node.value if key.tag == MERGE]
    return MergeSource(values, merged[: MAX_MERGES + 1][::-1])


def flag(node: yaml.Node | None) -> bool | None:
    """Return a YAML 1.1 boolean, or the value of a quoted `true` or `false`, which templates treat alike."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    word = node.value.lower()
    if node.tag == _BOOL:
        return word in {"true", "yes", "on"}
    return {"true": True, "false": False}.get(word) if node.tag == STR else None


def pixels(node: yaml.Node | None) -> int | None:
    """Return a positive decimal number, quoted or not; None for any other value."""
    if isinstance(node, yaml.ScalarNode) and _PIXELS.fullmatch(node.value):
        return int(node.value)
    return None


def focus(node: yaml.Node, places: Places) -> Focus | None:
    """Return a list of two numbers from 0 to 1, quoted or not; None without a value."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        return None
    given = node.value if isinstance(node, yaml.SequenceNode) else []
    numbers = [float(one.value) for one in given if isinstance(one, yaml.ScalarNode) and _FRACTION.fullmatch(one.value)]
    fits = len(numbers) == len(given) == 2 and max(numbers) <= 1
    return Focus((numbers[0], numbers[1]) if fits else None, *places.of_mark(node.start_mark))
