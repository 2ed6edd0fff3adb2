"""Pelican: `pelicanconf.py`, parsed and never run (https://docs.getpelican.com/en/stable/settings.html)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, Mount, address, folders
from imgcache.scanner.generators.settings import assignments, folder, text
from imgcache.scanner.markup.syntax import Syntax

_OWN = ("{static}", "{attach}", "{filename}", "|static|", "|attach|", "|filename|")


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Pelican. The address of what is published stands in `publishconf.py`."""
    settings = assignments(root / (file or "pelicanconf.py"))
    published = assignments(root / "publishconf.py")
    content = folder(text(settings, "PATH"), "content")
    return Layout(
        title=text(settings, "SITENAME"),
        site_url=address(text(published, "SITEURL") or text(settings, "SITEURL")),
        content=(content,),
        mounts=(Mount(content), *(Mount(content, prefix) for prefix in _OWN)),
        templates=folders({folder(text(settings, "THEME")), "theme", "themes"}),
        nothing=folders({folder(text(settings, "OUTPUT_PATH"), "output")}),
        syntax=Syntax(calls=(), footnotes=True, metadata_lines=True),
    )
