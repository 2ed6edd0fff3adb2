"""Jekyll: `_config.yml` (https://jekyllrb.com/docs/configuration/options/)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, address, below, folders, mounts
from imgcache.scanner.generators.settings import folder, read, text
from imgcache.scanner.markup.syntax import LIQUID, Syntax

NAMES = ("_config.yml", "_config.yaml", "_config.toml")


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Jekyll: every file that is not excluded is published at its place."""
    settings = read(root / (file or NAMES[0]))
    source = folder(text(settings, "source"))
    templates = [below(source, folder(text(settings, f"{kind}_dir"), f"_{kind}")) for kind in ("layouts", "includes")]
    return Layout(
        title=text(settings, "title"),
        site_url=address(text(settings, "url"), text(settings, "baseurl")),
        content=(source,),
        mounts=mounts(source),
        templates=folders(templates),
        nothing=folders({folder(text(settings, "destination"), "_site"), folder(text(settings, "cache_dir"))}),
        syntax=Syntax(calls=(LIQUID,), footnotes=True),
    )
