"""Front matter in TOML, between `+++`: what is read of it, where, and edits that change their own place alone."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.origin import Origin
from imgcache.core import ArticleChanged, ArticleUnreadable, Declared, Edit, Focus, Size
from imgcache.scanner.frontmatter import apply, documents, parse
from imgcache.scanner.frontmatter.documents import edits
from imgcache.scanner.frontmatter.splicing import spliced
from tests.conftest import Command, MakeSite, picture
from tests.support.front_matter import URL, at, flagged, only, read

ALL_FORMS = """+++
# a comment with "quotes" and [brackets]
title = "Harbour \\u00e9 \\"news\\""
'quoted key' = 'C:\\path'
date = 1979-05-27 07:32:00
weight = 1_000
nan = nan
site."a.b".c = true
text = \"\"\"
[[images]]
url = "https://example.org/not-an-entry.png"
with "quotes\"\"\"\"
images = ["https://example.org/1.png", {url = 'https://example.org/2.png', width = 3}]

[[related]]
  [[related.images]]
    url = "https://example.org/3.png"   # with a comment
    width = 640
    height = 0x10
    alt = "one"
  [[related.images]]
    image.unrelated = 1
    url = '''https://example.org/4.png'''
    isCached = false
[params.cover]
images.url = "https://example.org/5.png"
images.width = "20"
images.focus = [0.25, 1]
+++
![](https://example.org/body.png)
"""

FOUND = [
    (13, 11, "images", "https://example.org/1.png", Declared(), None, False),
    (13, 47, "images", "https://example.org/2.png", Declared(3), None, True),
    (17, 11, "related.images", "https://example.org/3.png", Declared(640, 16), None, True),
    (23, 11, "related.images", "https://example.org/4.png", Declared(), False, True),
    (26, 14, "params.cover.images", "https://example.org/5.png", Declared(20), None, True),
]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_all_forms_are_read_with_their_places(newline: str, bom: str) -> None:
    data = (bom + ALL_FORMS.replace("\n", newline)).encode()
    front = parse(data, "a.md")
    found = [(r.line, r.column, r.field, r.url, r.declared, r.is_cached, r.flaggable) for r in front.references]
    assert found == FOUND
    assert front.references[-1].focus == Focus((0.25, 1.0), 28, 1)
    assert data[front.body_offset :].decode().startswith("![](")
    assert front.body_line == 30


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_flag_is_a_line_after_the_last_of_url_width_and_height_or_an_item(newline: str, bom: str) -> None:
    text = bom + ALL_FORMS.replace("\n", newline)
    expected = (
        text.replace("width = 3}", "width = 3, isCached = true}")
        .replace(f"    height = 0x10{newline}", f"    height = 0x10{newline}    isCached = true{newline}")
        .replace("isCached = false", "isCached = true")
        .replace(f'images.width = "20"{newline}', f'images.width = "20"{newline}images.isCached = true{newline}')
    )
    assert flagged(text) == expected
    cleared = flagged(expected, flag=False)
    assert cleared == text.replace(f"    isCached = false{newline}", "")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('{url = "U"}', '{url = "U", isCached = true}'),
        ('{ url = "U" }', '{ url = "U", isCached = true }'),
        ('{ a = [1, # one\n2], url = "U"}', '{ a = [1, # one\n2], url = "U", isCached = true}'),
        ('{url = "U", a.b = 1}', '{url = "U", a.b = 1, isCached = true}'),
    ],
)
def test_an_inline_table_gets_a_last_item(entry: str, expected: str) -> None:
    text = f"+++\nimages = [{entry.replace('U', URL)}]\n+++\n"
    assert flagged(text) == f"+++\nimages = [{expected.replace('U', URL)}]\n+++\n"
    assert flagged(flagged(text), flag=False) == text


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('{isCached = true, url = "U"}', '{url = "U"}'),
        ('{url = "U", isCached = true, width = 3}', '{url = "U", width = 3}'),
        ('{a.b = 1, isCached = true, url = "U"}', '{a.b = 1, url = "U"}'),
    ],
)
def test_a_flag_is_taken_out_of_an_inline_table_wherever_it_stands(entry: str, expected: str) -> None:
    text = "+++\nimages = [{}]\n+++\n"
    assert flagged(text.format(entry.replace("U", URL)), flag=False) == text.format(expected.replace("U", URL))


@pytest.mark.parametrize(
    ("entry", "edit", "expected"),
    [
        ('url = "U"\nwidth = 1 # c\n', Edit(3, 7, size=Size(30, 40)), 'url = "U"\nwidth = 30 # c\n'),
        ('url = "U"\nheight = "1"\n', Edit(3, 7, size=Size(30, 40)), 'url = "U"\nheight = "40"\n'),
        ("url = 'U'\n", Edit(3, 7, url="https://e.org/it.png"), "url = 'https://e.org/it.png'\n"),
        ("url = 'U'\n", Edit(3, 7, url="https://e.org/it's.png"), 'url = "https://e.org/it\'s.png"\n'),
        ('url = """U"""\n', Edit(3, 7, url='https://e.org/"é'), 'url = "https://e.org/\\"é"\n'),
    ],
)
def test_sizes_and_urls_are_written_in_their_own_style(entry: str, edit: Edit, expected: str) -> None:
    text = "+++\n[[images]]\n{}+++\nbody\n".format(entry.replace("U", URL))
    assert apply(text.encode(), [edit]).decode() == "+++\n[[images]]\n{}+++\nbody\n".format(expected.replace("U", URL))


@pytest.mark.parametrize(
    ("block", "line", "column", "message"),
    [
        ("a = 1\nb = \n", 3, 5, "not valid TOML: Invalid value; correct it here"),
        ("a = 1\na = 2\n", 3, 6, "not valid TOML: Cannot overwrite a value"),
        ('a = """\n', 3, 1, "not valid TOML"),
        ("a = " + "[" * 5000 + "\n", 1, 1, "nested deeper than 100"),
    ],
)
def test_what_is_not_toml_is_said_with_its_place(block: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ArticleUnreadable, match=message) as caught:
        parse(f"+++\n{block}+++\n".encode(), "a.md")
    assert (caught.value.line, caught.value.column) == (line, column)


