"""Front matter: an edit changes what was asked and no other byte."""

from __future__ import annotations

import pytest

from imgcache.core import ArticleChanged, ArticleUnreadable, Declared, Edit, Size
from imgcache.scanner.frontmatter import apply
from imgcache.scanner.frontmatter import edits as splices
from imgcache.scanner.frontmatter.splicing import spliced
from tests.support.front_matter import URL, at, flagged, only, read

BLOCK = [
    ("  - url: U\n", "  - url: U\n    isCached: true\n"),
    ("- url: U\n  height: 2 # tall\n  title: t\n", "- url: U\n  height: 2 # tall\n  isCached: true\n  title: t\n"),
    ("  - title: t\n    width: 2\n    url: U\n", "  - title: t\n    width: 2\n    url: U\n    isCached: true\n"),
    ("  - url: U\n    width:\n      6\n", "  - url: U\n    width:\n      6\n    isCached: true\n"),
    ("  - url: U\n    height:\n", "  - url: U\n    height:\n    isCached: true\n"),
    (
        '  - url: "U\n      b"\n    t: |+\n      x\n\n',
        '  - url: "U\n      b"\n    isCached: true\n    t: |+\n      x\n\n',
    ),
    ("  - url: >-\n      U\n  # c\n", "  - url: >-\n      U\n    isCached: true\n  # c\n"),
    ("  -\n    url: U\n\n\n", "  -\n    url: U\n    isCached: true\n\n\n"),
    ("  - - url: U\r\n      width: 3\r\n", "  - - url: U\r\n      width: 3\r\n      isCached: true\r\n"),
    ("  url: U\n", "  url: U\n  isCached: true\n"),
    ("  - {url: 'U'}\n", "  - {url: 'U', isCached: true}\n"),
    ('  [{"url": "U", "width": 3, },\n   x]\n', '  [{"url": "U", "width": 3, isCached: true, },\n   x]\n'),
    ("  - {url: 'U', # c\n     t: [1]  # d\n    }\n", "  - {url: 'U', # c\n     t: [1], isCached: true  # d\n    }\n"),
    ("  - {url: 'U', t}\n", "  - {url: 'U', t, isCached: true}\n"),
    ("  - &a {? url : 'U'}\n", "  - &a {? url : 'U', isCached: true}\n"),
]


@pytest.mark.parametrize(("before", "after"), BLOCK)
@pytest.mark.parametrize("rest", ["---", "z: 1\n---\nimages: no\n"])
def test_set_and_clear(before: str, after: str, rest: str) -> None:
    before, after = (f"---\na: é\nimages:\n{text.replace('U', URL)}{rest}" for text in (before, after))
    assert flagged(before) == after
    assert flagged(after, flag=False) == before
    assert flagged(after) == after
    assert flagged(before, flag=False) == before


@pytest.mark.parametrize(
    ("before", "cleared"),
    [
        ("- isCached: true\n  url: U\n", "- url: U\n"),
        ("- isCached: true # c\n  url: U\n", "-  # c\n  url: U\n"),
        ("- isCached: true\n  # c\n  url: U\n", "- \n  # c\n  url: U\n"),
        ("- width: 1\n  isCached: yes # c\n  url: U\n", "- width: 1\n  url: U\n"),
        ("- {isCached: true, url: 'U'}\n", "- {url: 'U'}\n"),
        ("- {isCached: true, # c\n   url: 'U'}\n", "- { # c\n   url: 'U'}\n"),
        ("- {url: 'U', # c\n   isCached: true}\n", "- {url: 'U', # c\n   }\n"),
        ("- {url: 'U', isCached: true, t: x}\n", "- {url: 'U', t: x}\n"),
        ("- url: U\n  isCached: no\n", "- url: U\n  isCached: no\n"),
    ],
)
def test_a_flag_is_cleared_at_any_position(before: str, cleared: str) -> None:
    before, cleared = (f"---\nimages:\n{text.replace('U', URL)}---\n" for text in (before, cleared))
    assert flagged(before, flag=False) == cleared


@pytest.mark.parametrize("word", ["false", "False", "no", "OFF", '"false"'])
def test_a_false_becomes_true_in_place(word: str) -> None:
    text = f"---\nimages:\n  - isCached: {word} # c\n    url: {URL}\n---\n"
    assert flagged(text) == text.replace(word, "true")


