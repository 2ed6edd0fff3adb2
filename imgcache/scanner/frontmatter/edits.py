"""Applies edits to front matter.

An edit is a splice at the marks of the YAML nodes, so every other byte stays. Each result is parsed again and compared
with what was there. An edit that would change anything else is refused, and the article stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import yaml

from imgcache.core import ArticleUnreadable, Edit, Size
from imgcache.scanner.frontmatter import documents
from imgcache.scanner.frontmatter.checking import check_edit, read_content, unsafe_edit
from imgcache.scanner.frontmatter.entries import Entry, parts
from imgcache.scanner.frontmatter.fields import DEFAULT, Fields
from imgcache.scanner.frontmatter.flagging import flagged
from imgcache.scanner.frontmatter.nodes import ALIAS, NodeUsage, Part, node_usage
from imgcache.scanner.frontmatter.scalars import rewritten
from imgcache.scanner.frontmatter.splicing import Splice, by_entry, spliced
from imgcache.scanner.frontmatter.yaml_marks import BOM, Head, check_utf8, read_head

_TO_LINE_END = re.compile(r"[^\r\n]*(\r\n|\n|\r)")
_TO_NEXT_KEY = re.compile(r"[ \t]*(?:\r\n|\n|\r)[ \t]*")


def apply(data: bytes, edits: Sequence[Edit], fields: Fields = DEFAULT) -> bytes:
    """Set or clear flags, write true sizes and other URLs; every other byte stays.

    Args:
        data: the whole file.
        edits: each names its entry by the line and column of the URL, as `parse` gave them.
        fields: as for `parse`.

    Raises:
        ArticleChanged: the entry of an edit is not at its place.
        ArticleUnreadable: the file cannot be read, or the edit would change something else.
    """
    if not edits:
        return data
    check_utf8(data)
    if documents.may_be_document(data, metadata_lines=fields.metadata_lines):
        return documents.apply(data, edits, fields)
    if (with_flags := flagged(data, edits, fields)) is not None:
        return with_flags
    return apply_to_yaml(data, edits, fields, read_head)


def apply_to_yaml(data: bytes, edits: Sequence[Edit], fields: Fields, read: Callable[[bytes], Head]) -> bytes:
    """Apply edits at the marks of the nodes that `read` finds in the file. Arguments and errors as for `apply`."""
    before = read_content(data, read, fields)
    by_number = by_entry(before.found, edits)
    bom = BOM if data.startswith(BOM) else b""
    text = data[len(bom) :].decode()
    splices = [splice for number, edit in by_number.items() for splice in _splices(text, before.found[number], edit)]
    urls = {number: edit.url for number, edit in by_number.items() if edit.url is not None}
    if before.root and urls:
        usage = node_usage(before.root)
        splices += [_write_url(text, before.found[number], url, usage) for number, url in urls.items()]
    if not splices:
        return data
    edited = bom + spliced(text, splices).encode()
    try:
        after = read_content(edited, read, fields)
    except ArticleUnreadable as error:
        first = before.found[min(by_number)]
        raise unsafe_edit(first.line, first.column) from error
    check_edit(before, after, by_number)
    return edited


def _splices(text: str, entry: Entry, edit: Edit) -> Iterator[Splice]:
    if edit.size:
        yield from _write_size(text, entry, edit.size)
    if edit.flag is None:
        return
    if not entry.flaggable or entry.mapping is None:
        raise unsafe_edit(entry.line, entry.column)
    own = parts(entry, text)
    flag = own.get("isCached")
    if edit.flag and flag and not entry.is_cached:
        yield Splice(flag.start, flag.end, "true")
    elif edit.flag and not flag:
        yield _flag_in_braces(text, entry.mapping) if entry.mapping.flow_style else _flag_line(text, own)
    elif not edit.flag and flag and entry.is_cached:
        in_braces = bool(entry.mapping.flow_style)
        yield _without_item(text, entry.mapping, flag) if in_braces else _without_line(text, flag)


def _write_size(text: str, entry: Entry, size: Size) -> Iterator[Splice]:
    own = parts(entry, text)
    for name, number in (("width", size.width), ("height", size.height)):
        part = own.get(name)
        if not part:
            continue
        if part.bound or part.value.style in {"|", ">"}:
            raise unsafe_edit(entry.line, entry.column)
        quote = part.value.style or ""
        space = " " if part.start == part.end else ""
        yield Splice(part.start, part.end, f"{space}{quote}{number}{quote}")


def _write_url(text: str, entry: Entry, url: str, usage: NodeUsage) -> Splice:
    """Replace a URL. Refused if it comes from an alias or a merge, since another place would change too."""
    scalar = entry.scalar
    if scalar is None or id(scalar) in usage.shared:
        raise unsafe_edit(entry.line, entry.column)
    start, end = scalar.start_mark.index, scalar.end_mark.index
    written = rewritten(text[start:end], scalar.style, url, in_flow=id(scalar) in usage.in_flow)
    if written is None:
        raise unsafe_edit(entry.line, entry.column)
    return Splice(start, end, written)


def _flag_line(text: str, own: dict[str, Part]) -> Splice:
    """Add a line after the last of url, width and height, with their indent and the line end of the line before."""
    last = max((own[name] for name in ("url", "width", "height") if name in own), key=lambda part: part.end)
    at = last.end
    line_end = "\n"
    if text[at - 1] in "\r\n":  # the end of a block scalar is after its last line
        line_end = "\r\n" if text.endswith("\r\n", 0, at) else text[at - 1]
    elif rest := _TO_LINE_END.match(text, at):
        at, line_end = rest.end(), rest[1]
    return Splice(at, at, f"{' ' * last.key.start_mark.column}isCached: true{line_end}")


def _flag_in_braces(text: str, mapping: yaml.MappingNode) -> Splice:
    """Add an item after the last one."""
    at = _value_end(text, *mapping.value[-1])
    return Splice(at, at, ", isCached: true")


def _without_line(text: str, flag: Part) -> Splice:
    """Remove the line of the flag. If it is on the line of the dash, the next key moves up to the dash."""
    key_start = flag.key.start_mark.index
    line_start = max(text.rfind("\n", 0, key_start), text.rfind("\r", 0, key_start)) + 1
    if not text[line_start:key_start].strip(" \t"):
        rest = _TO_LINE_END.match(text, flag.end)
        return Splice(line_start, rest.end() if rest else len(text), "")
    gap = _TO_NEXT_KEY.match(text, flag.end)
    joined = gap and text[gap.end() : gap.end() + 1] not in {"#", "\r", "\n"}
    return Splice(key_start, gap.end() if gap and joined else flag.end, "")


def _without_item(text: str, mapping: yaml.MappingNode, flag: Part) -> Splice:
    """Remove the flag and one comma; a comment beside it stays."""
    keys = [key for key, _ in mapping.value]
    number = keys.index(flag.key)
    start, end = flag.key.start_mark.index, flag.end
    if number > 0:
        before = _value_end(text, *mapping.value[number - 1])
        return Splice(start if "#" in text[before:start] else before, end, "")
    if len(keys) == 1:
        return Splice(start, end, "")
    following = keys[1].start_mark.index
    if "#" in text[end:following]:
        following = text.index(",", end) + 1
    return Splice(start, following, "")


def _value_end(text: str, key: yaml.Node, value: yaml.Node) -> int:
    """Return the end of a pair in the text. The text of an alias has no mark: it ends at the next separator."""
    end: int = value.end_mark.index
    if value.start_mark.index >= key.end_mark.index:
        return max(end, key.end_mark.index)
    alias = ALIAS.match(text, key.end_mark.index)
    return alias.end() if alias else key.end_mark.index
