"""Laws of edits of front matter, for any article and for the real site."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcache.core import ArticleUnreadable, Edit
from imgcache.scanner.frontmatter import apply, parse
from imgcache.scanner.frontmatter.entries import entries
from imgcache.scanner.frontmatter.yaml_marks import read_head
from tests.support.front_matter import URL, at, read

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
def test_skipping_plain_keys_changes_no_reference(data: bytes) -> None:
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
def test_any_bytes_are_read_or_refused(parts: list[str]) -> None:
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
