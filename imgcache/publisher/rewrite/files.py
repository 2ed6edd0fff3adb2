"""Finds the images that one file of a built site names, and computes its bytes after the rewrite. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from imgcache.publisher.rewrite import (
    checking,
    encodings,
    feeds,
    find_in_html,
    json_ld,
    layout,
    replace_address,
    splices,
)
from imgcache.publisher.rewrite.addresses import Addresses
from imgcache.publisher.rewrite.change_html import Changes, Writer
from imgcache.publisher.rewrite.encodings import Bytes, Undecodable
from imgcache.publisher.rewrite.find_in_html import Page
from imgcache.publisher.rewrite.json_text import NotJson
from imgcache.publisher.rewrite.offers import Held
from imgcache.publisher.rewrite.references import ImageReference
from imgcache.publisher.rewrite.sources import Source, root
from imgcache.publisher.rewrite.values import BuiltReference, FileKind, Options, Rewritten, Unreadable

_SUFFIXES = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), FileKind.HTML),
    ".css": FileKind.CSS,
    **dict.fromkeys((".xml", ".rss", ".atom"), FileKind.FEED),
    **dict.fromkeys((".json", ".webmanifest"), FileKind.JSON),
}
_READERS: dict[FileKind, Callable[[bytes], Bytes]] = {
    FileKind.HTML: encodings.read_html,
    FileKind.CSS: encodings.read_css,
    FileKind.FEED: encodings.read_xml,
    FileKind.JSON: encodings.read_json,
}
_SAME: dict[FileKind, Callable[[str, str], bool]] = {
    FileKind.CSS: checking.same_sheet,
    FileKind.FEED: checking.same_xml,
    FileKind.JSON: checking.same_json,
}
_UNSAFE = "its images cannot be replaced without changing the structure of the file; it is left as it is"


def kind_of(path: str) -> FileKind | None:
    """Returns how a file is read, by its name; None if it names no images."""
    name = path.rsplit("/", 1)[-1].lower()
    return _SUFFIXES.get(name[name.rfind(".") :]) if "." in name else None


def find(data: bytes, path: str, kind: FileKind, options: Options) -> tuple[BuiltReference, ...] | Unreadable:
    """Returns the remote images that a file names, in its order, or why it cannot be read.

    Args:
        data: the bytes of the file.
        path: its path in the built folder, with `/`.
        kind: how it is read.
        options: those of the rewrite, of which only `links` matters here.
    """
    try:
        source = root(_READERS[kind](data))
        found = list(_references(source, _addresses(path, kind, options), kind))
    except (Undecodable, NotJson) as error:
        return Unreadable(str(error))
    references = []
    for reference in found:
        start, end, _ = reference.source.splice(reference.start, reference.end, "")
        first, last = source.whole.origin(start), source.whole.origin(end)
        references.append(BuiltReference(reference.url, reference.form, first, last))
    return tuple(references)


def open_page(data: bytes, path: str, options: Options) -> Page:
    """Returns an HTML file as a tree. Raises Undecodable."""
    return Page(root(encodings.read_html(data)), _addresses(path, FileKind.HTML, options))


def rewrite(data: bytes, path: str, kind: FileKind, held: Mapping[str, Held], options: Options) -> Rewritten:
    """Returns a file with local addresses in place of those of images that are held.

    Args:
        data: the bytes of the file.
        path: its path in the built folder, with `/`.
        kind: how it is read.
        held: the images that are held, by the address that `find` gives.
        options: how pages are rewritten.
    """
    try:
        whole = _READERS[kind](data)
        if kind is FileKind.HTML:
            return _page(data, whole, _addresses(path, kind, options), held)
        return _other(data, whole, _addresses(path, kind, options), kind, held)
    except (Undecodable, NotJson) as error:
        return Rewritten(data, error=Unreadable(str(error)))


def _addresses(path: str, kind: FileKind, options: Options) -> Addresses:
    return Addresses(path, options, is_syndicated=kind is FileKind.FEED)


def _references(source: Source, addresses: Addresses, kind: FileKind) -> Iterator[ImageReference]:
    if kind is FileKind.HTML:
        yield from Page(source, addresses).references()
    elif kind is FileKind.CSS:
        yield from find_in_html.sheet(source, addresses)
    elif kind is FileKind.FEED:
        yield from feeds.references(source, addresses)
    else:
        is_syndicated = Addresses(addresses.path, addresses.options, is_syndicated=True)
        yield from json_ld.file_references(source, addresses)
        for content in json_ld.feed_contents(source):
            yield from Page(content, is_syndicated).references()


def _page(data: bytes, whole: Bytes, addresses: Addresses, held: Mapping[str, Held]) -> Rewritten:
    """Rewrites a page; where attributes or elements would change its structure, only addresses are replaced."""
    left = 0
    for simple in (False, True):
        page = Page(root(whole), addresses)
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
    return Rewritten(data, left=left, error=Unreadable(_UNSAFE))


def _add_rule(page: Page, changes: Changes) -> bool:
    """Adds the rule that keeps the layout, if the changes need it; returns False if it cannot be added."""
    if not changes.needs_rule or layout.has_rule(page):
        return True
    rule = layout.rule(page)
    if rule is not None:
        changes.splices.insert(0, rule)  # before the tag of a first image that stands at the same place
    return rule is not None


def _other(data: bytes, whole: Bytes, addresses: Addresses, kind: FileKind, held: Mapping[str, Held]) -> Rewritten:
    source = root(whole)
    changes = Changes()
    for reference in _references(source, addresses, kind):
        image = held.get(reference.url)
        file = replace_address.choose_file(reference, image) if image else None
        changes.add(reference, replace_address.address_changes(reference, file) if file else [], [file] if file else [])
    if not changes.splices:
        return Rewritten(data, left=changes.left, missing=_sorted(changes.missing))
    edited = splices.apply(whole.data, changes.splices)
    if not _SAME[kind](source.text, Bytes(edited, whole.encoding).latin()):
        return Rewritten(data, left=changes.rewritten + changes.left, error=Unreadable(_UNSAFE))
    return _done(whole.back(edited), changes)


def _done(data: bytes, changes: Changes) -> Rewritten:
    return Rewritten(data, changes.rewritten, changes.left, _sorted(changes.files), _sorted(changes.missing))


def _sorted(files: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(files))
