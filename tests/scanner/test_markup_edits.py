"""Bodies: another URL changes its own place and no other character."""

from __future__ import annotations

import html as entities
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.core import ArticleChanged, ArticleUnreadable, Edit, Reference, Size
from imgcache.scanner.frontmatter import parse
from imgcache.scanner.markup import apply, edits, references

OLD, NEW = "http://h/a.png", "https://new.example/b.png"


def find(text: str, *, html: bool = False) -> tuple[Reference, ...]:
    return references(text, "a.md", first_line=5, html=html)


def replace(text: str, new: str, *, number: int = 0, html: bool = False) -> str:
    """The text with one image's URL replaced."""
    reference = find(text, html=html)[number]
    edit = Edit(reference.line, reference.column, url=new, was=reference.url)
    return apply(text, "a.md", [edit], first_line=5, html=html)


MARKDOWN = [
    ("![a](O)", NEW, NEW),
    ("é😀 ![a](O 'O') O", NEW, NEW),
    ("![a](\n   O)", NEW, NEW),
    ("![a](<O>)", NEW, NEW),
    ("![a](<O>)", "a b.png", "a b.png"),
    ("![a](<O>)", "a<b>.png", r"a\<b\>.png"),
    ("> - 1. ![a](O)", NEW, NEW),
    ("\t- a\n\n- b\n\n\t![a](O)", NEW, NEW),
    ("[![a](O)](O)", NEW, NEW),
    ("![a][B]\n\n[b]: O 'no'", NEW, NEW),
    ("![a][B]\n\n[b]: <O>", NEW, NEW),
    ("![b][]\n\n> [B]:\n> O", NEW, NEW),
    ("![b][]\n\n> [B]:\n> O", "a b", "<a b>"),
    ("![b]\n\n[b]: O", "a b", "<a b>"),
    ("![a](O)", "a b.png", "<a b.png>"),
    ("![a](O)", "a(b).png", "a(b).png"),
    ("![a](O)", "a(b.png", "<a(b.png>"),
    ("![a](O)", "a)b.png", "<a)b.png>"),
    ("![a](O)", "?a=1&b=2", "?a=1&b=2"),
    ("![a](O)", "?a&copy;b", "?a&amp;copy;b"),
    ("![a](O)", "a\\_b\\c", "a\\\\_b\\c"),
    ("![a](O)", "a\\", "a\\\\"),
    ("text <img alt='' src=O> O", NEW, NEW),
    ("text <img\n  src='O'> text", NEW, NEW),
    ("> <div>\n> <img src=' O '>\n> </div>", NEW, NEW),
    ("- a\n\n  <p><img src=O></p>", NEW, NEW),
    ("{% comment %}![a](O){% endcomment %}\n<img src=N>".replace("N", OLD).replace("O)", "no)"), NEW, NEW),
]
HTML = [
    ("<p>O<img src='O' alt='O'>", NEW, NEW),
    ('<img src="O">', "?a=1&b=2", "?a=1&amp;b=2"),
    ('<img src="O">', "it's", "it's"),
    ("<img src='O'>", "it's", "it&#39;s"),
    ("<img alt=\"a\" src='O'>", "it's", "it&#39;s"),
    ("<img src='O'>", 'a"b', 'a"b'),
    ('<img src="O">', 'a"b', "a&#34;b"),
    ("<img src=O alt='x'>", "a'b", "a&#39;b"),
    ('<img src="O">', "<b>", "&lt;b&gt;"),
    ("<source srcset='x 1x, O 2x, y 3x'>", NEW, NEW),
    ("<picture><source srcset='O,\n z 2x'></picture>", NEW, NEW),
    ('<img srcset="it\'s 1x, O 2x">', "it's", "it's"),
    ("<IMG\tSRC = O/>".replace("/>", " >"), NEW, NEW),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("html", "text", "new", "written"), [(False, *case) for case in MARKDOWN] + [(True, *case) for case in HTML]
)
def test_a_new_url_is_escaped_for_its_place(html: bool, text: str, new: str, written: str, line_end: str) -> None:
    text = text.replace("O", OLD).replace("\n", line_end)
    (number,) = [n for n, reference in enumerate(find(text, html=html)) if reference.url == OLD]
    reference = find(text, html=html)[number]
    lines = re.split(r"(\r\n|\n|\r)", text)
    at = 2 * (reference.line - 5)
    before, column = "".join(lines[:at]), reference.column - 1
    assert lines[at].startswith(OLD, column)
    expected = before + lines[at][:column] + written + lines[at][column + len(OLD) :] + "".join(lines[at + 1 :])
    edited = replace(text, new, number=number, html=html)
    assert edited == expected
    assert find(edited, html=html)[number].url == new


