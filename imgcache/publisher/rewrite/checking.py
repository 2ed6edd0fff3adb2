"""Checks that a rewrite changed nothing but references to images. Pure."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from turbohtml import Document, Element

from imgcache.publisher.rewrite import json_text, layout, xml_text
from imgcache.publisher.rewrite.find_in_html import LAZY, Page, parsed
from imgcache.publisher.rewrite.json_text import Items, Members, Value
from imgcache.publisher.rewrite.splices import Splice, shifts
from imgcache.publisher.rewrite.tags import Tag
from imgcache.scanner.markup import css
from imgcache.scanner.markup.names import BACKGROUNDS

_Position = tuple[int, int]
_END = (1 << 62, 0)
_CHANGED = frozenset(
    {
        *("src", "srcset", "sizes", "width", "height", "style", "type", "decoding", "loading", "fetchpriority"),
        *("href", "xlink:href", "imagesrcset", "imagesizes", "content", "data", "poster", "data-poster", "background"),
        "srcdoc",
        *(layout.MARK, *LAZY, *BACKGROUNDS),
    }
)
_OURS = ("picture", "source", "style")


def same_tree(page: Page, text: str, splices: Sequence[Splice], touched: Mapping[int, Tag]) -> bool:
    """Returns whether a rewritten page has the same tree, except for what names images in the tags that were changed.

    `page` cannot be used afterwards: its tree loses those attributes.

    Args:
        page: the page as it was.
        text: the page as it is to be.
        splices: the changes.
        touched: the tags that were changed, by their start.
    """
    new = parsed(text, attributes=False)
    moved = shifts(splices)
    changed, added = [moved(start) for start in sorted(touched)], _inserted(splices)
    places = _places(text, [*changed, *itertools.chain.from_iterable(added)])
    starts = {places[start] for start in changed}
    inserted = [(places[start], places[end]) for start, end in added]
    names = {tag.element.tag for tag in touched.values()} | (set(_OURS) if inserted else set())
    _remove_added(new, ",".join(sorted(names)), starts, inserted)
    for tag in touched.values():
        _remove_changed(tag.element)
    _merge_text(page.tree)
    return page.tree.equals(new)


def same_sheet(before: str, after: str) -> bool:
    """Returns whether a style sheet names as many images as before."""
    return len(list(css.addresses(before))) == len(list(css.addresses(after)))


def same_json(before: str, after: str) -> bool:
    """Returns whether two JSON texts have the same members and items, whatever their strings and numbers."""
    return _shape(json_text.parse(before)) == _shape(json_text.parse(after))


def same_xml(before: str, after: str) -> bool:
    """Returns whether two XML texts have the same elements with the same attributes, whatever text these hold."""
    return _outline(before) == _outline(after)


def _places(text: str, positions: Iterable[int]) -> dict[int, _Position]:
    """Returns line and column of positions in a text, as the parser counts them."""
    places: dict[int, _Position] = {}
    at, line = 0, 1
    for position in sorted(positions):
        line += text.count("\n", at, position)
        at = position
        places[position] = line, position - text.rfind("\n", 0, position) - 1
    return places


def _remove_added(
    new: Document, selector: str, starts: set[_Position], inserted: list[tuple[_Position, _Position]]
) -> None:
    """Removes what a rewrite adds from the tree of the new page."""
    added = False
    for element in new.select(selector):
        position = element.position
        if position in starts:
            _remove_changed(element)
        elif inserted and position is not None and element.tag in _OURS and _within(position, inserted):
            added = True
            if element.tag == "picture":
                element.unwrap()
            else:
                element.decompose()
    if added:
        _merge_text(new)


def _remove_changed(element: Element) -> None:
    """Removes the attributes that a rewrite may change. One by one: clearing all takes the parser quadratic time."""
    attributes = element.attrs
    for name in _CHANGED.intersection(attributes):
        del attributes[name]
    if element.tag in ("style", "script"):
        element.set_text("")


def _merge_text(tree: Document) -> None:
    for child in tree.children:
        if isinstance(child, Element):
            child.normalize()


def _inserted(splices: Iterable[Splice]) -> list[tuple[int, int]]:
    """Returns the ranges of new markup in the result."""
    moved = 0
    found = []
    for splice in sorted(splices, key=lambda one: (one.start, one.end)):
        if splice.new.startswith("<"):
            found.append((splice.start + moved, splice.start + moved + len(splice.new)))
        moved += len(splice.new) - (splice.end - splice.start)
    return found


def _within(position: _Position, ranges: list[tuple[_Position, _Position]]) -> bool:
    at = bisect_right(ranges, (position, _END)) - 1
    return at >= 0 and ranges[at][0] <= position < ranges[at][1]


def _shape(value: Value) -> object:
    if isinstance(value, Members):
        return {name: _shape(member) for name, member in value.values.items()}
    if isinstance(value, Items):
        return [_shape(one) for one in value.values]
    return None


def _outline(text: str) -> list[object]:
    return [
        (event.name, sorted(event.attributes)) if isinstance(event, xml_text.Started) else type(event).__name__
        for event in xml_text.events(text)
    ]
