"""The `images` lists of one front matter: which image each entry names, and where its parts stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from imgcache.core import ArticleUnreadable, Declared, Focus
from imgcache.scanner.frontmatter.places import Places
from imgcache.scanner.frontmatter.yaml_marks import clean

MAX_MERGES = 100  # mappings that one entry may draw from by `<<`
MAX_NAME = 100  # characters of one key in a field's path, which every list below repeats
PARTS = frozenset({"url", "width", "height", "isCached"})
READ = PARTS | {"focus"}  # what an entry may say; focus is never written

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
    """One key of an entry with its value; `start` and `end` are the value's characters (an alias: those of `*name`)."""

    key: yaml.ScalarNode
    value: yaml.ScalarNode
    start: int
    end: int
    bound: bool  # by an anchor, an alias or a tag: not to be replaced


class Entry(NamedTuple):
    """One image of a front matter list. `mapping` is None for a bare URL, `scalar` where the URL comes by a merge."""

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


class _Drawn(NamedTuple):
    values: dict[str, yaml.Node]
    merged: list[yaml.Node]


class Standing(NamedTuple):
    """The nodes, by their id, that more than one place shows, and those that stand in brackets or braces."""

    shared: frozenset[int]
    in_flow: frozenset[int]


def entries(root: yaml.MappingNode, text: str) -> list[Entry]:
    """Every image under `root`, in the order of the file. Linear in the size of the file, whatever its aliases.

    A node that is reached twice gives one entry, under the first path. An entry that another path or a merge (`<<`)
    also shows is not flaggable, since an edit would show there too; nor is one that draws on a merge itself.

    Args:
        root: as composed.
        text: what the marks of `root` count in.

    Raises:
        ArticleUnreadable: a key comes twice in an entry or in a mapping that leads to one.
    """
    places, drawn = Places(text), dict[int, _Drawn]()
    found: list[tuple[yaml.Node, Entry]] = []
    first_path: dict[int, str] = {}
    shared: list[yaml.Node] = []
    doubled: list[tuple[yaml.MappingNode, yaml.Node]] = []
    stack: list[_Found] = [(root, "", False, False)]
    while stack:
        item = stack.pop()
        node, field, in_images, merged = item
        if id(node) in first_path:
            if merged or field != first_path[id(node)]:
                shared.append(node)
            continue
        first_path[id(node)] = field
        if isinstance(node, yaml.MappingNode) and (second := _doubled_key(node)):
            doubled.append((node, second))
        if in_images and (entry := _entry(node, field, places, drawn)):
            found.append((node, entry))
        if not isinstance(node, yaml.ScalarNode):
            stack.extend(_children(item)[::-1])
    if doubled:
        _refuse_doubled(doubled, {id(node) for node, _ in found}, places)
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


def _entry(node: yaml.Node, field: str, places: Places, drawn: dict[int, _Drawn]) -> Entry | None:
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
    values = _effective(node, drawn) if merging else {name: own[name][1] for name in READ if name in own}
    url = values.get("url")
    if not isinstance(url, yaml.ScalarNode) or url.tag != _STR or not url.value:
        return None
    line, column = places.of_mark(url.start_mark)
    if "url" in own and (part := part_of(*own["url"], text)) and part.start != url.start_mark.index:
        line, column = places.of_index(part.start)
    is_cached = _flag(values.get("isCached"))
    declared = Declared(_pixels(values.get("width")), _pixels(values.get("height")))
    readable_flag = is_cached is not None or "isCached" not in values
    flaggable = not merging and readable_flag and _has_room(node, own, text)
    scalar = url if "url" in own else None
    focus = _focus(values["focus"], places) if "focus" in values else None
    return Entry(url.value, field, line, column, declared, is_cached, flaggable, node, scalar, focus)


def _effective(node: yaml.MappingNode, drawn: dict[int, _Drawn]) -> dict[str, yaml.Node]:
    """The values of `READ`, own keys before merged ones, earlier merges before later ones (YAML 1.1 merge type)."""
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
            message = f"this entry merges more than {MAX_MERGES} mappings by `<<`: write its keys out"
            raise ArticleUnreadable(message, line=mark.line + 1, column=mark.column + 1)
        if id(mapping) not in drawn:  # many entries may merge the same
            drawn[id(mapping)] = _draw(mapping)
        for name, value in drawn[id(mapping)].values.items():
            values.setdefault(name, value)
        stack.extend(drawn[id(mapping)].merged)
    return values


