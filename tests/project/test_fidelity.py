"""The contact sheets: the script gives the same bytes each time, and nothing is missing."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import ROOT

PAGE = ROOT / "docs/fidelity.html"
SOME = {"p3", "cmyk", "broken", "orientation-6", "edges", "sixteen", "gif", "apng"}


def module(name: str) -> Any:
    """A module of scripts/, where modules import each other by their bare names."""
    sys.path.insert(0, str(ROOT / "scripts" / "contact_sheets"))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(ROOT / "scripts" / "contact_sheets"))


sheets, cases = map(module, ("contact_sheets", "contact_cases"))


class Page(HTMLParser):
    """What a page names: its pictures, its rows, its elements."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.pictures: list[dict[str, str]] = []
        self.rows: list[str] = []
        self.elements: set[str] = set()
        self.text = file.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.add(tag)
        if tag == "img":
            self.pictures.append(found)
        elif tag == "article":
            self.rows.append(found["id"])


def some() -> list[Any]:
    """One section with a few cases of all kinds."""
    chosen = [case for section in cases.SECTIONS for case in section.cases if case.name in SOME]
    assert len(chosen) == len(SOME)
    return [cases.Section("Some", "A few of them.", tuple(chosen))]


def is_whole(page: Path, files: list[Path]) -> None:
    """Every picture that is named is there in its size, with words for those who do not see it; no other is there."""
    found = Page(page)
    assert {page.parent / one["src"] for one in found.pictures} == set(files) - {page}
    assert all(one["alt"] for one in found.pictures)
    assert not found.elements & {"script", "iframe", "object", "embed", "link"}
    for one in found.pictures:
        with Image.open(page.parent / one["src"]) as image:
            turned = image.getexif().get(0x0112, 1) >= 5
            width, height = image.size[::-1] if turned else image.size
            zoom = int(one["width"]) // width
            assert (width * zoom, height * zoom) == (int(one["width"]), int(one["height"])), one["src"]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, list[Path]]]:
    """A few cases, made two times."""
    folders = [tmp_path_factory.mktemp("fidelity") for _ in range(2)]
    return [(folder, sheets.write(folder, some())) for folder in folders]


def test_contact_sheets_are_reproducible(twice: list[tuple[Path, list[Path]]]) -> None:
    first, second = ({str(file.relative_to(folder)): file.read_bytes() for file in files} for folder, files in twice)
    assert len(first) > 3 * len(SOME)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_every_variant_is_shown(twice: list[tuple[Path, list[Path]]]) -> None:
    folder, files = twice[0]
    page = folder / "fidelity.html"
    is_whole(page, files)
    assert sorted(folder.rglob("*.*")) == sorted(files)
    text = page.read_text()
    assert "Warning: the colour profile is broken" in text
    assert text.count("8 frames, 1.5 s, for ever") == 2


def test_the_committed_page_is_complete_and_small() -> None:
    files = [PAGE, *(file for file in (ROOT / "docs/fidelity").rglob("*") if file.is_file())]
    is_whole(PAGE, files)
    assert sum(file.stat().st_size for file in files) < sheets.LARGEST
    page = Page(PAGE)
    assert page.rows == [case.name for section in cases.SECTIONS for case in section.cases], "run scripts/fidelity"