def test_what_merely_begins_like_toml_is_a_body() -> None:
    for text in ("+++", "+++\nA paragraph.\n", "+++ bold +++\n", "++++\na = 1\n++++\n"):
        assert parse(text.encode(), "a.md").body_offset == 0
    with pytest.raises(ArticleUnreadable, match="add a line `\\+\\+\\+`"):
        parse(b"+++\ntitle = 'x'\n\nBody\n", "a.md")


def test_an_edit_that_names_another_place_is_refused() -> None:
    data = f'+++\nimages = ["{URL}"]\n+++\n'.encode()
    with pytest.raises(ArticleChanged):
        apply(data, [Edit(2, 12, flag=True)])
    with pytest.raises(ArticleChanged):
        apply(data, [Edit(2, 11, url=URL, was="https://example.org/other.png")])
    with pytest.raises(ArticleUnreadable, match="cannot be edited"):
        apply(data, [at(only(data), flag=True)])


def test_every_string_has_its_key_path_and_place() -> None:
    text = '+++\na.b = ["x", {c = "y"}]\n[[t]]\nu = 1\n[[t]]\nu = """z"""\n+++\n'
    found = documents.strings(documents.read(text.encode()))
    assert [one[:4] for one in found] == [("x", "a.b", 2, 8), ("y", "a.b.c", 2, 18), ("z", "t.u", 6, 5)]


@pytest.mark.parametrize(
    ("good", "damage"), [('"t"', '"u"'), (URL, f"{URL}x"), ("\n+++", "\n+++\n+++"), ("= true", "= 1")]
)
def test_a_splice_that_does_anything_else_is_refused(monkeypatch: pytest.MonkeyPatch, good: str, damage: str) -> None:
    monkeypatch.setattr(edits, "spliced", lambda *args: spliced(*args).replace(good, damage))
    data = f'+++\ntitle = "t"\n[[images]]\nurl = "{URL}"\n+++\nbody\n'.encode()
    with pytest.raises(ArticleUnreadable, match="cannot be edited"):
        apply(data, [at(only(data), flag=True)])


# -- laws over generated documents -------------------------------------------------------------------------------------

_WORDS = st.text(st.sampled_from("aé#=[]{},.'\"\\ \t-:0"), max_size=8)


