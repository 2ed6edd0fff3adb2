"""Sphinx: `conf.py`, parsed and never run (https://www.sphinx-doc.org/en/master/usage/configuration.html)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, address, below, folders, mounts
from imgcache.scanner.generators.settings import assignments, folder, text, texts
from imgcache.scanner.markup.syntax import Syntax


def layout(root: Path, file: str) -> Layout:
    """Return the layout of documents of Sphinx, which are beside `conf.py`."""
    settings = assignments(root / (file or "conf.py"))
    source = file.rpartition("/")[0]
    templates = [below(source, folder(one)) for one in texts(settings, "templates_path")]
    excluded = [below(source, folder(one)) for one in texts(settings, "exclude_patterns") if "*" not in one]
    extra = [below(source, folder(one)) for one in texts(settings, "html_extra_path")]
    return Layout(
        title=text(settings, "project"),
        site_url=address(text(settings, "html_baseurl")),
        content=(source,),
        mounts=mounts(source, *extra),
        templates=folders(templates),
        nothing=folders({*excluded, below(source, "_build"), *(["build"] if source else [])}),
        syntax=Syntax(calls=(), footnotes=True),
    )
