"""YAML as sites have it: anchors that are set twice, and mistakes that are explained."""

from __future__ import annotations

import pytest

from imgcache.core import ArticleUnreadable
from imgcache.scanner.frontmatter import parse
from tests.support.front_matter import URL, flagged, read


def test_an_alias_takes_the_last_value_that_its_anchor_had() -> None:
    text = f"""---
images:
  - url: &a {URL}?1
  - url: *a
  - url: &a {URL}?2
  - url: *a
  - &m {{url: {URL}?3}}
  - &m
    url: {URL}?4
---
"""
    found = [(r.url.partition("?")[2], r.line, r.column) for r in read(text)]
    assert found == [("1", 3, 10), ("1", 4, 10), ("2", 5, 10), ("2", 6, 10), ("3", 7, 14), ("4", 9, 10)]
    assert flagged(flagged(text), flag=False) == text


def test_a_duplicate_anchor_hides_no_mistake_below_it() -> None:
    with pytest.raises(ArticleUnreadable) as caught:
        read("---\na: &x 1\nb: &x 2\nimages: [c\n---\n")
    assert (caught.value.line, caught.value.column) == (5, 1)


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ("title: a: b", (3, 9), "put it in quotes"),
        ("tags: [a, b", (4, 1), "a list in brackets is not closed"),
        ('title: "abc', (4, 1), "a quoted text is not closed"),
        ("by: @ann", (3, 5), "special character"),
        ("by: *ann", (3, 5), "no `&anchor`"),
        ("\tby: ann", (3, 1), "a tab begins it"),
        ("title: 'it's'", (3, 12), "a closed quote"),
        ('path: "C:\\q"', (3, 10), "double it"),
        ("a: - b", (3, 4), "begin it on the next line"),
    ],
)
def test_a_mistake_is_explained_where_it_is(lines: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(ArticleUnreadable) as caught:
        parse(f"---\nimages: []\n{lines}\n---\n".encode(), "a.md")
    error = caught.value
    assert (error.line, error.column) == place
    assert words in error.message
