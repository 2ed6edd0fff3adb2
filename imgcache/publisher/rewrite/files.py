"""One file of a built site, of any kind: the images that it names, and its bytes after the rewrite. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from imgcache.publisher.rewrite import checking, encodings, feeds, html, json_ld, layout, splices, swaps
from imgcache.publisher.rewrite.addresses import Place
from imgcache.publisher.rewrite.encodings import Bytes, Undecodable
from imgcache.publisher.rewrite.html import Page
from imgcache.publisher.rewrite.json_text import NotJson
from imgcache.publisher.rewrite.offers import Held
from imgcache.publisher.rewrite.pages import Changes, Writer
from imgcache.publisher.rewrite.sources import Source, root
from imgcache.publisher.rewrite.spots import Spot
from imgcache.publisher.rewrite.values import BuiltReference, Kind, Options, Rewritten, Unreadable

_SUFFIXES = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), Kind.HTML),
    ".css": Kind.CSS,
    **dict.fromkeys((".xml", ".rss", ".atom"), Kind.FEED),
    **dict.fromkeys((".json", ".webmanifest"), Kind.JSON),
}
_READERS: dict[Kind, Callable[[bytes], Bytes]] = {
    Kind.HTML: encodings.read_html,
    Kind.CSS: encodings.read_css,
    Kind.FEED: encodings.read_xml,
    Kind.JSON: encodings.read_json,
}
_SAME: dict[Kind, Callable[[str, str], bool]] = {
    Kind.CSS: checking.same_sheet,
    Kind.FEED: checking.same_xml,
    Kind.JSON: checking.same_json,
}
_UNSAFE = "its images cannot be replaced without changing the structure of the file; it is left as it is"


def kind_of(path: str) -> Kind | None:
    """How a file is read, by its name; None where it names no images."""
    name = path.rsplit("/", 1)[-1].lower()
    return _SUFFIXES.get(name[name.rfind(".") :]) if "." in name else None


def find(data: bytes, path: str, kind: Kind, options: Options) -> tuple[BuiltReference, ...] | Unreadable:
    """The remote images that a file names, in its order.

    Args:
        data: its bytes.
        path: its path in the built folder, with `/`.
        kind: how it is read.
        options: of the rewrite; `links` counts here.
    """
    try:
        source = root(_READERS[kind](data))
        spots = list(_spots(source, _place(path, kind, options), kind))
    except (Undecodable, NotJson) as error:
        return Unreadable(str(error))
    lines = splices.Lines(data)
    references = []
    for spot in spots:
        start, end, _ = spot.source.splice(spot.start, spot.end, "")
        first, last = source.whole.origin(start), source.whole.origin(end)
        line, column = lines.place(first)
        references.append(BuiltReference(spot.url, spot.form, first, last, line, column))
    return tuple(references)


def open_page(data: bytes, path: str, options: Options) -> Page:
    """Returns an HTML file as a tree. Raises Undecodable."""
    return Page(root(encodings.read_html(data)), _place(path, Kind.HTML, options))


def rewrite(data: bytes, path: str, kind: Kind, held: Mapping[str, Held], options: Options) -> Rewritten:
    """The file with its images made local.

    Args:
        data: its bytes.
        path: its path in the built folder, with `/`.
        kind: how it is read.
        held: the images that are held, by the address that `find` gives.
        options: how pages are rewritten.
    """
    try:
        whole = _READERS[kind](data)
        if kind is Kind.HTML:
            return _page(data, whole, _place(path, kind, options), held)
        return _other(data, whole, _place(path, kind, options), kind, held)
    except (Undecodable, NotJson) as error:
        return Rewritten(data, unread=Unreadable(str(error)))


def _place(path: str, kind: Kind, options: Options) -> Place:
    return Place(path, options, abroad=kind is Kind.FEED)


def _spots(source: Source, place: Place, kind: Kind) -> Iterator[Spot]:
    if kind is Kind.HTML:
        yield from Page(source, place).spots()
    elif kind is Kind.CSS:
        yield from html.sheet(source, place)
    elif kind is Kind.FEED:
        yield from feeds.spots(source, place)
    else:
        abroad = Place(place.path, place.options, abroad=True)
        yield from json_ld.file_spots(source, place)
        for content in json_ld.feed_contents(source):
            yield from Page(content, abroad).spots()


def _page(data: bytes, whole: Bytes, place: Place, held: Mapping[str, Held]) -> Rewritten:
    """Where more than addresses would change the structure of the page, addresses alone are replaced."""
    left = 0
    for simple in (False, True):
        page = Page(root(whole), place)
        changes = Writer(page, held, simple=simple).changes()
        left = changes.rewritten + changes.left
        if not changes.splices:
            return Rewritten(data, left=changes.left, missing=_sorted(changes.missing))
        if not _add_rule(page, changes):
            continue
        edited = splices.apply(whole.data, changes.splices)
        after = Bytes(edited, whole.encoding).latin()
        if checking.same_tree(page, after, changes.splices, changes.touched):
            return _done(whole.back(edited), changes)
    return Rewritten(data, left=left, unread=Unreadable(_UNSAFE))


def _add_rule(page: Page, changes: Changes) -> bool:
    """Adds the rule that keeps the layout, where the changes need it; False where there is no place for it."""
    if not changes.needs_rule or layout.has_rule(page):
        return True
    rule = layout.rule(page)
    if rule is not None:
        changes.splices.insert(0, rule)  # before the tag of a first image that stands at the same place
    return rule is not None


def _other(data: bytes, whole: Bytes, place: Place, kind: Kind, held: Mapping[str, Held]) -> Rewritten:
    source = root(whole)
    changes = Changes()
    for spot in _spots(source, place, kind):
        image = held.get(spot.url)
        file = swaps.file_for(spot, image) if image else None
        changes.add(spot, swaps.swap(spot, file) if file else [], [file] if file else [])
    if not changes.splices:
        return Rewritten(data, left=changes.left, missing=_sorted(changes.missing))
    edited = splices.apply(whole.data, changes.splices)
    if not _SAME[kind](source.text, Bytes(edited, whole.encoding).latin()):
        return Rewritten(data, left=changes.rewritten + changes.left, unread=Unreadable(_UNSAFE))
    return _done(whole.back(edited), changes)


def _done(data: bytes, changes: Changes) -> Rewritten:
    return Rewritten(data, changes.rewritten, changes.left, _sorted(changes.files), _sorted(changes.missing))


def _sorted(files: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(files))
