"""Docusaurus: `docusaurus.config.js`, as text (https://docusaurus.io/docs/api/docusaurus-config)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, Mount, address
from imgcache.scanner.generators.script import read_script
from imgcache.scanner.generators.settings import folder
from imgcache.scanner.markup.syntax import Syntax


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Docusaurus."""
    script = read_script(root / (file or "docusaurus.config.js"))
    static = [folder(one) for one in script.all("staticDirectories")] or ["static"]
    presets = [folder(script[f"presets.{kind}.path"], kind) for kind in ("docs", "blog")]
    return Layout(
        title=script["title"],
        site_url=address(script["url"], script["baseUrl"]),
        content=(*presets, folder(script["presets.pages.path"], "src/pages")),
        mounts=(*map(Mount, static), Mount("", "@site"), Mount("")),
        nothing=frozenset({"build", ".docusaurus"}),
        # `format` is "mdx" unless it is set: https://docusaurus.io/docs/markdown-features/react#markdown-and-jsx
        syntax=Syntax(calls=(), footnotes=True, jsx=script["markdown.format"] in {"", "mdx"}),
    )
