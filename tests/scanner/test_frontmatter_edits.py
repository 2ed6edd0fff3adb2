"""Front matter: an edit changes what was asked and no other byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcache.core import ArticleChanged, ArticleUnreadable, Declared, Edit, Size
from imgcache.scanner.frontmatter import apply, parse
from imgcache.scanner.frontmatter import edits as splices
from imgcache.scanner.frontmatter.entries import entries
from imgcache.scanner.frontmatter.splicing import spliced
from imgcache.scanner.frontmatter.yaml_marks import read_head
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
def test_clear_wherever_the_flag_stands(before: str, cleared: str) -> None:
    before, cleared = (f"---\nimages:\n{text.replace('U', URL)}---\n" for text in (before, cleared))
    assert flagged(before, flag=False) == cleared


@pytest.mark.parametrize("word", ["false", "False", "no", "OFF", '"false"'])
def test_a_false_becomes_true_in_place(word: str) -> None:
    text = f"---\nimages:\n  - isCached: {word} # c\n    url: {URL}\n---\n"
    assert flagged(text) == text.replace(word, "true")


def test_the_new_line_ends_as_its_neighbour_does() -> None:
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
def test_a_wrong_splice_never_leaves_the_room(monkeypatch: pytest.MonkeyPatch, good: str, damage: str) -> None:
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
def test_a_url_that_other_places_show_or_that_fills_lines_is_refused(head: str) -> None:
    data = f"---\n{head.replace('U', URL)}---\n".encode()
    for reference in read(data):
        with pytest.raises(ArticleUnreadable, match="without changing something else") as caught:
            apply(data, [Edit(reference.line, reference.column, url=NEW)])
        assert (caught.value.line, caught.value.column) == (reference.line, reference.column)


@pytest.mark.parametrize("new", ["", "a\nb", "a\tb", "a\x00b", "a\u2028b"])
def test_a_url_that_no_article_should_hold_is_refused(new: str) -> None:
    data = f"---\nimages:\n- url: {URL}\n---\n".encode()
    with pytest.raises(ArticleUnreadable):
        apply(data, [Edit(3, 8, url=new)])


def test_where_another_url_stands_than_was_expected_the_file_has_changed() -> None:
    data = f"---\nimages:\n- url: {URL}\n---\n".encode()
    with pytest.raises(ArticleChanged):
        apply(data, [Edit(3, 8, url=NEW, was=f"{URL}x")])
    with pytest.raises(ArticleChanged):
        apply(data, [Edit(3, 8, size=Size(1, 1), was=f"{URL}x")])


# --- laws ------------------------------------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("abz é😀#:-'\"\\{}[],&*!|>%@`?~0"), max_size=8)
SAFE = st.sampled_from(
    ["x", "Some words", "2020-13-45", '"quoted: # é"', "'it''s'", "http://h/?a=b#c", "-1", '"a\\"b"']
)


def quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


@st.composite
def block_entry(draw: st.DrawFn, number: int, indent: str) -> list[str]:
    url = draw(st.sampled_from(["{}", '"{}"', "'{}'", "{} # c", "&anchor{} {}", '"{}\\\n      "'])).replace(
        "&anchor{}", f"&a{number}"
    )
    pairs = [f"url: {url.format(f'{URL}?{number}')}"]
    numbers = st.sampled_from(["6", '"7"', "8 # c", "'9'", ""])
    pairs += [f"{key}: {draw(numbers)}" for key in ("width", "height") if draw(st.booleans())]
    for key in draw(st.lists(st.sampled_from(["title", "alt", "é"]), unique=True, max_size=2)):
        values = st.one_of(SAFE, WORDS.map(quoted), st.just("|+\n      x\n\n"), st.just("[a, {b: c}]"))
        pairs.append(f"{key}: {draw(values)}")
    lines = [line for pair in draw(st.permutations(pairs)) for line in pair.split("\n")]
    first, *rest = lines
    return [f"{indent}- {first}", *(f"{indent}  {line}" if line else "" for line in rest)]


@st.composite
def flow_entry(draw: st.DrawFn, number: int, indent: str) -> list[str]:
    pairs = [f'url: "{URL}?{number}"']
    pairs += draw(st.lists(st.sampled_from(["width: 6", '"height": "7"', "t: [1, 2]", "bare"]), unique=True))
    gap = draw(st.sampled_from([", ", ",", f", # c\n{indent}   "]))
    end = draw(st.sampled_from(["}", " }", ", }", f" # c\n{indent}  }}"]))
    return f"{indent}- {{{gap.join(draw(st.permutations(pairs)))}{end}".split("\n")


@st.composite
def articles(draw: st.DrawFn) -> bytes:
    lines = ["---"]
    number = 0
    for key in draw(st.permutations(["title", "images", "provider", "related", "note"])):
        if key in {"title", "note"}:
            strings = st.sampled_from(
                ['"one\n---\ntwo"', '"one\n  --- # two"', "|\n  ---\n  x\n", ">-\n  fold\n\n  ed"]
            )
            lines += f"{key}: {draw(st.one_of(SAFE, WORDS.map(quoted), strings))}".split("\n")
            continue
        indent = "  " if key == "images" else "    "
        lines += {"images": ["images:"], "provider": ["provider:", "  images:"], "related": ["related:", "- images:"]}[
            key
        ]
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            lines += draw(st.one_of(block_entry(number, indent), flow_entry(number, indent)))
    lines += ["---", "", "body with isCached: true", ""]
    ends = draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"]]))
    chosen = draw(st.lists(st.sampled_from(ends), min_size=len(lines), max_size=len(lines)))
    text = "".join(line + end for line, end in zip(lines, chosen, strict=True))
    return draw(st.sampled_from(["", "\ufeff"])).encode() + text.encode()


laws = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@laws
@given(articles(), st.data())
def test_set_then_clear_gives_the_same_bytes(data: bytes, choice: st.DataObject) -> None:
    before = parse(data, "a.md").references
    flaggable = [n for n, r in enumerate(before) if r.flaggable]
    chosen = choice.draw(st.sets(st.sampled_from(flaggable))) if flaggable else set()
    edited = apply(data, [at(before[n], flag=True) for n in chosen])
    after = parse(edited, "a.md").references
    assert [r.is_cached for r in after] == [True if n in chosen else None for n in range(len(before))]
    assert [(r.url, r.field, r.declared, r.flaggable) for r in after] == [
        (r.url, r.field, r.declared, r.flaggable) for r in before
    ]
    added = re.compile(rb", isCached: true|^ *isCached: true\r?\n", re.MULTILINE)
    assert len(edited) - len(data) == sum(map(len, added.findall(edited)))
    assert added.sub(b"", edited) == data
    assert apply(edited, [at(after[n], flag=False) for n in chosen]) == data


@laws
@given(articles())
def test_leaving_plain_keys_out_changes_no_reference(data: bytes) -> None:
    head = read_head(data)
    whole = entries(head.root, head.text) if head.root else []
    found = [(e.url, e.field, e.line, e.column, e.declared, e.is_cached, e.flaggable) for e in whole]
    quick = parse(data, "a.md").references
    assert [(r.url, r.field, r.line, r.column, r.declared, r.is_cached, r.flaggable) for r in quick] == found


@laws
@given(
    st.lists(
        st.sampled_from(
            [
                "---",
                "\n",
                "\r",
                "images:",
                "  - ",
                "url: ",
                "x",
                '"',
                "'",
                "{",
                "}",
                "[",
                "]",
                ", ",
                ": ",
                "&a ",
                "*a",
                "<<: ",
                "isCached: ",
                "true",
                "width: 3",
                "|",
                "é",
                "\ufeff",
                "\x00",
                "\u2028",
                "\t",
                "# ",
            ]
        ),
        max_size=40,
    )
)
def test_whatever_comes_is_read_or_refused(parts: list[str]) -> None:
    data = ("---\nimages:" + "".join(parts) + "\n---\n").encode()
    try:
        found = [r for r in read(data) if r.flaggable]
        edited = apply(data, [at(r, flag=True) for r in found])
    except ArticleUnreadable:
        return
    assert sum(r.is_cached is True for r in read(edited) if r.flaggable) == len(found)


PLAIN_URLS = st.text(st.sampled_from("abé😀/.?=-~%"), max_size=8).map(lambda path: f"https://h/{path}")
ANY_URLS = st.one_of(PLAIN_URLS, WORDS.map(lambda word: f"https://h/{word}"), WORDS.filter(bool))


@laws
@given(articles(), ANY_URLS, st.data())
def test_another_url_changes_its_own_scalar_and_nothing_else(data: bytes, new: str, choice: st.DataObject) -> None:
    before = parse(data, "a.md").references
    if not before:
        return
    chosen = choice.draw(st.sampled_from(before))
    try:
        edited = apply(data, [Edit(chosen.line, chosen.column, url=new, was=chosen.url)])
    except ArticleUnreadable:
        line = data.decode().removeprefix("\ufeff").split("\n")[chosen.line - 1]
        raw = line[chosen.column - 1 :].rstrip("\r")
        assert raw.startswith("&") or raw.endswith("\\")
        return
    after = parse(edited, "a.md").references
    wished = [(new if r is chosen else r.url, r.line, r.field, r.declared, r.flaggable) for r in before]
    assert [(r.url, r.line, r.field, r.declared, r.flaggable) for r in after] == wished
    lines, others = data.split(b"\n"), edited.split(b"\n")
    assert [n for n, pair in enumerate(zip(lines, others, strict=True), 1) if len({*pair}) == 2] in ([chosen.line], [])
    start = len(lines[chosen.line - 1].decode().removeprefix("\ufeff")[: chosen.column - 1].encode())
    assert others[chosen.line - 1][:start] == lines[chosen.line - 1][:start]
    tail = lines[chosen.line - 1][start:].partition(chosen.url.encode())[2]
    assert others[chosen.line - 1].endswith(tail.lstrip(b"\"'"))


@laws
@given(articles(), st.lists(PLAIN_URLS, min_size=6, max_size=6))
def test_all_urls_replaced_and_put_back_give_the_same_bytes(data: bytes, news: list[str]) -> None:
    lines = data.decode().removeprefix("\ufeff").split("\n")
    before = parse(data, "a.md").references
    plain = [r for r in before if re.match(r"[\"']?http[^\\]*$", lines[r.line - 1][r.column - 1 :])]
    edits = [Edit(r.line, r.column, url=new) for r, new in zip(plain, news * 2, strict=False)]
    edited = apply(data, edits)
    numbers = [before.index(r) for r in plain]
    after = parse(edited, "a.md").references
    assert [after[n].url for n in numbers] == [edit.url for edit in edits]
    back = [Edit(after[n].line, after[n].column, url=before[n].url) for n in numbers]
    assert apply(edited, back) == data


# --- the real site ---------------------------------------------------------------------------------------------------


def test_every_article_of_the_real_site_comes_back_byte_for_byte(shared: Path) -> None:
    files = [path for path in sorted((shared / "site").rglob("*")) if path.suffix in {".md", ".html"}]
    flags = 0
    for path in files:
        data = path.read_bytes()
        front = parse(data, path.name)
        cached = [r for r in front.references if r.is_cached]
        flags += len(cached)
        head, body = data[: front.body_offset], data[front.body_offset :]
        struck = re.sub(rb"(?m)^ *isCached: true\r?\n", b"", head) + body
        bare = parse(struck, path.name).references
        edits = [at(r, flag=True) for r, was in zip(bare, front.references, strict=True) if was.is_cached]
        assert apply(struck, edits) == data, path
        assert apply(data, [at(r, flag=False) for r in cached]) == struck, path
        assert {r.field for r in cached} <= {"images"}
    assert (len(files), flags) == (372, 301)


def test_every_url_of_the_real_site_can_be_replaced_and_put_back(shared: Path) -> None:
    total = 0
    for path in sorted((shared / "site").rglob("*")):
        if path.suffix not in {".md", ".html"}:
            continue
        data = path.read_bytes()
        before = parse(data, path.name).references
        edited = apply(data, [Edit(r.line, r.column, url=f"{r.url}?new", was=r.url) for r in before])
        after = parse(edited, path.name).references
        assert [r.url for r in after] == [f"{r.url}?new" for r in before], path
        assert len(edited) - len(data) == len("?new") * len(before), path
        back = [Edit(r.line, r.column, url=r.url.removesuffix("?new"), was=r.url) for r in after]
        assert apply(edited, back) == data, path
        total += len(before)
    assert total == 646
