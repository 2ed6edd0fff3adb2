"""Front matter in JSON, `{ … }`: what is read of it, where, and edits that change their own place alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcache.core import ArticleUnreadable, Declared, Edit, Focus, Size
from imgcache.scanner.frontmatter import apply, documents, parse
from tests.support.front_matter import URL, at, flagged, only, read

ARTICLE = r"""{
  "title": "Harbour \u00e9 {\"}\"]",
  "images": [
    "https://example.org/1.png",
    {"url": "https:\/\/example.org\/2.png"},
    { "url": "https://example.org/3.png", "width": 3, "focus": [0, 0.5] },
    {
      "height": "7",
      "url": "https://example.org/4.png",
      "isCached": false,
      "alt": "x"
    }
  ],
  "related": [{"images": {"url":"https://example.org/5.png","width":1.5}}]
}
![](https://example.org/body.png)
"""

FOUND = [
    (4, 5, "images", "https://example.org/1.png", Declared(), None, False),
    (5, 13, "images", "https://example.org/2.png", Declared(), None, True),
    (6, 14, "images", "https://example.org/3.png", Declared(3), None, True),
    (9, 14, "images", "https://example.org/4.png", Declared(None, 7), False, True),
    (14, 33, "related.images", "https://example.org/5.png", Declared(), None, True),
]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_images_are_read_with_their_places(newline: str, bom: str) -> None:
    data = (bom + ARTICLE.replace("\n", newline)).encode()
    front = parse(data, "a.md")
    found = [(r.line, r.column, r.field, r.url, r.declared, r.is_cached, r.flaggable) for r in front.references]
    assert found == FOUND
    assert front.references[2].focus == Focus((0.0, 0.5), 6, 55)
    assert data[front.body_offset :].decode().startswith("![](")
    assert front.body_line == 16


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_flag_is_a_member_in_the_manner_of_the_others(newline: str, bom: str) -> None:
    text = bom + ARTICLE.replace("\n", newline)
    expected = (
        text.replace(r'2.png"}', r'2.png", "isCached": true}')
        .replace('"width": 3,', '"width": 3, "isCached": true,')
        .replace('"isCached": false', '"isCached": true')
        .replace('"width":1.5', '"width":1.5,"isCached":true')
    )
    assert flagged(text) == expected
    assert flagged(expected, flag=False) == text.replace(f',{newline}      "isCached": false', "")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('{"isCached": true, "url": "U"}', '{"url": "U"}'),
        ('{\n"isCached" : true,\n"url" : "U"}', '{\n"url" : "U"}'),
        ('{"url": "U", "isCached": "true", "alt": ""}', '{"url": "U", "alt": ""}'),
    ],
)
def test_a_flag_is_taken_out_wherever_it_stands(entry: str, expected: str) -> None:
    text, cleared = (f'{{"images": [{one.replace("U", URL)}]}}\nbody\n' for one in (entry, expected))
    assert flagged(text, flag=False) == cleared


def test_sizes_and_urls_are_written_in_their_place() -> None:
    data = ARTICLE.encode()
    edits = [Edit(9, 14, size=Size(30, 40)), Edit(6, 14, size=Size(30, 40)), Edit(4, 5, url='https://e.org/"é')]
    expected = ARTICLE.replace('"7"', '"40"').replace('"width": 3,', '"width": 30,')
    assert apply(data, edits).decode() == expected.replace('"https://example.org/1.png"', r'"https://e.org/\"é"')


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('{"a": 1,\n "b": }\nbody\n', 2, 7, "not valid JSON: Expecting value; correct it here"),
        ('{"a": 1\n', 2, 1, "not valid JSON"),
        ('{"images": 1,\n "images": 2}\n', 2, 2, "this key comes twice in one object"),
        ('{"a": "\\ud800"}\n', 1, 1, "half of a surrogate pair"),
        ('{"images": ' + "[" * 150 + "]" * 150 + "}", 1, 1, "nested deeper than 100"),
        ('{"a": ' + "[" * 100_000 + "\n", 1, 1, "nested deeper than 100"),
    ],
)
def test_what_is_not_json_is_said_with_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ArticleUnreadable, match=message) as caught:
        parse(text.encode(), "a.md")
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    "text",
    [
        "{% include head.html %}\n",
        "{{< figure src='a.png' >}}\n",
        "{props.title}\n",
        '{"text"}\n',
        "{",
        "{}{}",
        "{ a: 1 }",
    ],
)
def test_what_merely_begins_with_a_brace_is_a_body(text: str) -> None:
    front = parse(text.encode(), "a.md")
    assert (front.references, front.body_offset, front.body_line) == ((), 0, 1)


def test_the_body_may_begin_behind_the_brace_or_be_missing() -> None:
    for text, body in (('{"a": 1}', ""), ('{"a": 1} \nb', "b"), ("{}\nb", "b"), ('{"a": 1}\r\n\r\nb', "\r\nb")):
        assert text.encode()[parse(text.encode(), "a.md").body_offset :].decode() == body


def test_every_string_has_its_key_path_and_place() -> None:
    found = documents.strings(documents.read(b'{"a": ["x", {"b": "y", "c": 1}],\n "d": "\\u00e9"}\n'))
    assert [one[:4] for one in found] == [("x", "a", 1, 8), ("y", "a.b", 1, 19), ("é", "d", 2, 7)]


# -- laws over generated documents -------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
_ENTRY = st.fixed_dictionaries(
    {"url": st.integers(0, 9).map(lambda number: f"{URL}?{number}")},
    optional={
        "width": st.one_of(st.integers(1, 99), st.just("7")),
        "height": st.integers(1, 99),
        "isCached": st.booleans(),
        "alt": _JSON,
    },
).flatmap(lambda entry: st.permutations(list(entry.items())).map(dict))


@st.composite
def articles(draw: st.DrawFn) -> bytes:
    """An article with images in a document written in one of many manners."""
    images = draw(st.lists(st.one_of(_ENTRY, st.just(URL)), min_size=1, max_size=4))
    document = {"x": draw(_JSON), "images": images, "related": [{"images": draw(_ENTRY), "y": draw(_JSON)}]}
    text = json.dumps(
        document,
        indent=draw(st.sampled_from([None, 0, 2, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (",", " : "), (" ,", ": ")])),
        ensure_ascii=draw(st.booleans()),
    )
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return (draw(st.sampled_from(["", "\ufeff"])) + f"{text}\nbody\n".replace("\n", newline)).encode()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(articles())
def test_set_and_clear_give_the_same_bytes(data: bytes) -> None:
    numbers = [number for number, r in enumerate(read(data)) if r.flaggable and r.is_cached is None]
    after = apply(data, [at(read(data)[number], flag=True) for number in numbers])
    assert after.count(b"isCached") == data.count(b"isCached") + len(numbers)
    assert apply(after, [at(read(after)[number], flag=False) for number in numbers]) == data


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100, deadline=None)
@given(articles(), st.data())
def test_each_edit_changes_its_own_place_alone(data: bytes, choice: st.DataObject) -> None:
    reference = choice.draw(st.sampled_from(read(data)))
    new = "https://new.example/n.png"
    edited = apply(data, [Edit(reference.line, reference.column, url=new)])
    assert sorted([r.url for r in read(edited)]) == sorted([*[r.url for r in read(data) if r != reference], new])
    start = edited.index(new.encode())
    assert (edited[:start], edited[start + len(new) :]) == (
        data[:start],
        data[start + len(json.dumps(reference.url)) - 2 :],
    )


def test_a_flag_that_is_no_boolean_leaves_the_entry_alone() -> None:
    data = f'{{"images": [{{"url": "{URL}", "isCached": 1}}]}}\n'.encode()
    assert not only(data).flaggable
    with pytest.raises(ArticleUnreadable, match="cannot be edited"):
        apply(data, [at(only(data), flag=True)])
