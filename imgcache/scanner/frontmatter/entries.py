"""Finds the images of parsed YAML, in lists named `images` and in other fields, with the place of each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import yaml

from imgcache.core import ArticleUnreadable, Declared, Focus, Reference
from imgcache.scanner.frontmatter import yaml_values
from imgcache.scanner.frontmatter.fields import DEFAULT, MAX_NAME, Fields, Keys, Verdict, first_of, size_keys
from imgcache.scanner.frontmatter.nodes import FLAG, Pair, Part, below, can_be_flagged, part_of
from imgcache.scanner.frontmatter.places import Places
from imgcache.scanner.frontmatter.yaml_marks import clean
from imgcache.scanner.frontmatter.yaml_values import MERGE, READ, STR, MergeSource


class Entry(NamedTuple):
    """One image of a front matter.

    `field` is the path of its keys; `list_field` that of the list or the mapping whose entry it is, as `flag` names it.
    `mapping` is None for a bare URL, `scalar` if the URL comes from a merge.
    """

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
    list_field: str = ""
    guessed: bool = False
    keys: Keys = Keys()

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
            list_field=self.list_field,
            guessed=self.guessed,
        )


class _Reached(NamedTuple):
    """A node on the way through a document. `merged`: by `<<`."""

    node: yaml.Node
    field: str
    in_images: bool  # directly under `images`
    merged: bool


class _Document(NamedTuple):
    """What finding the entries of one document needs."""

    places: Places
    sources: dict[int, MergeSource]
    fields: Fields


def entries(root: yaml.Node, text: str, fields: Fields = DEFAULT) -> list[Entry]:
    """Return every image under `root`, in the order of the file. Takes linear time, whatever the aliases.

    A node that is reached twice gives one entry, under the first path. An entry that is also reached by another path
    or a merge (`<<`) is not flaggable, since an edit would change that place too. An entry with a merge is not either.

    Args:
        root: the composed document.
        text: the text to which the marks of `root` refer.
        fields: what names an image beside the lists named `images`.

    Raises:
        ArticleUnreadable: a key is repeated in an entry of a list named `images`, or in a mapping above one.
    """
    document = _Document(Places(text), {}, fields)
    found: list[tuple[yaml.Node, Entry]] = []
    first_path: dict[int, str] = {}
    shared: list[yaml.Node] = []
    repeated: list[tuple[yaml.MappingNode, yaml.Node]] = []
    stack = [_Reached(root, "", in_images=False, merged=False)]
    while stack:
        reached = stack.pop()
        node, field = reached.node, reached.field
        if id(node) in first_path:
            if reached.merged or field != first_path[id(node)]:
                shared.append(node)
            continue
        first_path[id(node)] = field
        if isinstance(node, yaml.MappingNode) and (second := _repeated_key(node)):
            repeated.append((node, second))
        found += [(node, entry) for entry in _entries_at(reached, document)]
        if not isinstance(node, yaml.ScalarNode):
            stack.extend(_children(reached)[::-1])
    if repeated:
        _refuse_repeated(repeated, {id(node) for node, entry in found if not entry.guessed}, document.places)
    exposed = {id(node) for node in below(shared)} if shared else set[int]()
    exposed |= {id(node) for node, _ in repeated}
    unique: dict[tuple[int, int], Entry] = {}
    for node, entry in sorted(found, key=lambda one: one[1].guessed):  # a certain one wins at the same place
        kept = entry._replace(flaggable=False) if id(node) in exposed else entry
        unique.setdefault((entry.line, entry.column), kept)
    return sorted(unique.values(), key=lambda entry: (entry.line, entry.column))


def _children(reached: _Reached) -> list[_Reached]:
    node, field, in_images, merged = reached
    if isinstance(node, yaml.SequenceNode):
        return [_Reached(child, field, in_images, merged) for child in node.value]
    children: list[_Reached] = []
    for key, value in node.value:
        if key.tag == MERGE:
            children.append(_Reached(value, field, in_images=False, merged=True))
            continue
        name = name_of(key)
        if name == "images" or not isinstance(value, yaml.ScalarNode):
            children.append(_Reached(value, path(field, name), in_images=name == "images", merged=False))
    return children


def name_of(key: yaml.Node) -> str:
    """Return a key as it stands in the path of a field."""
    return key.value[:MAX_NAME] if isinstance(key, yaml.ScalarNode) else "?"


def path(field: str, name: str) -> str:
    """Return the path of a key in the mapping at `field`."""
    return f"{field}.{name}" if field else name


def _entries_at(reached: _Reached, document: _Document) -> Iterable[Entry]:
    node = reached.node
    if isinstance(node, yaml.ScalarNode):
        return _bare(node, reached, document)
    if isinstance(node, yaml.MappingNode) and (reached.in_images or not document.fields.reads_nothing):
        return _in_mapping(node, reached, document)
    return ()


def _bare(node: yaml.ScalarNode, reached: _Reached, document: _Document) -> Iterator[Entry]:
    if node.tag != STR or not node.value:
        return
    verdict = Verdict.CERTAIN if reached.in_images else document.fields.judge(reached.field, node.value)
    if verdict in {Verdict.CERTAIN, Verdict.GUESSED}:
        line, column = document.places.of_mark(node.start_mark)
        yield Entry(
            url=node.value,
            field=reached.field,
            line=line,
            column=column,
            scalar=node,
            list_field=reached.field,
            guessed=verdict is Verdict.GUESSED,
        )


def _in_mapping(node: yaml.MappingNode, reached: _Reached, document: _Document) -> Iterator[Entry]:
    own: dict[str, Pair] = {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    merging = any(key.tag == MERGE for key, _ in node.value)
    listed = _listed(node, own, reached.field, document, merging=merging) if reached.in_images else None
    if listed:
        yield listed
    skipped = {"images", "url"} if listed else {"images"}
    strings = {
        name: value.value
        for name, (_, value) in own.items()
        if isinstance(value, yaml.ScalarNode) and value.tag == STR and name not in skipped
    }
    named = document.fields.images_in(reached.field, strings)
    first = "" if listed else first_of([*named])
    for name, verdict in named.items():
        keys = size_keys(name, own.keys(), is_first=name == first)
        values = {part: own[part][1] for part in (*keys, FLAG) if part in own}
        entry = _entry(node, own, values, keys, document.places, merging=merging)
        is_flag_here = name == first and bool(reached.field)
        yield entry._replace(
            field=path(reached.field, name[:MAX_NAME]),
            list_field=reached.field,
            is_cached=entry.is_cached if is_flag_here else None,
            flaggable=entry.flaggable and is_flag_here,
            guessed=verdict is Verdict.GUESSED,
        )


def _listed(
    node: yaml.MappingNode, own: dict[str, Pair], field: str, document: _Document, *, merging: bool
) -> Entry | None:
    """Return an entry of a list named `images`; None without a URL."""
    sources, places = document.sources, document.places
    values = yaml_values.effective(node, sources) if merging else {name: own[name][1] for name in READ if name in own}
    url = values.get("url")
    if not isinstance(url, yaml.ScalarNode) or url.tag != STR or not url.value:
        return None
    entry = _entry(node, own, values, Keys(), places, merging=merging)
    focus = yaml_values.focus(values["focus"], places) if "focus" in values else None
    return entry._replace(field=field, list_field=field, focus=focus)


def _entry(
    node: yaml.MappingNode,
    own: dict[str, Pair],
    values: dict[str, yaml.Node],
    keys: Keys,
    places: Places,
    *,
    merging: bool,
) -> Entry:
    """Return a mapping as the entry of the image at `keys.url`, without its field."""
    url = values[keys.url]
    assert isinstance(url, yaml.ScalarNode)  # noqa: S101 (the callers have looked)
    line, column = places.of_mark(url.start_mark)
    if keys.url in own and (part := part_of(*own[keys.url], places.text)) and part.start != url.start_mark.index:
        line, column = places.of_index(part.start)
    is_cached = yaml_values.flag(values.get(FLAG))
    readable_flag = is_cached is not None or FLAG not in values
    return Entry(
        url=url.value,
        field="",
        line=line,
        column=column,
        declared=Declared(yaml_values.pixels(values.get(keys.width)), yaml_values.pixels(values.get(keys.height))),
        is_cached=is_cached,
        flaggable=not merging and readable_flag and can_be_flagged(node, own, places.text),
        mapping=node,
        scalar=url if keys.url in own else None,
        keys=keys,
    )


def parts(entry: Entry, text: str) -> dict[str, Part]:
    """Return the scalar parts of an entry, without merged ones, by the names `url`, `width`, `height`, `isCached`."""
    names = {**dict(zip(entry.keys, Keys._fields, strict=True)), FLAG: FLAG}
    pairs = entry.mapping.value if entry.mapping else []
    found = (part_of(key, value, text) for key, value in pairs if getattr(key, "value", None) in names)
    return {names[part.key.value]: part for part in found if part}


def _repeated_key(node: yaml.MappingNode) -> yaml.Node | None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen and key.tag != MERGE:
            return key
        seen.add(key.value)
    return None


def _refuse_repeated(repeated: list[tuple[yaml.MappingNode, yaml.Node]], wanted: set[int], places: Places) -> None:
    for mapping, key in repeated:
        if any(id(node) in wanted for node in below([mapping])):
            line, column = places.of_mark(key.start_mark)
            message = f"the key `{clean(str(key.value))}` comes twice in one mapping: remove one of the two"
            raise ArticleUnreadable(message, line=line, column=column)
