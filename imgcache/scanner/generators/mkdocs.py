"""MkDocs: `mkdocs.yml` (https://www.mkdocs.org/user-guide/configuration/)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, address, folders, mounts
from imgcache.scanner.generators.settings import Settings, folder, read, text
from imgcache.scanner.markup.syntax import Syntax


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of MkDocs."""
    return of(read(root / (file or "mkdocs.yml")))


def of(settings: Settings) -> Layout:
    """Return the layout by the settings, which Zensical shares."""
    docs = folder(text(settings, "docs_dir"), "docs")
    return Layout(
        title=text(settings, "site_name"),
        site_url=address(text(settings, "site_url")),
        content=(docs,),
        mounts=mounts(docs),
        page_folders=True,
        templates=folders({folder(text(settings, "theme", "custom_dir"))}),
        nothing=folders({folder(text(settings, "site_dir"), "site")}),
        syntax=Syntax(calls=(), footnotes=True, metadata_lines=True),
    )