@pytest.mark.parametrize(
    ("text", "new", "expected"),
    [
        ('<img src="?a&amp;b">', "?c&d", '<img src="?c&amp;d">'),
        ('<img src="?a&b">', "?c&d", '<img src="?c&d">'),
        ('<img src="?a&b">', "?c&copy;", '<img src="?c&amp;copy;">'),
        ('<img src="&#104;ttp&#x3a;//h/x">', "y", '<img src="y">'),
        ("![a](?a&amp;b)", "?c&d", "![a](?c&amp;d)"),
        ("![a](x\\_y)", "x_z", "![a](x_z)"),
        ("![a](x\\(y)", "z", "![a](z)"),
    ],
)
def test_an_escaped_url_is_replaced_by_one_escaped_likewise(text: str, new: str, expected: str) -> None:
    assert replace(text, new) == expected


def test_a_url_that_comes_twice_is_replaced_where_it_was_asked() -> None:
    text = f"![a]({OLD}) ![a]({OLD})\n<img src={OLD} srcset='{OLD} 1x, {OLD} 2x'>"
    for number in range(5):
        urls = [reference.url for reference in find(replace(text, NEW, number=number))]
        assert urls == [NEW if n == number else OLD for n in range(5)]
    wished = [Edit(reference.line, reference.column, url=NEW) for reference in find(text)]
    assert apply(text, "a.md", reversed(wished), first_line=5, html=False) == text.replace(OLD, NEW)
    assert apply(text, "a.md", [], first_line=5, html=False) == text


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("![a](O)", ""), ("![a](O)", "a\nb"), ("![a](O)", "a\x00b"), ("![a](O)", "{{ x }}"), ("![a](O)", "a\u200bb"),
        ("<img src='O'>", " a"), ("<img src=O>", "a b"), ("<img srcset='O 1x'>", "a b"), ("<img srcset='O 1x'>", "a,"),
        ("<img src=O>", "?a=b"),  # CommonMark knows no `=` in a value without quotes: the tag would be text
    ],
)  # fmt: skip
def test_what_cannot_be_written_there_is_refused(text: str, new: str) -> None:
    with pytest.raises(ArticleUnreadable, match="by hand") as caught:
        replace(text.replace("O", OLD), new)
    assert caught.value.line == 5


def test_an_edit_of_another_place_or_another_url_says_that_the_file_changed() -> None:
    text = f"![a]({OLD})"
    for edit in (Edit(5, 5, url=NEW), Edit(6, 6, url=NEW), Edit(5, 6, url=NEW, was="x")):
        with pytest.raises(ArticleChanged) as caught:
            apply(text, "a.md", [edit], first_line=5, html=False)
        assert (caught.value.line, caught.value.column) == (edit.line, edit.column)


@pytest.mark.parametrize("edit", [Edit(5, 6, size=Size(1, 2)), Edit(5, 6, flag=True)])
def test_a_body_takes_no_flag_and_no_size(edit: Edit) -> None:
    with pytest.raises(ArticleUnreadable, match="front matter"):
        apply(f"![a]({OLD})", "a.md", [edit], first_line=5, html=False)