def test_the_new_line_has_the_line_end_of_the_line_before() -> None:
    text = f"---\r\nimages:\n  - url: {URL}?1\r\n  - url: {URL}?2\n---\r\n"
    assert flagged(text) == text.replace("?1\r\n", "?1\r\n    isCached: true\r\n").replace(
        "?2\n", "?2\n    isCached: true\n"
    )
    assert flagged(f"---\rimages:\r  - url: {URL}\r---\r") == f"---\rimages:\r  - url: {URL}\r    isCached: true\r---\r"


def test_size_replaces_what_is_declared_and_keeps_the_quotes() -> None:
    text = (
        f"---\nimages:\n  - width: \"1\" # w\n    url: {URL}\n    height: '2'\n  - {{url: {URL}?2, height: 3}}\n---\n"
    )
    data = text.encode()
    edits = [at(r, size=Size(640, 480)) for r in read(data)]
    assert apply(data, edits).decode() == text.replace('"1"', '"640"').replace("'2'", "'480'").replace(": 3", ": 480")
    assert [r.declared for r in read(apply(data, edits))] == [Declared(640, 480), Declared(None, 480)]


@pytest.mark.parametrize("flag", [True, False])
def test_an_article_whose_body_is_not_utf8_is_not_edited(flag: bool) -> None:
    data = f"---\nimages:\n  - url: {URL}\n---\n".encode()
    with pytest.raises(ArticleUnreadable, match="UTF-8"):
        apply(data + b"caf\xe9", [Edit(3, 10, flag=flag)])


def test_an_edit_of_another_place_says_that_the_file_changed() -> None:
    data = f"---\nimages:\n  - url: {URL}\n---\n".encode()
    for edit in (Edit(3, 9, flag=True), Edit(4, 10, flag=True)):
        with pytest.raises(ArticleChanged) as caught:
            apply(data, [edit])
        assert (caught.value.line, caught.value.column) == (edit.line, edit.column)
    assert apply(data, []) == data


@pytest.mark.parametrize(
    "entry",
    [
        "  - ? url\n    : U\n",  # a key that does not start its line
        "  [url: U]\n",  # a mapping without braces
        "  - url: U\n    isCached: &t true\nother: *t\n",
        "  - url: U\n    width: &w 3\nother: *w\n",
    ],
)
def test_what_cannot_be_edited_alone_is_refused(entry: str) -> None:
    data = f"---\nimages:\n{entry.replace('U', URL)}---\n".encode()
    with pytest.raises(ArticleUnreadable):
        apply(data, [at(only(data), flag=b"&t" not in data, size=Size(9, 9))])


@pytest.mark.parametrize(
    ("good", "damage"), [("title: t", "title: u"), (URL, f"{URL}x"), ("}", ""), ("d: true", "d: no")]
)
def test_a_wrong_splice_is_refused(monkeypatch: pytest.MonkeyPatch, good: str, damage: str) -> None:
    """The net below the splices: whatever goes wrong there, the article stays as it is."""
    monkeypatch.setattr(splices, "spliced", lambda *args: spliced(*args).replace(good, damage))
    data = f"---\ntitle: t\ntags:\n  - b\nimages:\n  - {{url: {URL}}}\n---\n".encode()
    with pytest.raises(ArticleUnreadable):
        apply(data, [at(only(data), flag=True)])


# --- other URLs ------------------------------------------------------------------------------------------------------

NEW = "https://new.example/b.png?x=1"
STYLES = [
    ("- url: U # c\n", URL, NEW, NEW),
    ("- url: 'U'\n", f"'{URL}'", NEW, f"'{NEW}'"),
    ('- url: "U"\n', f'"{URL}"', NEW, f'"{NEW}"'),
    ("- U # c\n", URL, NEW, NEW),
    ("- 'U'\n- x\n", f"'{URL}'", NEW, f"'{NEW}'"),
    ("  U\n", URL, NEW, NEW),
    ("- {url: U, width: 3}\n", URL, NEW, NEW),
    ("- {\"url\":'U'}\n", f"'{URL}'", NEW, f"'{NEW}'"),
    ("  [U, x]\n", URL, NEW, NEW),
    ("- ? url\n  : U\n", URL, NEW, NEW),
    ("- url:\n    U\n  t: x\n", URL, NEW, NEW),
    ("- &a\n  url: U\n", URL, NEW, NEW),
    ("- url: U\n", URL, "it's", "it's"),
    ("- url: 'U'\n", f"'{URL}'", "it's", "'it''s'"),
    ('- url: "U"\n', f'"{URL}"', 'a\\b"c', '"a\\\\b\\"c"'),
    ("- url: U\n", URL, "a, b [c]", "a, b [c]"),
    ("- {url: U}\n", URL, "a,b", "'a,b'"),
    ("- {url: U}\n", URL, "a, b", "'a, b'"),
    ("- {url: U}\n", URL, "a[b]", "'a[b]'"),
    ("- [U]\n", URL, "a]", "'a]'"),
    *[
        ("- url: U\n", URL, new, f"'{new}'")
        for new in ("a: b", "a #b", "*a", "&a", "!a", "%a", "@a", "{a}", "[a", "`a")
    ],
    *[
        ("- U\n", URL, new, f"'{new}'")
        for new in ("a:", "1", "true", "2020-01-01", "~", "null", "- a", "? a", "|", "a ")
    ],
]


