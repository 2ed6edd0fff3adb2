"""docs/reference/problems.md: every code that a report can have, found in the source, with its text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from imgcache.auditor.reports.rules import RuleText, describe, described
from imgcache.core import errors

_PACKAGE = Path(errors.__file__).parents[1]
# Which argument of a call is the code.
_MAKERS = {"Problem": 0, "Damage": 0, "image_finding": 1, "uses_finding": 1, "places_finding": 1}


def page(texts: Path) -> str:
    """Returns the page: a heading for each code, so that each has an anchor. `texts` is a file with what some mean."""
    others = msgspec.yaml.decode(texts.read_bytes(), type=dict[str, RuleText])
    known, lines = set(described()), []
    for code in sorted(codes()):
        text = others[code] if code in others and code not in known else describe(code)
        lines += [f"## {code}", "", f"{text.short} {text.help}", *_cause(code), ""]
    return "\n".join(lines).rstrip() + "\n"


def _cause(code: str) -> Iterator[str]:
    kind = errors.image_error(code)
    if kind is not None:
        passes = "on 408, 425, 429 and 5xx" if kind is errors.HttpStatus else "yes" if kind.retryable else "no"
        yield from ("", f"Cause: `{errors.blame_for(code).value}`. Retryable: {passes}.")


@cache
def codes() -> frozenset[str]:
    """Returns every code: of errors, and of problems, damages and findings that are made anywhere in the source."""
    found = {kind.code for kind in (*errors.ImageError.__subclasses__(), *errors.ArticleError.__subclasses__())}
    for file in _PACKAGE.rglob("*.py"):
        found |= set(_made_in(ast.parse(file.read_text(encoding="utf-8"))))
    return frozenset(found | set(described()))


def _made_in(tree: ast.Module) -> Iterator[str]:
    """Yields the codes that calls name, as text or by a constant of the module."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAKERS:
            position = _MAKERS[node.func.id]
            arguments = [keyword.value for keyword in node.keywords if keyword.arg in {"code", "rule"}]
            for argument in node.args[position : position + 1] or arguments:
                value = constants.get(argument.id, argument) if isinstance(argument, ast.Name) else argument
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
