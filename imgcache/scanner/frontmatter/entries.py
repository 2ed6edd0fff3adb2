"""Finds the entries of the `images` lists in parsed YAML, with the place of each part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from imgcache.core import ArticleUnreadable, Declared, Focus, Reference
from imgcache.scanner.frontmatter.places import Places
from imgcache.scanner.frontmatter.yaml_marks import clean

MAX_MERGES = 100  # mappings that one entry may merge by `<<`
MAX_NAME = 100  # characters of one key in the path of a field, which every nested list repeats
PARTS = frozenset({"url", "width", "height", "isCached"})
READ = PARTS | {"focus"}  # the keys that are read; focus is never written

_STR = "tag:yaml.org,2002:str"
_BOOL = "tag:yaml.org,2002:bool"
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_PIXELS = re.compile(r"[1-9][0-9]{0,8}")
_FRACTION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}")
ALIAS = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")


Pair = tuple[yaml.Node, yaml.Node]
_Found = tuple[yaml.Node, str, bool, bool]  # node, field, directly under `images`, reached by a merge


class Part(NamedTuple):
    """One key of an entry with its value. `start` and `end` delimit the value, or the `*name` of an alias."""

    key: yaml.ScalarNode
    value: yaml.ScalarNode
    start: int
    end: int
    bound: bool  # has an anchor, an alias or a tag, so it must not be replaced


class Entry(NamedTuple):
    """One image of a front matter list. `mapping` is None for a bare URL, `scalar` if the URL comes from a merge."""

    url: str
    field: str
    line: int
    column: int
    declared: Declared = Declared()
    is_cached: bool | None = None
    flaggable: bool = False
    mapping: yaml.MappingNode | None = None
    scalar: yaml.ScalarNode | None = None
    focus: Focus | None = None

    def reference(self, article: str) -> Reference:
        """Return the entry as a reference of an article."""
        return Reference(
            url=self.url,
            article=article,
            line=self.line,
            column=self.column,
            field=self.field,
            declared=self.declared,
            is_cached=self.is_cached,
            flaggable=self.flaggable,
            focus=self.focus,
        )


class _MergeSource(NamedTuple):
    """What one node contributes to the entries that merge it."""

    values: dict[str, yaml.Node]
    merged: list[yaml.Node]


class NodeUsage(NamedTuple):
    """The nodes, by their id, that are used in more than one place, and those inside brackets or braces."""

    shared: frozenset[int]
    in_flow: frozenset[int]


def entries(root: yaml.MappingNode, text: str) -> list[Entry]:
    """Return every image under `root`, in the order of the file. Takes linear time, whatever the aliases.

    A node that is reached twice gives one entry, under the first path. An entry that is also reached by another path
    or a merge (`<<`) is not flaggable, since an edit would change that place too. An entry with a merge is not either.

    Args:
        root: the composed mapping.
        text: the text to which the marks of `root` refer.

    Raises:
        ArticleUnreadable: a key is repeated in an entry or in a mapping above one.
    """
    places, sources = Places(text), dict[int, _MergeSource]()
    found: list[tuple[yaml.Node, Entry]] = []
    first_path: dict[int, str] = {}
    shared: list[yaml.Node] = []
    repeated: list[tuple[yaml.MappingNode, yaml.Node]] = []
    stack: list[_Found] = [(root, "", False, False)]
    while stack:
        item = stack.pop()
        node, field, in_images, merged = item
        if id(node) in first_path:
            if merged or field != first_path[id(node)]:
                shared.append(node)
            continue
        first_path[id(node)] = field
        if isinstance(node, yaml.MappingNode) and (second := _repeated_key(node)):
            repeated.append((node, second))
        if in_images and (entry := _entry(node, field, places, sources)):
            found.append((node, entry))
        if not isinstance(node, yaml.ScalarNode):
            stack.extend(_children(item)[::-1])
    if repeated:
        _refuse_repeated(repeated, {id(node) for node, _ in found}, places)
    exposed = {id(node) for node in _below(shared)} if shared else set[int]()
    unique: dict[tuple[int, int], Entry] = {}
    for node, entry in found:
        kept = entry._replace(flaggable=False) if id(node) in exposed else entry
        unique.setdefault((entry.line, entry.column), kept)
    return list(unique.values())


def _children(item: _Found) -> list[_Found]:
    node, field, in_images, merged = item
    if isinstance(node, yaml.SequenceNode):
        return [(child, field, in_images, merged) for child in node.value]
    children: list[_Found] = []
    for key, value in node.value:
        if key.tag == _MERGE:
            children.append((value, field, False, True))
            continue
        name = key.value[:MAX_NAME] if isinstance(key, yaml.ScalarNode) else "?"
        if name == "images" or not isinstance(value, yaml.ScalarNode):
            children.append((value, f"{field}.{name}" if field else name, name == "images", False))
    return children


def _entry(node: yaml.Node, field: str, places: Places, sources: dict[int, _MergeSource]) -> Entry | None:
    text = places.text
    if isinstance(node, yaml.ScalarNode):
        if node.tag != _STR or not node.value:
            return None
        line, column = places.of_mark(node.start_mark)
        return Entry(node.value, field, line, column, scalar=node)
    if not isinstance(node, yaml.MappingNode):
        return None
    own: dict[str, Pair] = {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    merging = any(key.tag == _MERGE for key, _ in node.value)
    values = _effective(node, sources) if merging else {name: own[name][1] for name in READ if name in own}
    url = values.get("url")
    if not isinstance(url, yaml.ScalarNode) or url.tag != _STR or not url.value:
        return None
    line, column = places.of_mark(url.start_mark)
    if "url" in own and (part := part_of(*own["url"], text)) and part.start != url.start_mark.index:
        line, column = places.of_index(part.start)
    is_cached = _flag(values.get("isCached"))
    declared = Declared(_pixels(values.get("width")), _pixels(values.get("height")))
    readable_flag = is_cached is not None or "isCached" not in values
    flaggable = not merging and readable_flag and _can_be_flagged(node, own, text)
    scalar = url if "url" in own else None
    focus = _focus(values["focus"], places) if "focus" in values else None
    return Entry(url.value, field, line, column, declared, is_cached, flaggable, node, scalar, focus)


def _effective(node: yaml.MappingNode, sources: dict[int, _MergeSource]) -> dict[str, yaml.Node]:
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


def _merge_source(node: yaml.Node) -> _MergeSource:
    """Return the values that a merged node has itself, by name, and the nodes that it merges, in reverse order."""
    if isinstance(node, yaml.SequenceNode):
        return _MergeSource({}, node.value[: MAX_MERGES + 1][::-1])
    if not isinstance(node, yaml.MappingNode):
        return _MergeSource({}, [])
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in READ:
            values.setdefault(key.value, value)
    merged = [value for key, value in node.value if key.tag == _MERGE]
    return _MergeSource(values, merged[: MAX_MERGES + 1][::-1])


def parts(mapping: yaml.MappingNode, text: str) -> dict[str, Part]:
    """Return the scalar `PARTS` of an entry, without merged ones, by name."""
    found = (part_of(key, value, text) for key, value in mapping.value if getattr(key, "value", None) in PARTS)
    return {part.key.value: part for part in found if part}


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
    for node in _below([root]):
        for child in _within(node):
            if id(child) in reached:
                again.append(child)
            reached.add(id(child))
            if isinstance(node, yaml.CollectionNode) and node.flow_style:
                in_flow.add(id(child))
    return NodeUsage(frozenset(id(node) for node in _below(again)), frozenset(in_flow))


def _can_be_flagged(node: yaml.MappingNode, own: dict[str, Pair], text: str) -> bool:
    """Return whether a splice can add a flag to this entry or remove it."""
    if "isCached" in own:
        flag = part_of(*own["isCached"], text)
        if not flag or flag.bound or flag.value.style in {"|", ">"}:
            return False
    if node.flow_style:
        return text[node.end_mark.index - 1] == "}"  # `[url: x]` is a mapping without braces
    return not any(text.endswith(("? ", "?\t"), 0, key.start_mark.index) for key, _ in own.values())


def _flag(node: yaml.Node | None) -> bool | None:
    """Return a YAML 1.1 boolean, or the value of a quoted `true` or `false`, which templates treat alike."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    word = node.value.lower()
    if node.tag == _BOOL:
        return word in {"true", "yes", "on"}
    return {"true": True, "false": False}.get(word) if node.tag == _STR else None


