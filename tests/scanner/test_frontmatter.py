"""Front matter: what is read out of it, and where."""

from __future__ import annotations

import pytest

from imgcache.core import ArticleUnreadable, Declared, Size
from imgcache.scanner.frontmatter import apply, parse
from tests.support.front_matter import URL, at, flagged, only, read


def test_reads_lists_at_any_depth_with_their_paths() -> None:
    text = f"""---
provider:
  images:
    - url: {URL}?1
images: ["{URL}?2", {{width: 3, url: "{URL}?3"}}]
related:
  - images: {URL}?4
  - provider: {{images: {{url: {URL}?5}}}}
---
"""
    found = [(r.url[-1], r.field, r.line, r.column, r.flaggable) for r in read(text)]
    assert found == [
        ("1", "provider.images", 4, 12, True),
        ("2", "images", 5, 10, False),
        ("3", "images", 5, 57, True),
        ("4", "related.images", 7, 13, False),
        ("5", "related.provider.images", 8, 30, True),
    ]


@pytest.mark.parametrize(
    ("width", "expected"),
    [("600", 600), ('"600"', 600), ("'7'", 7), ("0", None), ("-3", None), ("6.5", None), ("wide", None), ("", None),
     ("[6]", None), ("1e3", None), ("0600", None), ("99999999999", None)],
)  # fmt: skip
def test_declared_width(width: str, expected: int | None) -> None:
    assert only(f"---\nimages:\n  - url: {URL}\n    width: {width}\n---\n").declared == Declared(expected, None)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("true", True), ("True", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("OFF", False),
     ('"true"', True), ("'false'", False), ("1", None), ("", None), ("maybe", None)],
)  # fmt: skip
def test_flag_as_yaml_11_reads_it(flag: str, expected: bool | None) -> None:
    found = only(f"---\nimages:\n  - url: {URL}\n    isCached: {flag}\n---\n")
    assert (found.is_cached, found.flaggable) == (expected, expected is not None)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_places_count_characters_whatever_the_line_ends(line_end: str, bom: str) -> None:
    lines = ["---", 'título: "añ😀"', "images: ", f'  - {{"tí": "😀", url: "{URL}"}}', "---", "", "body"]
    data = (bom + line_end.join(lines)).encode()
    front = parse(data, "a.md")
    assert [(r.line, r.column) for r in front.references] == [(4, 22)]
    assert front.body_line == 6
    assert data[front.body_offset :].decode() == line_end + "body"


def test_yaml_only_line_breaks_count_as_no_line() -> None:
    assert only(f'---\ntitle: "a\u2028b\u0085c"\nimages: [{{url: "{URL}"}}]\n---\n').line == 3


@pytest.mark.parametrize("closing", ["---", "...", "--- \t", "---\r"])
def test_closing_line(closing: str) -> None:
    data = f"---  \nimages: {URL}\n{closing}\nbody".encode()
    front = parse(data, "a.md")
    assert (len(front.references), data[front.body_offset :], front.body_line) == (1, b"body", 4)


def test_closing_line_without_final_newline() -> None:
    data = f"---\nimages: {URL}\n---".encode()
    front = parse(data, "a.md")
    assert (len(front.references), front.body_offset) == (1, len(data))


@pytest.mark.parametrize("quote", ["'", '"'])
def test_fence_inside_a_quoted_string_does_not_close(quote: str) -> None:
    text = f"---\ntitle: {quote}one\n---\ntwo\n...\nthree{quote}\nimages:\n  - url: {URL}\n---\nbody\n"
    found = only(text)
    assert (found.line, found.column) == (8, 10)
    assert parse(text.encode(), "a.md").body_line == 10
    assert flagged(text) == text.replace(f"{URL}\n", f"{URL}\n    isCached: true\n")


@pytest.mark.parametrize(
    "text",
    ["", "no front matter", "---", "---\n---\n", "---\n# nothing\n\n---\nx", "----\na: b\n---\n",
     "---\nA paragraph between two thematic breaks, [like](this).\n\n---\n", "---\n*so* it goes\n---\n",
     "---\n- a list\n- of things\n---\n", "---\n\nnothing closes this\n", "+++\nimages = 1\n+++\n", "+++\nopen"],
)  # fmt: skip
def test_files_without_images_in_a_front_matter(text: str) -> None:
    assert read(text) == ()


