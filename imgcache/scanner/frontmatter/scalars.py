"""Writes a string as a YAML scalar in the style of the scalar that it replaces."""

from __future__ import annotations

import re

import yaml

from imgcache.core import ArticleUnreadable
from imgcache.scanner.frontmatter.yaml_marks import compose

_BOUND = re.compile(r"[&!*]")
_LINE_BREAK = re.compile("[\r\n\x85\u2028\u2029]")


def rewritten(raw: str, style: str | None, value: str, *, in_flow: bool) -> str | None:
    """Return `value` as a scalar on one line: plain, in 'single' or in "double" quotes, like `raw`.

    A plain scalar that would mean something else gets single quotes (YAML 1.1, section 9.1: indicators, comments, `: `,
    and what resolves to a number, a date or a word like `yes`). The parser decides.

    Args:
        raw: the scalar in the file.
        style: its style, as PyYAML names it.
        value: printable characters.
        in_flow: whether it is inside brackets or braces.

    Returns:
        None if it cannot be replaced: `raw` has an anchor, a tag or several lines, or `value` cannot be written.
    """
    if not value.isprintable() or _BOUND.match(raw) or _LINE_BREAK.search(raw):
        return None
    double = value.replace("\\", "\\\\").replace('"', '\\"')
    single = value.replace("'", "''")
    forms = [f'"{double}"'] if style == '"' else [f"'{single}'"]
    if not style:
        forms.insert(0, value)
    return next((form for form in forms if _parses_as(form, value, in_flow=in_flow)), None)


def _parses_as(form: str, value: str, *, in_flow: bool) -> bool:
    try:
        root = compose(f"[{form}]\n".encode() if in_flow else f"- {form}\n".encode())
    except ArticleUnreadable:
        return False
    if not isinstance(root, yaml.SequenceNode) or len(root.value) != 1:
        return False
    node = root.value[0]
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and node.value == value
