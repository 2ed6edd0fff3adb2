"""docs/modules.md: every module of imgcache with the first line of its docstring."""

from __future__ import annotations

import ast
from pathlib import Path


def page(package: Path) -> str:
    """Returns the page: a table for each folder."""
    lines = list[str]()
    for folder in sorted({file.parent for file in package.rglob("*.py")}):
        lines += [f"## {folder.relative_to(package.parent).as_posix()}/", "", "| module | what it does |", "|---|---|"]
        for file in sorted(folder.glob("*.py")):
            text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            first = text.partition("\n")[0].replace("|", "\\|")
            lines.append(f"| `{file.relative_to(package).as_posix()}` | {first} |")
        lines.append("")
    return "\n".join(lines)
