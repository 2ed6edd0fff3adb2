"""Astro: `astro.config.mjs`, as text (https://docs.astro.build/en/reference/configuration-reference/)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, Mount, address, below, folders
from imgcache.scanner.generators.script import read_script
from imgcache.scanner.generators.settings import folder
from imgcache.scanner.markup.syntax import Syntax


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Astro. `@/` and `~/` are the usual aliases of its source folder."""
    script = read_script(root / (file or "astro.config.mjs"))
    source = folder(script["srcDir"], "src")
    public = folder(script["publicDir"], "public")
    return Layout(
        site_url=address(script["site"], script["base"]),
        content=(below(source, "content"), below(source, "pages")),
        mounts=(Mount(public), Mount(source, "@"), Mount(source, "~"), Mount("")),
        templates=folders({below(source, "layouts")}),
        nothing=folders({folder(script["outDir"], "dist"), ".astro"}),
        syntax=Syntax(calls=(), footnotes=True),
    )
