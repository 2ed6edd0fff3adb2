"""Places and uses of the nodes of parsed YAML: where a value is in the text, and whether it may be edited. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import yaml

FLAG = "isCached"
ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")

Pair = tuple[yaml.ScalarNode, yaml.Node]


class Part(NamedTuple):
    """One key of an entry with its value. `start` and `end` delimit the value, or the `*name` of an alias."""

    key: yaml.ScalarNode
    value: yaml.ScalarNode
    start: int
    end: int
    bound: bool  # has an anchor, an alias or a tag, so it must not be replaced


class NodeUsage(NamedTuple):
    """The nodes, by their id, that are used in more than one place, and those inside brackets or braces."""

    shared: frozenset[int]
    in_flow: frozenset[int]


def part_of(key: yaml.Node, value: yaml.Node, text: str) -> Part | None:
    """Return a key with its scalar value; None for another value. A value before its key belongs to an alias."""
    if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
        return None
    start, end = value.start_mark.index, value.end_mark.index
    if start < key.end_mark.index:
        alias = ALIAS.match(text, key.end_mark.index)
        start, end = alias.span(1) if alias else (key.end_mark.index, key.end_mark.index)
    return Part(key, value, start, end, bound=text[start : start + 1] in {"&", "!", "*"})


def node_usage(root: yaml.Node) -> NodeUsage:
    """Return how the nodes under `root` are used."""
    reached, again, in_flow = {id(root)}, list[yaml.Node](), set[int]()
    for node in below([root]):
        for child in within(node):
            if id(child) in reached:
                again.append(child)
            reached.add(id(child))
            if isinstance(node, yaml.CollectionNode) and node.flow_style:
                in_flow.add(id(child))
    return NodeUsage(frozenset(id(node) for node in below(again)), frozenset(in_flow))


def can_be_flagged(node: yaml.MappingNode, own: Mapping[str, Pair], text: str) -> bool:
    """Return whether a splice can add a flag to this entry or remove it."""
    if FLAG in own:
        flag = part_of(*own[FLAG], text)
        if not flag or flag.bound or flag.value.style in {"|", ">"}:
            return False
    if node.flow_style:
        return text[node.end_mark.index - 1] == "}"  # `[url: x]` is a mapping without braces
    return not any(text.endswith(("? ", "?\t"), 0, key.start_mark.index) for key, _ in own.values())


def below(roots: list[yaml.Node]) -> Iterator[yaml.Node]:
    """Yield each node at or below `roots` once."""
    stack, seen = list(roots), set[int]()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        stack.extend(within(node))


def within(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes directly in a node."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return [child for pair in node.value for child in pair] if isinstance(node, yaml.MappingNode) else []
