"""Finds the generator of a site by its files."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import msgspec

from imgcache.core import Generator
from imgcache.scanner.generators.layout import Layout

_AUTO = "auto"


class _Sign(NamedTuple):
    """A site uses a generator if one of `files` exists, one of `beside` if there are any, and `pattern` is in it."""

    generator: Generator
    files: tuple[str, ...]
    beside: tuple[str, ...] = ()
    pattern: str = ""

    def found(self, root: Path) -> str:
        """Return the file that tells it; "" if there is none."""
        if self.beside and not _first(root, self.beside):
            return ""
        file = _first(root, self.files)
        if file and self.pattern:
            return file if re.search(self.pattern, _start(root / file), re.MULTILINE) else ""
        return file


def _scripts(stem: str, *endings: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for ending in (*endings, "js", "mjs", "cjs", "ts", "mts", "cts"))


_OLD_HUGO = ("config.toml", "config.yaml", "config.yml", "config.json")  # the names before 0.109, still valid
_HEXO_KEYS = r"^(?:source_dir|public_dir|new_post_name|default_layout)[ \t]*:"
# The first that is found is the generator of the site. Names that other programs use too need more evidence.
_SIGNS = (
    _Sign(Generator.HUGO, ("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config/_default")),
    _Sign(Generator.ELEVENTY, (".eleventy.js", *_scripts("eleventy.config"))),
    _Sign(Generator.ASTRO, _scripts("astro.config")),
    _Sign(Generator.DOCUSAURUS, _scripts("docusaurus.config")),
    _Sign(Generator.VITEPRESS, _scripts(".vitepress/config")),
    _Sign(Generator.VITEPRESS, _scripts("docs/.vitepress/config")),
    _Sign(Generator.GATSBY, _scripts("gatsby-config")),
    _Sign(Generator.ZENSICAL, ("zensical.toml",)),
    _Sign(Generator.MKDOCS, ("mkdocs.yml", "mkdocs.yaml")),
    _Sign(Generator.PELICAN, ("pelicanconf.py",)),
    _Sign(Generator.HUGO, _OLD_HUGO, ("content", "layouts", "archetypes", "themes")),
    _Sign(Generator.HEXO, ("_config.yml",), ("scaffolds",)),
    _Sign(Generator.HEXO, ("_config.yml",), pattern=_HEXO_KEYS),
    _Sign(Generator.HEXO, ("package.json",), ("_config.yml",), pattern=r'"hexo"\s*:'),
    _Sign(Generator.JEKYLL, ("_config.yml", "_config.yaml", "_config.toml")),
    _Sign(Generator.SPHINX, ("conf.py", "source/conf.py"), pattern=r"^(?:extensions|html_theme|project)\s*="),
)


def layout_of(root: Path, wanted: str = _AUTO, *, named_by: str = "set") -> Layout:
    """Return what is known of a site by its generator.

    If files of several generators are there, the folders of all of them count, and the first gives the rest.

    Args:
        root: the folder of the site.
        wanted: the name of the generator; `auto` finds it by the files of the site.
        named_by: what names it, for the description.

    Raises:
        ConfigError: the settings of the generator cannot be read.
    """
    found: dict[str, str] = {}
    for sign in _SIGNS:
        if (wanted in {_AUTO, sign.generator}) and sign.generator not in found and (file := sign.found(root)):
            found[sign.generator] = file
    if Generator.HEXO in found:  # both have a `_config.yml`
        found.pop(Generator.JEKYLL, None)
    if wanted != _AUTO:
        layout = _read(wanted, root, found.get(wanted, ""))
        return msgspec.structs.replace(layout, generator=wanted, found_by=named_by)
    layouts = [
        msgspec.structs.replace(_read(name, root, file), generator=name, found_by=file) for name, file in found.items()
    ]
    return _joined(layouts) if layouts else Layout()


def _read(generator: str, root: Path, file: str) -> Layout:
    """Return the layout of one generator, whose module is loaded only now."""
    module = importlib.import_module(f"{__package__}.{generator.lower()}")
    layout: Layout = module.layout(root, file)
    return layout


def _joined(layouts: list[Layout]) -> Layout:
    first, *others = layouts
    if not others:
        return first
    mounts = dict.fromkeys(mount for layout in layouts for mount in layout.mounts)
    return msgspec.structs.replace(
        first,
        also=tuple(layout.generator for layout in others),
        site_url=next((layout.site_url for layout in layouts if layout.site_url), None),
        content=tuple(dict.fromkeys(folder for layout in layouts for folder in layout.content)),
        mounts=tuple(mounts),
        templates=frozenset().union(*(layout.templates for layout in layouts)),
        nothing=frozenset().union(*(layout.nothing for layout in layouts)),
    )


def _first(root: Path, names: Collection[str]) -> str:
    return next((name for name in names if os.path.lexists(root / name)), "")


def _start(file: Path) -> str:
    """The first 100 KB of a file, in which a generator's own keys are."""
    try:
        with file.open("rb") as opened:
            return opened.read(100_000).decode(errors="replace")
    except OSError:
        return ""
