"""Hexo: `_config.yml` (https://hexo.io/docs/configuration)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, address, below, folders, mounts
from imgcache.scanner.generators.settings import folder, read, text
from imgcache.scanner.markup.syntax import LIQUID, Syntax


def layout(root: Path, file: str) -> Layout:  # noqa: ARG001 - as of the others
    """Return the layout of a site of Hexo. `package.json` may tell it, and `_config.yml` has the settings."""
    settings = read(root / "_config.yml")
    source = folder(text(settings, "source_dir"), "source")
    theme = below("themes", text(settings, "theme"), "source") if text(settings, "theme") else "themes"
    return Layout(
        title=text(settings, "title"),
        site_url=address(text(settings, "url")),
        content=(below(source, "_posts"), source),
        mounts=mounts(source, (below(source, "_posts"), ""), theme),
        page_folders=True,
        templates=frozenset({"themes"}),
        nothing=folders({folder(text(settings, "public_dir"), "public"), "scaffolds", ".deploy_git"}),
        syntax=Syntax(calls=(LIQUID,)),
    )
