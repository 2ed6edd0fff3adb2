"""VitePress: `.vitepress/config.ts`, as text (https://vitepress.dev/reference/site-config)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, address, below, folders, mounts
from imgcache.scanner.generators.script import read_script
from imgcache.scanner.generators.settings import folder
from imgcache.scanner.markup.syntax import Syntax


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of VitePress, whose project may be the folder `docs`."""
    script = read_script(root / (file or ".vitepress/config.ts"))
    project = file.rpartition(".vitepress/")[0].rstrip("/")
    source = below(project, folder(script["srcDir"]))
    output = below(project, folder(script["outDir"], ".vitepress/dist"))
    return Layout(
        title=script["title"],
        site_url=address(script["sitemap.hostname"], script["base"]),
        content=(source,),
        mounts=mounts(below(source, "public"), source),
        nothing=folders({below(project, ".vitepress"), output}),
        syntax=Syntax(calls=()),
    )