@pytest.mark.parametrize(("entry", "raw", "new", "written"), STYLES)
def test_another_url_is_written_in_the_style_of_the_old_one(entry: str, raw: str, new: str, written: str) -> None:
    text = f"\ufeff---\r\na: é\nimages:\n{entry.replace('U', URL)}b: {URL}\n---\nimages: {URL}\n"
    reference = next(r for r in read(text) if r.url == URL)
    edited = apply(text.encode(), [Edit(reference.line, reference.column, url=new, was=URL)]).decode()
    assert edited == text.replace(raw, written, 1)
    assert [r.url for r in read(edited)] == [new if r == reference else r.url for r in read(text)]


def test_url_size_and_flag_of_several_entries_at_once() -> None:
    text = f"---\nimages:\n- url: {URL}\n  width: 1\n- {URL}\n- {{url: '{URL}', height: 2}}\n---\n"
    one, two, three = read(text)
    edits = [
        Edit(one.line, one.column, flag=True, size=Size(5, 6), url=NEW, was=URL),
        Edit(two.line, two.column, url=NEW),
        Edit(three.line, three.column, url=NEW),
        Edit(three.line, three.column, size=Size(5, 6), was=URL),
    ]
    assert apply(text.encode(), edits).decode() == (
        f"---\nimages:\n- url: {NEW}\n  width: 5\n  isCached: true\n- {NEW}\n- {{url: '{NEW}', height: 6}}\n---\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        "images:\n- url: &a U\ncover: *a\n",
        "cover: &a U\nimages:\n- url: *a\n",
        "cover: &a U\nimages:\n- *a\n",
        "images:\n- &a\n  url: U\n- *a\n",
        "images:\n- &a\n  url: U\nrelated:\n  images: [*a]\n",
        "images:\n- &a\n  url: U\n- <<: *a\n  width: 3\n",
        "base: &a\n  url: U\nimages:\n- <<: *a\n  width: 3\n",
        "images: &a\n- url: U\nrelated:\n  images: *a\n",
        "images:\n- url: !!str U\n",
        "images:\n- url: >-\n    U\n",
        "images:\n- url: |-\n    U\n",
        'images:\n- url: "U\\\n    "\n',
    ],
)
def test_a_shared_or_multiline_url_is_not_replaced(head: str) -> None:
    data = f"---\n{head.replace('U', URL)}---\n".encode()
    for reference in read(data):
        with pytest.raises(ArticleUnreadable, match="without changing something else") as caught:
            apply(data, [Edit(reference.line, reference.column, url=NEW)])
        assert (caught.value.line, caught.value.column) == (reference.line, reference.column)


@pytest.mark.parametrize("new", ["", "a\nb", "a\tb", "a\x00b", "a\u2028b"])
def test_an_unprintable_url_is_refused(new: str) -> None:
    data = f"---\nimages:\n- url: {URL}\n---\n".encode()
    with pytest.raises(ArticleUnreadable):
        apply(data, [Edit(3, 8, url=new)])


def test_an_unexpected_url_means_that_the_file_has_changed() -> None:
    data = f"---\nimages:\n- url: {URL}\n---\n".encode()
    with pytest.raises(ArticleChanged):
        apply(data, [Edit(3, 8, url=NEW, was=f"{URL}x")])
    with pytest.raises(ArticleChanged):
        apply(data, [Edit(3, 8, size=Size(1, 1), was=f"{URL}x")])