def _draw(node: yaml.Node) -> _Drawn:
    """What an entry gets from one node that it merges: values by their names, and what that merges itself, reversed."""
    if isinstance(node, yaml.SequenceNode):
        return _Drawn({}, node.value[: MAX_MERGES + 1][::-1])
    if not isinstance(node, yaml.MappingNode):
        return _Drawn({}, [])
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in READ:
            values.setdefault(key.value, value)
    merged = [value for key, value in node.value if key.tag == _MERGE]
    return _Drawn(values, merged[: MAX_MERGES + 1][::-1])


def parts(mapping: yaml.MappingNode, text: str) -> dict[str, Part]:
    """The scalar `PARTS` that an entry itself holds, by name."""
    found = (part_of(key, value, text) for key, value in mapping.value if getattr(key, "value", None) in PARTS)
    return {part.key.value: part for part in found if part}


def part_of(key: yaml.Node, value: yaml.Node, text: str) -> Part | None:
    """A key and its scalar value; None for another value. One that stands before its key is an alias of it."""
    if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
        return None
    start, end = value.start_mark.index, value.end_mark.index
    if start < key.end_mark.index:
        alias = ALIAS.match(text, key.end_mark.index)
        start, end = alias.span(1) if alias else (key.end_mark.index, key.end_mark.index)
    return Part(key, value, start, end, bound=text[start : start + 1] in {"&", "!", "*"})


def standing(root: yaml.Node) -> Standing:
    """How every node under `root` is reached."""
    reached, again, in_flow = {id(root)}, list[yaml.Node](), set[int]()
    for node in _below([root]):
        for child in _within(node):
            if id(child) in reached:
                again.append(child)
            reached.add(id(child))
            if isinstance(node, yaml.CollectionNode) and node.flow_style:
                in_flow.add(id(child))
    return Standing(frozenset(id(node) for node in _below(again)), frozenset(in_flow))


def _has_room(node: yaml.MappingNode, own: dict[str, Pair], text: str) -> bool:
    """Whether a flag can be added to this entry, or taken from it, by a splice of its own."""
    if "isCached" in own:
        flag = part_of(*own["isCached"], text)
        if not flag or flag.bound or flag.value.style in {"|", ">"}:
            return False
    if node.flow_style:
        return text[node.end_mark.index - 1] == "}"  # `[url: x]` is a mapping without braces
    return not any(text.endswith(("? ", "?\t"), 0, key.start_mark.index) for key, _ in own.values())


def _flag(node: yaml.Node | None) -> bool | None:
    """A YAML 1.1 boolean, or `true` and `false` in quotes, which a template takes for the same."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    word = node.value.lower()
    if node.tag == _BOOL:
        return word in {"true", "yes", "on"}
    return {"true": True, "false": False}.get(word) if node.tag == _STR else None


def _pixels(node: yaml.Node | None) -> int | None:
    """A positive decimal number, quoted or not; everything else declares nothing."""
    if isinstance(node, yaml.ScalarNode) and _PIXELS.fullmatch(node.value):
        return int(node.value)
    return None


def _focus(node: yaml.Node, places: Places) -> Focus | None:
    """A list of two numbers from 0 to 1, quoted or not; without a value, none is given."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        return None
    given = node.value if isinstance(node, yaml.SequenceNode) else []
    numbers = [float(one.value) for one in given if isinstance(one, yaml.ScalarNode) and _FRACTION.fullmatch(one.value)]
    fits = len(numbers) == len(given) == 2 and max(numbers) <= 1
    return Focus((numbers[0], numbers[1]) if fits else None, *places.of_mark(node.start_mark))


def _doubled_key(node: yaml.MappingNode) -> yaml.Node | None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen and key.tag != _MERGE:
            return key
        seen.add(key.value)
    return None


def _refuse_doubled(doubled: list[tuple[yaml.MappingNode, yaml.Node]], wanted: set[int], places: Places) -> None:
    for mapping, key in doubled:
        if any(id(node) in wanted for node in _below([mapping])):
            line, column = places.of_mark(key.start_mark)
            message = f"the key `{clean(str(key.value))}` comes twice in one mapping: take one of the two away"
            raise ArticleUnreadable(message, line=line, column=column)


def _below(roots: list[yaml.Node]) -> Iterator[yaml.Node]:
    """Each node at or under `roots`, once."""
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