@st.composite
def _strings(draw: st.DrawFn) -> str:
    """A string in one of the four forms."""
    word = draw(_WORDS)
    basic = word.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    forms = [f'"{basic}"', f'"""{basic}"""', f'"""\n{basic}\n \\\n  x"""']
    if "'" not in word:
        forms += [f"'{word}'", f"'''{word}'''", f"'''\n{word}''\n'''"]
    return draw(st.sampled_from(forms))


_SCALARS = st.one_of(
    _strings(),
    st.sampled_from(["1_0", "0xff", "1e3", "inf", "true", "1979-05-27", "07:32:00",
                     "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.5"]),
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # c\n".join(items) + " ]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"k{n}.x = {v}" for n, v in enumerate(items)) + "}"
        ),
    ),
    max_leaves=5,
)


@st.composite
def _entries(draw: st.DrawFn, prefix: str = "") -> list[str]:
    """The pairs of one entry, in any order."""
    pairs = [f'{prefix}url = "{URL}?{draw(st.integers(0, 9))}"', f"{prefix}alt = {draw(_SCALARS)}"]
    pairs += [f"{prefix}{key} = {draw(st.integers(1, 99))}" for key in ("width", "height") if draw(st.booleans())]
    if draw(st.booleans()):
        pairs.append(f"{prefix}isCached = {draw(st.sampled_from(['true', 'false']))}")
    return draw(st.permutations(pairs))


@st.composite
def articles(draw: st.DrawFn) -> bytes:
    """An article of Hugo's with images in all forms."""
    indent, lines = draw(st.sampled_from(["", "  ", "\t"])), ["+++"]
    lines += [f"k{number} = {value} # c" for number, value in enumerate(draw(st.lists(_VALUES, max_size=3)))]
    inline = [
        "{" + ", ".join(entry) + "}" if "\n" not in "".join(entry) else f'"{URL}"'
        for entry in draw(st.lists(_entries(), max_size=3))
    ]
    lines.append(f"images = [ {', '.join([*inline, chr(39) + URL + chr(39)])} ]")
    for entry in draw(st.lists(_entries(), max_size=3)):
        lines += ["", f"{indent}[[ related . images ]]", *(indent + pair for pair in entry)]
    if draw(st.booleans()):
        lines += ["[dotted]", *draw(_entries(prefix="images . "))]
    text = "\n".join([*lines, "+++", "body"]).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return (draw(st.sampled_from(["", "\ufeff"])) + text).encode()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150, deadline=None)
@given(articles())
def test_set_and_clear_give_the_same_bytes(data: bytes) -> None:
    numbers = [number for number, r in enumerate(read(data)) if r.flaggable and r.is_cached is None]
    wished = [at(read(data)[number], flag=True) for number in numbers]
    after = apply(data, wished)
    assert after.count(b"isCached") == data.count(b"isCached") + len(wished)
    assert [(r.url, r.field) for r in read(after)] == [(r.url, r.field) for r in read(data)]
    cleared = [at(read(after)[number], flag=False) for number in numbers]
    assert apply(after, cleared) == data


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100, deadline=None)
@given(articles(), st.data())
def test_each_edit_changes_its_own_line_alone(data: bytes, choice: st.DataObject) -> None:
    reference = choice.draw(st.sampled_from(read(data)))
    edited = apply(data, [Edit(reference.line, reference.column, url="https://new.example/n.png")])
    old, new = data.split(b"\n"), edited.split(b"\n")
    assert [n for n, (a, b) in enumerate(zip(old, new, strict=True), 1) if a != b] == [reference.line]
    assert [r.url for r in read(edited)].count("https://new.example/n.png") == 1


# -- from the outside --------------------------------------------------------------------------------------------------


def test_a_sync_flags_articles_in_toml(run: Command, origin: Origin, make_site: MakeSite) -> None:
    url = "https://pictures.example/a.jpg"
    origin.answers.set(url, picture(40, 30))
    text = f'+++\ntitle = "t"\n\n[[images]]\n  url = "{url}"\n  width = 40\n  height = 30\n+++\nbody\n'
    site = make_site({"a.md": text})
    ended = run("sync", site, "--json")
    assert (ended.code, ended.json()["cached"]) == (0, 1), ended
    assert (site / "a.md").read_text() == text.replace("  height = 30\n", "  height = 30\n  isCached = true\n")
