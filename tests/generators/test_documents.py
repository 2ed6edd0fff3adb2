"""What parsers that are not ours read in the rewritten pages and feeds of each generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import feedparser
import html5lib
import pytest

from tests.generators.conftest import Rewritten
from tests.generators.pictures import HOSTS, NEVER_HELD
from tests.generators.sites import GENERATORS, SITE

_MARK = "data-imgcache"
_ADDED = {"srcset", "sizes", "width", "height", "loading", "decoding", "fetchpriority", "style", _MARK}


def parts(element: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """The elements and texts below an element, in order, without the elements that a rewrite adds."""
    ours = element.get(_MARK)
    if not isinstance(element.tag, str):
        yield f"comment {element.text}", {}
    elif not (element.tag == "style" and ours == "layout") and not (element.tag == "source" and ours == "added"):
        is_wrapper = element.tag == "picture" and ours == "formats"
        if not is_wrapper:
            yield element.tag, dict(element.attrib)
            yield f"text {element.text or ''}", {}
        for child in element:
            if not (is_wrapper and child.tag == "source"):
                yield from parts(child)
            if child.tail:
                yield f"text {child.tail}", {}
        if not is_wrapper:
            yield f"end of {element.tag}", {}


def parsed(data: bytes) -> list[tuple[str, dict[str, str]]]:
    return list(parts(html5lib.parse(data, transport_encoding="utf-8", namespaceHTMLElements=False)))


def is_remote(value: str) -> bool:
    return any(host in value for host in HOSTS)


def test_pages_are_the_same_trees_but_for_the_attributes_of_images(made: Rewritten) -> None:
    pages = [path.relative_to(made.built) for path in made.built.rglob("*.html")]
    assert set(made.generator.pages) <= {page.as_posix() for page in pages}
    changed = 0
    for page in pages:
        before, after = parsed((made.before / page).read_bytes()), parsed((made.built / page).read_bytes())
        assert [what for what, _ in before] == [what for what, _ in after], page
        for (tag, old), (_, new) in zip(before, after, strict=True):
            kept = {name: value for name, value in old.items() if not is_remote(value)}
            assert {name: new.get(name) for name in kept} == kept, (page, tag)
            assert new.keys() - old.keys() <= (_ADDED if tag == "img" else set()), (page, tag)
            changed += old != new
    assert changed


def _images(html: str) -> list[str]:
    fragment = html5lib.parseFragment(html, namespaceHTMLElements=False)
    return [one.get("src", "") for one in fragment.iter("img")]


def _file(built: Path, url: str) -> Path:
    assert url.startswith(SITE), url
    return built / url.removeprefix(SITE)


@pytest.mark.parametrize("name", [name for name, generator in GENERATORS.items() if generator.feeds])
def test_feeds_are_valid_and_lead_to_files_of_the_site(made: Rewritten) -> None:
    for feed in made.generator.feeds:
        before, after = (feedparser.parse((built / feed).read_bytes()) for built in (made.before, made.built))
        assert (after.bozo, len(after.entries)) == (before.bozo, len(before.entries)) == (False, len(before.entries))
        assert after.entries
        for old, new in zip(before.entries, after.entries, strict=True):
            assert (new.title, new.link) == (old.title, old.link)
            bodies = [
                (was.value, now.value) for was, now in zip(old.get("content", ()), new.get("content", ()), strict=True)
            ]
            for was, now in [*bodies, (old.get("summary", ""), new.get("summary", ""))]:
                assert len(_images(was)) == len(_images(now))
                for url in _images(now):
                    assert url in NEVER_HELD or url.startswith("data:") or _file(made.built, url).is_file(), url
            for enclosure in new.get("enclosures", ()):
                file = _file(made.built, enclosure.href)
                assert (int(enclosure.length), enclosure.type) == (file.stat().st_size, "image/jpeg")
