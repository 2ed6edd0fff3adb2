"""Edits front matter other than YAML by splices of its text. Each edit is verified by reading the result again."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from imgcache.core import ArticleUnreadable, Edit, Size
from imgcache.scanner.frontmatter.checking import unsafe_edit
from imgcache.scanner.frontmatter.documents.entries import Entry, entries
from imgcache.scanner.frontmatter.documents.nodes import Member, Scalar, Table
from imgcache.scanner.frontmatter.documents.reading import Document
from imgcache.scanner.frontmatter.documents.reading import read as read_front_matter
from imgcache.scanner.frontmatter.fields import DEFAULT, Fields, Keys
from imgcache.scanner.frontmatter.splicing import Splice, by_entry, spliced
from imgcache.scanner.frontmatter.yaml_marks import BOM

FLAG = "isCached"
_TO_LINE_END = re.compile(r"[^\n]*\n")
_BLANK_BEFORE = re.compile(r"[ \t\r\n]*\Z")


def apply(
    data: bytes,
    edits: Sequence[Edit],
    fields: Fields = DEFAULT,
    read: Callable[[bytes], Document] = read_front_matter,
) -> bytes:
    """Set or clear flags, write true sizes and other URLs; every other byte stays.

    Args:
        data: the whole file, for which `may_be_document` is true.
        edits: each names its entry by the line and column of the URL.
        fields: what names an image.
        read: finds and parses the document in the file.

    Raises:
        ArticleChanged: the entry of an edit is not at its place.
        ArticleUnreadable: the file cannot be read, or the edit would change something else.
    """
    before = read(data)
    found = entries(before, fields)
    by_number = by_entry(found, edits)
    splices = [splice for number, edit in by_number.items() for splice in _splices(before, found[number], edit)]
    if not splices:
        return data
    bom = BOM if data.startswith(BOM) else b""
    edited = bom + spliced(before.text, splices).encode() + data[before.body_offset :]
    first = found[min(by_number)]
    try:
        after = read(edited)
    except ArticleUnreadable as error:
        raise unsafe_edit(first.line, first.column) from error
    expected = _changed(before, [(found[number], edit) for number, edit in by_number.items()])
    same_body = edited[after.body_offset :] == data[before.body_offset :]
    if not same_body or after.form != before.form or _canonical(after.values) != _canonical(expected):
        raise unsafe_edit(first.line, first.column)
    return edited


def _splices(document: Document, entry: Entry, edit: Edit) -> Iterator[Splice]:
    if edit.url is not None:
        yield Splice(entry.scalar.start, entry.scalar.end, _string(document, entry, edit.url))
    if edit.size:
        yield from _sizes(document.text, entry, edit.size)
    if edit.flag is None:
        return
    if not entry.flaggable or entry.table is None:
        raise unsafe_edit(entry.line, entry.column)
    flag = entry.table.members.get(FLAG)
    if edit.flag and flag and isinstance(flag.value, Scalar) and not entry.is_cached:
        yield Splice(flag.value.start, flag.value.end, "true")
    elif edit.flag and not flag:
        yield _new_flag(document, entry.table, entry.keys)
    elif not edit.flag and flag and entry.is_cached:
        yield _without(document.text, entry.table, flag)


def _string(document: Document, entry: Entry, url: str) -> str:
    """Return a URL as a string of the document, in 'single' quotes if it had them and may have them."""
    if not url.isprintable() or "\n" in document.text[entry.scalar.start : entry.scalar.end]:
        raise unsafe_edit(entry.line, entry.column)
    if document.form == "lines":
        return url
    if document.text[entry.scalar.start] == "'" and "'" not in url:
        return f"'{url}'"
    return json.dumps(url, ensure_ascii=False)  # a basic string of TOML has the same escapes


def _sizes(text: str, entry: Entry, size: Size) -> Iterator[Splice]:
    members = entry.table.members if entry.table else {}
    for name, number in ((entry.keys.width, size.width), (entry.keys.height, size.height)):
        if name not in members:
            continue
        value = members[name].value
        if not isinstance(value, Scalar) or "\n" in text[value.start : value.end]:
            raise unsafe_edit(entry.line, entry.column)
        quote = text[value.start] if isinstance(value.value, str) else ""
        yield Splice(value.start, value.end, f"{quote}{number}{quote}")


def _new_flag(document: Document, table: Table, keys: Keys) -> Splice:
    """Add a line after url, width and height or an item of an inline table (TOML), or the next member (JSON)."""
    text = document.text
    named = [member for key, member in table.members.items() if key in keys]
    last = max((member for member in named if isinstance(member.value, Scalar)), key=_end)
    if document.form == "json":
        gap, separator = _gap(text, last.start), text[last.end : _start(last)]
        if text[last.start - len(gap) - 1] == "{" and not gap and separator.endswith(" "):
            gap = " "
        return Splice(_end(last), _end(last), f',{gap}"{FLAG}"{separator}true')
    if table.in_braces:
        last = max(table.members.values(), key=_end)
        return Splice(_end(last), _end(last), f", {last.prefix}{FLAG} = true")
    line_end = _TO_LINE_END.match(text, _end(last))
    at = line_end.end() if line_end else len(text)
    newline = "\r\n" if text.endswith("\r\n", 0, at) else "\n"
    indent = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    return Splice(at, at, f"{indent}{last.prefix}{FLAG} = true{newline}")


def _without(text: str, table: Table, flag: Member) -> Splice:
    """Remove the line of the flag, or the flag and one comma."""
    if not table.in_braces:
        line_end = _TO_LINE_END.match(text, _end(flag))
        return Splice(text.rfind("\n", 0, flag.start) + 1, line_end.end() if line_end else len(text), "")
    others = [member for member in table.members.values() if member.start != flag.start]
    earlier = [member for member in others if member.start < flag.start]
    if earlier:
        return Splice(max(map(_end, earlier)), _end(flag), "")
    following = min((member.start for member in others), default=_end(flag))
    return Splice(flag.start, following, "")


def _gap(text: str, at: int) -> str:
    """Return the white space before a place."""
    found = _BLANK_BEFORE.search(text[max(0, at - 1000) : at])
    return found[0] if found else ""


def _start(member: Member) -> int:
    return member.value.start if isinstance(member.value, Scalar) else member.end


def _end(member: Member) -> int:
    return member.value.end


# -- verification ------------------------------------------------------------------------------------------------------


def _changed(before: Document, edits: list[tuple[Entry, Edit]]) -> Any:
    """Return the values of a document after edits."""
    values: Any = copy.deepcopy(before.values)
    for entry, edit in edits:
        _change(values, entry, edit)
    return values


def _change(values: Any, entry: Entry, edit: Edit) -> None:
    """Apply an edit to the parsed values."""
    above, last = (entry.path[:-1], entry.path[-1]) if entry.table is None else (entry.path, entry.keys.url)
    for step in above:
        values = values[step]
    if entry.table is None:
        if edit.url is not None:
            values[last] = edit.url
        return
    own = values
    if edit.url is not None:
        own[last] = edit.url
    if edit.size:
        for name, number in ((entry.keys.width, edit.size.width), (entry.keys.height, edit.size.height)):
            if name in own:
                own[name] = str(number) if isinstance(own[name], str) else number
    if edit.flag:
        own[FLAG] = True
    elif edit.flag is False and entry.is_cached:
        del own[FLAG]


def _canonical(values: Any) -> str:
    """Return equal text for equal values: it distinguishes types, dates and NaN, but not the order of keys."""
    return json.dumps(values, sort_keys=True, default=repr)