def test_a_wrong_splice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with a splice, the text stays as it is."""
    original = edits.find_splice
    for damage in ("\n", ") ![b](c"):
        monkeypatch.setattr(
            edits, "find_splice", lambda *a, d=damage, **k: (s := original(*a, **k)) and s._replace(text=s.text + d)
        )
        with pytest.raises(ArticleUnreadable):
            replace(f"![a]({OLD})\n\n![b](x)", NEW)


# --- laws ------------------------------------------------------------------------------------------------------------

FORMS = [
    "![é]({m})", "![x](<{a}> 't')", "![x](\n  {m}\n 't')", "[![n]({m})](http://h)", "a <img src='{h}'> b",
    '<img alt="x>" src=" {h} " />', "<img srcset='{h} 1x, http://h/2 2x'>",
    '<picture><source srcset="http://h/1 1x,{h}"></picture>',
    "`![a]({m})`", "<b>{h}</b>", "[l]({m})", "text {m}",
]  # fmt: skip
BETWEEN = ["\n", "\n\n", "\n> ", "\n\n- ", "\n\n# ", "\n\n1. ", " ", "\n\n<div>\n", "\n\n\t"]
PLAIN = st.text(st.sampled_from("abé😀/.?=%-:"), max_size=9).map(lambda path: f"http://h/x{path}x")
NASTY = st.text(st.sampled_from("ab&;()<>[]'\"\\ =`#*_!,{%\u200b\n"), min_size=1, max_size=9)
URLS = st.one_of(PLAIN, NASTY, NASTY.map(lambda path: f"http://h/x{path}x"), st.just("?a=1&b=2&copy;"))


@st.composite
def bodies(draw: st.DrawFn, *, simple: bool = False) -> str:
    """Images and what looks like images. A simple one writes each URL as an edit writes it."""
    text = draw(st.sampled_from(["", "é ", "> ", "- "]))
    for _ in range(draw(st.integers(1, 5))):
        url = draw(st.one_of(PLAIN, st.just("http://h/?a&b"), st.just("http://h/a b(")))
        bare = re.sub(r"[ (]", "", url)
        raw = {
            "m": bare if simple or draw(st.booleans()) else url.replace("(", r"\(").replace(" ", ""),
            "a": url,
            "h": entities.escape(url.replace(" ", "")),
        }
        text += draw(st.sampled_from(FORMS)).format(**raw) + draw(st.sampled_from(BETWEEN))
    if draw(st.booleans()):
        text += "\n\n![l][ref] ![ref]\n\n> [ref]: " + draw(st.sampled_from(["http://h/r", "<http://h/r r> 't'"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


laws = settings(max_examples=200)


@laws
@given(bodies(), URLS, st.booleans(), st.data())
def test_another_url_changes_nothing_else(text: str, new: str, html: bool, choice: st.DataObject) -> None:
    before = find(text, html=html)
    if not before:
        return
    number = choice.draw(st.integers(0, len(before) - 1))
    try:
        edited = replace(text, new, number=number, html=html)
    except ArticleUnreadable:
        assert re.search(r"[^\w/.?=%:&;😀-]|=|^[=?&;]|[{%]", new), "a plain URL can always be written"
        return
    after = find(edited, html=html)
    assert [r.url for r in after] == [new if n == number else r.url for n, r in enumerate(before)]
    assert [r.line for r in after] == [r.line for r in before]
    lines, others = re.split(r"\r\n|\n", text), re.split(r"\r\n|\n", edited)
    at = before[number].line - 5
    assert [n for n, pair in enumerate(zip(lines, others, strict=True)) if len({*pair}) == 2] in ([at], [])
    column = before[number].column - 1
    assert others[at].startswith(lines[at][:column])
    rest = lines[at][column:]
    escapes = max(1, len(re.findall(r"[()]", before[number].url)))  # those of this URL, and of no other
    for shape in (rest, entities.unescape(rest), re.sub(r"\\([()])", r"\1", rest, count=escapes)):
        if shape.startswith(before[number].url):
            tail = shape[len(before[number].url) :]
            assert tail[-3:] == others[at][-3:] if len(tail) >= 3 else others[at].endswith(tail)
            return
    pytest.fail("the URL does not stand where it is said")


@laws
@given(bodies(simple=True), st.lists(PLAIN, min_size=12, max_size=12), st.booleans())
def test_all_urls_replaced_and_put_back_give_the_same_text(text: str, news: list[str], html: bool) -> None:
    before = find(text, html=html)
    wished = [Edit(r.line, r.column, url=new, was=r.url) for r, new in zip(before, news, strict=False)]
    edited = apply(text, "a.md", wished, first_line=5, html=html)
    after = find(edited, html=html)
    assert [r.url for r in after][: len(news)] == [edit.url for edit in wished]
    back = [Edit(r.line, r.column, url=old.url) for r, old in zip(after, before, strict=True)][: len(news)]
    assert apply(edited, "a.md", back, first_line=5, html=html) == text


# --- the real site ---------------------------------------------------------------------------------------------------


def test_every_body_of_the_real_site_takes_other_urls_and_gives_them_back(shared: Path) -> None:
    total = 0
    for path in sorted((shared / "site").rglob("*")):
        if path.suffix not in {".md", ".html"}:
            continue
        data = path.read_bytes()
        text = data[parse(data, path.name).body_offset :].decode()
        html = path.suffix == ".html"
        before = find(text, html=html)
        wished = [Edit(r.line, r.column, url=f"{r.url}-new", was=r.url) for r in before]
        edited = apply(text, path.name, wished, first_line=5, html=html)
        after = find(edited, html=html)
        assert [r.url for r in after] == [f"{r.url}-new" for r in before], path
        assert len(edited) - len(text) == len("-new") * len(before), path
        back = [Edit(r.line, r.column, url=old.url, was=r.url) for r, old in zip(after, before, strict=True)]
        assert apply(edited, path.name, back, first_line=5, html=html) == text, path
        total += len(before)
    assert total > 1000
