"""The documents agree with the code: named files and tests exist, and links have targets."""

from __future__ import annotations

import ast
import itertools
import re
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FOLDERS = ("docs", "examples", "imgcache", "scripts", "tests", ".github", ".ci")

_DISTRIBUTION = re.compile(r"[A-Za-z0-9._-]+")
_SPECIAL = re.compile(r"[^\w\- ]")


@cache
def tokens(document: Path) -> list[Token]:
    """Blocks and, flattened, their contents."""
    blocks = MarkdownIt("commonmark").enable("table").parse(document.read_text())
    return [token for block in blocks for token in (block, *(block.children or ()))]


def codes(document: Path) -> list[str]:
    return [token.content for token in tokens(document) if token.type == "code_inline"]


def rows(document: Path) -> list[list[str]]:
    """The cells of every row of every table, heads included."""
    found: list[list[str]] = []
    for before, token in itertools.pairwise(tokens(document)):
        if token.type == "tr_open":
            found.append([])
        elif before.type in {"th_open", "td_open"}:
            found[-1].append(token.content)
    return found


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    found = tokens(document)
    headings = [found[number + 1].content for number, token in enumerate(found) if token.type == "heading_open"]
    return {_SPECIAL.sub("", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def defined_in(file: Path) -> set[str]:
    """All tests of a file, those of classes as `Class::test`."""
    names = set[str]()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def is_there(word: str) -> bool:
    """Whether a path of this repository, perhaps with `::test`, exists."""
    path, _, test = word.partition("::")
    file = ROOT / path
    return test in defined_in(file) if test and file.is_file() else file.exists() and not test


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_named_file_and_test_exists(document: Path) -> None:
    named = [word.split()[0] for word in codes(document) if word.partition("/")[0] in FOLDERS and "/" in word]
    assert [word for word in named if not is_there(word)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_has_a_target(document: Path) -> None:
    astray = []
    for link in (str(token.attrs["href"]) for token in tokens(document) if token.type == "link_open"):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            astray.append(link)
    assert astray == []


def test_the_layers_are_those_of_the_import_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    drawn = [token.content for token in tokens(ROOT / "docs/architecture.md") if token.info == "text"]
    assert drawn[0].splitlines() == contract["layers"]


def test_every_dependency_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(text for group in groups for text in group)]
    dependencies = {match[0].lower() for text in wanted if (match := _DISTRIBUTION.match(text))}
    reasons = {row[0] for row in rows(ROOT / "docs/decisions/0002-dependencies.md")} - {"package"}
    assert sorted(dependencies - reasons) == []
    for name in reasons:
        metadata.version(name)  # raises where it is not installed: the row is of a package that went


def test_every_documented_fault_is_tested() -> None:
    named = [word for word in codes(ROOT / "docs/security.md") if word.startswith("/")]
    tried = (ROOT / "tests/downloader/test_faults.py").read_text()
    assert named
    assert [path for path in named if f'"{path}"' not in tried] == []