def _pixels(node: yaml.Node | None) -> int | None:
    """Return a positive decimal number, quoted or not; None for any other value."""
    if isinstance(node, yaml.ScalarNode) and _PIXELS.fullmatch(node.value):
        return int(node.value)
    return None


def _focus(node: yaml.Node, places: Places) -> Focus | None:
    """Return a list of two numbers from 0 to 1, quoted or not; None without a value."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        return None
    given = node.value if isinstance(node, yaml.SequenceNode) else []
    numbers = [float(one.value) for one in given if isinstance(one, yaml.ScalarNode) and _FRACTION.fullmatch(one.value)]
    fits = len(numbers) == len(given) == 2 and max(numbers) <= 1
    return Focus((numbers[0], numbers[1]) if fits else None, *places.of_mark(node.start_mark))


def _repeated_key(node: yaml.MappingNode) -> yaml.Node | None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen and key.tag != _MERGE:
            return key
        seen.add(key.value)
    return None


def _refuse_repeated(repeated: list[tuple[yaml.MappingNode, yaml.Node]], wanted: set[int], places: Places) -> None:
    for mapping, key in repeated:
        if any(id(node) in wanted for node in _below([mapping])):
            line, column = places.of_mark(key.start_mark)
            message = f"the key `{clean(str(key.value))}` comes twice in one mapping: remove one of the two"
            raise ArticleUnreadable(message, line=line, column=column)


def _below(roots: list[yaml.Node]) -> Iterator[yaml.Node]:
    """Yield each node at or below `roots` once."""
    stack, seen = list(roots), set[int]()
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        stack.extend(_within(node))


def _within(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return [child for pair in node.value for child in pair] if isinstance(node, yaml.MappingNode) else []
