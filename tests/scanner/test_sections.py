"""Plain front matter read without the YAML parser: the parser is the judge."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imgcache.core import ArticleUnreadable
from imgcache.scanner.frontmatter.entries import Entry, entries
from imgcache.scanner.frontmatter.fields import Keys
from imgcache.scanner.frontmatter.plain_lines import plain_images
from imgcache.scanner.frontmatter.reading import outline
from imgcache.scanner.frontmatter.yaml_marks import Block, compose_head, find_block


def plain(data: bytes) -> list[Entry] | None:
    """What is found without the parser."""
    front = outline(data)
    if not isinstance(front.block, Block):
        return []
    found = None if front.sections is None else plain_images(front.sections)
    return None if found is None else [image.entry._replace(keys=Keys()) for image in found]


def composed(data: bytes) -> list[Entry] | None:
    """What the parser says; None where it says no."""
    block = find_block(data)
    try:
        head = compose_head(block) if isinstance(block, Block) else block
        found = entries(head.root, head.text) if head.root else []
    except ArticleUnreadable:
        return None
    return [entry._replace(mapping=None, scalar=None, keys=Keys()) for entry in found]


def front(lines: list[str], line_end: str = "\n") -> bytes:
    return line_end.join(["---", *lines, "---", "body", ""]).encode()


KEYS = st.sampled_from(
    ["images", "url", "width", "height", "isCached", "related", "title", "yes", "a-b", "thumb", "cover"]
)
SCALARS = st.sampled_from(
    ["", "https://h/a.png", "'https://h/b.png'", '"https://h/é.png"', "/c.png", "d.png", "true", '"false"', "yes",
     "600", "'7'", "0x1F", "2020-01-02", "null", "a sentence: no", "a sentence", "it's", '"a\\"b"', '"\\x41/"', "''",
     '""', "-x", "a:b", "a #b", "a#b", "[]", "&a b", "*a", "| ", "1e3", "12:30", "\u2028", '"\u2028/"', '"\x07/"',
     "a\tb", "x" * 1100]
)  # fmt: skip
LINES = st.builds(
    lambda indent, dash, key, scalar, end: f"{' ' * indent}{dash}{key}{scalar}{end}",
    st.integers(1, 6),
    st.sampled_from(["", "", "- ", "-   "]),
    st.one_of(KEYS.map("{}: ".format), KEYS.map("{}:".format), KEYS.map("{}:  ".format), st.just("")),
    SCALARS,
    st.sampled_from(["", "", " "]),
)


@settings(max_examples=600)
@given(
    st.sampled_from(["images:", "my-images:"]), st.lists(LINES, min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"])
)
@example("images:", ["- url: /a", "  width: 6", "", "- /b"], "\n")
@example("images:", ["  url: /a", "  images:", "  - /b"], "\r\n")
@example("images:", ["  - url: /a", "   width: 6"], "\n")
@example("images:", ["  - url: /a", "    url: /b"], "\n")
@example("my-images:", ["    title: x", "  - url: /b", "  images: /a"], "\n")
def test_plain_lines_give_the_same_as_the_parser_or_nothing(key: str, lines: list[str], line_end: str) -> None:
    data = front([key, *lines], line_end)
    found = plain(data)
    assert found is None or found == composed(data)


TREES = st.recursive(
    SCALARS.filter(lambda s: re.fullmatch(r"[\w/:.']+", s) is not None),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3), st.dictionaries(KEYS, inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


def written(tree: object, indent: int) -> list[str]:
    """A tree as YAML in block style, lists at the margin of their key."""
    margin = " " * indent
    if isinstance(tree, str):
        return [margin + tree]
    lines: list[str] = []
    for key, value in tree.items() if isinstance(tree, dict) else [("", value) for value in tree]:  # type: ignore[attr-defined]
        if key and isinstance(value, str):
            lines.append(f"{margin}{key}: {value}")
        elif key:
            lines += [f"{margin}{key}:", *written(value, indent if isinstance(value, list) else indent + 3)]
        else:
            first, *rest = written(value, indent + 2)
            lines += [f"{margin}- {first.lstrip()}", *rest]
    return lines


@settings(max_examples=200)
@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
def test_trees(tree: dict[str, object]) -> None:
    data = front(written(tree, 0))
    found = plain(data)
    assert found is None or found == composed(data)


def test_reads_the_common_forms_without_the_parser() -> None:
    data = front(
        ["title: \"A 'title'\"", "images:", "  - url: https://h/a.png", "    width: 600", "    isCached: true",
         '  - url: "/b c.png"', "related:", "- title: 'x'", "  images:", "  - https://h/c.png", "secured: abc=="]
    )  # fmt: skip
    found = plain(data)
    assert found is not None
    assert [(e.url, e.field, e.line, e.column, e.declared.width, e.is_cached) for e in found] == [
        ("https://h/a.png", "images", 4, 10, 600, True),
        ("/b c.png", "images", 7, 10, None, None),
        ("https://h/c.png", "related.images", 11, 5, None, None),
    ]


@pytest.mark.parametrize(
    "line",
    ["title: |", "title: [a]", "title: &a b", "title: !x b", "title: 'it''s'", "? title", "title: a: b", "<<: x",
     "# images", "title: a\ntitle: b"],
)  # fmt: skip
def test_leaves_everything_else_to_the_parser(line: str) -> None:
    assert plain(front([line, "images: /a"])) is None


def test_real_articles(shared: Path) -> None:
    """All of them are plain, and read the same by both."""
    files = [path for pattern in ("*.md", "*.html") for path in (shared / "site").rglob(pattern)]
    assert files
    for path in files:
        data = path.read_bytes()
        assert plain(data) == composed(data), path
