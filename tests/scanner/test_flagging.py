"""A flag in plain lines is the flag that an edit at the marks of the nodes gives, or is left to that."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcache.core import Edit, Size
from imgcache.scanner.frontmatter import apply, parse
from imgcache.scanner.frontmatter import edits as splices
from imgcache.scanner.frontmatter.flagging import flagged
from tests.scanner.test_frontmatter_laws import articles
from tests.support.front_matter import at
from tests.support.site_files import strike


def at_the_nodes(data: bytes, edits: list[Edit]) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splices, "flagged", lambda *_: None)
        return apply(data, edits)


def wishes(data: bytes) -> list[Edit]:
    return [at(r, flag=True) for r in parse(data, "a.md").references if r.flaggable and r.is_cached is None]


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(articles(), st.data())
def test_flags_are_the_same_as_with_the_parser(data: bytes, choice: st.DataObject) -> None:
    every = wishes(data)
    edits = [edit for edit in every if choice.draw(st.booleans())]
    if edits:
        assert flagged(data, edits) in {None, at_the_nodes(data, edits)}


def test_the_real_articles_are_all_plain(shared: Path, tmp_path: Path) -> None:
    seen = 0
    for path in sorted((shared / "site").rglob("*.md")):
        copy = tmp_path / "a.md"
        copy.write_bytes(path.read_bytes())
        strike(tmp_path)
        data = copy.read_bytes()
        edits = wishes(data)
        if edits:
            seen += 1
            assert flagged(data, edits) == at_the_nodes(data, edits), path.name
    assert seen > 100


PLAIN = b"---\nimages:\n- url: https://e.org/a.jpg\n  width: 6\n---\n"


@pytest.mark.parametrize(
    ("data", "edit"),
    [
        (PLAIN, Edit(3, 8, flag=False)),
        (PLAIN, Edit(3, 8, flag=True, size=Size(1, 1))),
        (PLAIN, Edit(3, 8, flag=True, url="https://e.org/b.jpg")),
        (PLAIN, Edit(4, 8, flag=True)),
        (PLAIN.replace(b"6\n", b"6\n  isCached: false\n"), Edit(3, 8, flag=True)),
        (PLAIN.replace(b"6\n", b"\n    6\n"), Edit(3, 8, flag=True)),
        (PLAIN.replace(b"6", b"&a 6"), Edit(3, 8, flag=True)),
        (PLAIN.replace(b"\n", b"\r"), Edit(3, 8, flag=True)),
        (b"no front matter", Edit(1, 1, flag=True)),
    ],
)
def test_other_edits_are_left_to_the_parser(data: bytes, edit: Edit) -> None:
    assert flagged(PLAIN, [Edit(3, 8, flag=True)]) == PLAIN.replace(b"6\n", b"6\n  isCached: true\n")
    assert flagged(data, [edit]) is None