def test_body_starts_below_toml_and_empty_front_matter() -> None:
    for text, line in [("+++\na = 1\n+++\nbody", 4), ("---\n---\nbody", 3), ("---\nparagraph\n---\nbody", 1)]:
        front = parse(text.encode(), "a.md")
        assert front.body_line == line
        assert text[front.body_offset :].splitlines()[0] == text.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("---\ntitle: x\n", 1, 1, "not closed"),
        ("---\nimages:\n\t- url: x\n---\n", 3, 1, "cannot start any token"),
        ('---\na: "b\nimages: x\n---\nbody\n', 4, 1, "quoted scalar"),
        ("---\nimages: [a\n---\n", 3, 1, "flow sequence"),
        ("---\nimages: *nobody\n---\n", 2, 9, "alias"),
        ("---\nimages:\n  - url: a\n    url: b\n---\n", 4, 5, "`url` comes twice"),
        ("---\nrelated:\n  images: [a]\n  images: [b]\n---\n", 4, 3, "`images` comes twice"),
        ("---\ntitle: a\nimages: [a]\ntitle: b\n---\n", 4, 1, "`title` comes twice"),
        ("---\ntitle: a\nimages:\n  - url: a\ntitle: b\n---\n", 5, 1, "`title` comes twice"),
        ("---\nx: \x07\nimages: [a]\n---\n", 2, 4, "control characters"),
        ('---\ntitle: "a\u2028b"\nimages: [\n---\n', 4, 1, "did not find expected node"),
        ('---\ntitle: "a\u2028b\u2029c"\nx: 1\nimages: *nobody\n---\n', 4, 9, "alias"),
        ('---\r\ntitle: "é\u0085"\r\nimages: *nobody\r\n---\r\n', 3, 9, "alias"),
        ('---\rtitle: "é\u0085"\rimages: *nobody\r---\r', 3, 9, "alias"),
        ('\ufeff---\ntitle: "a\u2028b"\nimages: *nobody\n---\n', 3, 9, "alias"),
        ('---\nx: "\u2028"\na: ' + "[" * 5000 + "\nimages: [a]\n---\n", 3, 103, "nested deeper"),
        (b"---\ntitle: caf\xe9\nimages: [a]\n---\n", 2, 11, "0xe9 is not UTF-8"),
        (b"---\nimages: [a]\n---\nbody \xff\n", 4, 6, "0xff is not UTF-8"),
        ("---\na: " + "[" * 5000 + "\nimages: [a]\n---\n", 2, 103, "nested deeper"),
        ("---\nimages: [a]\nb:\n  " + "- " * 5000 + "x\n---\n", 4, 201, "nested deeper"),
    ],
)
def test_unreadable_articles_say_where(text: str | bytes, line: int, column: int, words: str) -> None:
    with pytest.raises(ArticleUnreadable) as caught:
        read(text)
    assert words in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("entry", ["  - ? url\n    : U\n", "  [url: U]\n", "  - url: U\n    isCached: &t true\n"])
def test_an_entry_that_cannot_take_a_flag_is_not_flaggable(entry: str) -> None:
    assert not only(f"---\nimages:\n{entry}---\n").flaggable


def test_a_repeated_key_away_from_images_is_not_an_error() -> None:
    assert only(f"---\nparams:\n  a: 1\n  a: 2\nimages: {URL}\n---\n").url == URL


def test_nothing_is_constructed() -> None:
    text = f"""---
date: 2020-13-45
evil: !!python/object/apply:os.system ["false"]
ruby: !ruby/object:Gem::Installer {{i: x}}
images:
  - !env HERO
  - !!binary aGk=
  - !custom {{url: "{URL}", width: 2020-13-45}}
  - 2020-13-45
  - ~
  - 17
  - url:
  - url: [a]
---
"""
    assert [r.url for r in read(text)] == [URL]


def test_an_alias_is_one_reference_and_is_not_flagged_where_another_list_shows_it() -> None:
    text = (
        f"---\nimages: &all\n  - url: {URL}?1\nprovider:\n  images: *all\nother:\n  images:\n    - url: {URL}?2\n---\n"
    )
    found = read(text)
    assert [(r.url[-1], r.field, r.flaggable) for r in found] == [("1", "images", False), ("2", "other.images", True)]
    with pytest.raises(ArticleUnreadable):
        apply(text.encode(), [at(found[0], flag=True)])


def test_an_alias_in_a_list_of_the_same_path_may_be_flagged() -> None:
    text = f"---\nrelated:\n  - &a\n    images: [{{url: {URL}}}]\n  - *a\n---\n"
    assert flagged(text) == text.replace("}", ", isCached: true}")


def test_merged_entries_are_read_and_never_flagged() -> None:
    text = f"""---
base: &base {{width: 6, height: 4, isCached: true, url: "{URL}?base"}}
images:
  - <<: *base
    height: 9
  - &own
    url: {URL}?own
  - <<: [*own, *base]
    url: {URL}?last
---
"""
    found = [(r.url.partition("?")[2], r.declared, r.is_cached, r.flaggable) for r in read(text)]
    assert found == [
        ("base", Declared(6, 9), True, False),
        ("own", Declared(), None, False),
        ("last", Declared(6, 4), True, False),
    ]


def test_nested_aliases_take_linear_time() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert len(read(f"---\nl0: &l0 {{images: [{{url: {URL}}}]}}\n{levels}images: *l29\n---\n")) == 1


def test_an_aliased_url_stands_where_the_alias_stands() -> None:
    text = f"---\nimages:\n  - url: &u {URL}\n    width: 1\n  - url: *u\n    width: 2\n---\n"
    found = read(text)
    assert [(r.line, r.column, r.declared.width) for r in found] == [(3, 10, 1), (5, 10, 2)]
    edited = apply(text.encode(), [at(found[1], flag=True, size=Size(7, 7))]).decode()
    assert edited == text.replace("    width: 2\n", "    width: 7\n    isCached: true\n")
