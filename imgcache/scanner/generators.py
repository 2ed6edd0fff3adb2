"""Recognises the generator of a site by its files, and with it the folders that hold no articles."""

from __future__ import annotations

import enum
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

# Never entered at any depth: repositories, third-party code, output and caches of generators.
NEVER_ENTERED = frozenset({".git", "node_modules", "vendor", "_site", ".jekyll-cache", "_sass"})
# Layouts and includes at any depth: Jekyll and Eleventy know them by these names.
_TEMPLATES = frozenset({"_layouts", "_includes"})
# Files that may call the include, partial or shortcode of imgcache.
TEMPLATE_ENDINGS = (".html", ".htm", ".liquid", ".njk", ".md", ".markdown", ".hbs", ".xml")


SIGNATURE = "Written by imgcache export"  # in the first line of every file that an export writes


class Role(enum.Enum):
    """What a folder holds."""

    ARTICLES = "articles"
    TEMPLATES = "templates"
    NOTHING = "nothing"


class _Generator(msgspec.Struct, frozen=True):
    """One generator. A site uses it if one of `files` exists and, if `folders` is not empty, one of `folders`."""

    name: str
    files: tuple[str, ...]
    folders: tuple[str, ...] = ()
    templates: frozenset[str] = frozenset()
    nothing: frozenset[str] = frozenset()


def _configs(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for ending in ("js", "mjs", "cjs", "ts", "mts"))


_HUGO_TEMPLATES = frozenset({"layouts", "themes"})
_HUGO_NOTHING = frozenset({"archetypes", "public", "resources"})
# With the default folders of each, at the root of the site.
_GENERATORS = (
    _Generator(
        "hugo",
        ("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "config/_default"),
        (),
        _HUGO_TEMPLATES,
        _HUGO_NOTHING,
    ),
    _Generator(
        "hugo",
        ("config.toml", "config.yaml", "config.yml", "config.json"),  # the names before version 0.109, still valid
        ("content", "layouts", "archetypes", "themes"),
        _HUGO_TEMPLATES,
        _HUGO_NOTHING,
    ),
    _Generator(
        "hexo",
        ("_config.yml",),
        ("scaffolds",),
        frozenset({"themes"}),
        frozenset({"public", "scaffolds", ".deploy_git"}),
    ),
    _Generator("jekyll", ("_config.yml", "_config.toml")),
    _Generator("eleventy", (".eleventy.js", *_configs("eleventy.config"))),
    _Generator("mkdocs", ("mkdocs.yml", "mkdocs.yaml"), nothing=frozenset({"site"})),
    _Generator("docusaurus", _configs("docusaurus.config"), nothing=frozenset({"build", ".docusaurus"})),
    _Generator("astro", _configs("astro.config"), nothing=frozenset({"dist", ".astro"})),
    _Generator("gatsby", _configs("gatsby-config"), nothing=frozenset({"public", ".cache"})),
    _Generator("pelican", ("pelicanconf.py",), templates=frozenset({"theme", "themes"}), nothing=frozenset({"output"})),
)


class Layout(msgspec.Struct, frozen=True):
    """The folders of one site that hold no articles."""

    generators: tuple[str, ...] = ()
    templates: frozenset[str] = frozenset()
    nothing: frozenset[str] = frozenset()

    def role(self, name: str, above: Role, *, is_top: bool) -> Role:
        """Return what a folder holds, by its name.

        Args:
            name: the name of the folder.
            above: what its parent folder holds.
            is_top: whether the folder is at the root of the site.
        """
        if above is Role.NOTHING or name in NEVER_ENTERED or (is_top and name in self.nothing):
            return Role.NOTHING
        return Role.TEMPLATES if name in _TEMPLATES or (is_top and name in self.templates) else above

    def role_of(self, folders: Collection[str]) -> Role:
        """Return what a folder holds, by the names on the way to it from the root of the site."""
        role = Role.ARTICLES
        for number, name in enumerate(folders):
            role = self.role(name, role, is_top=number == 0)
        return role

    @property
    def left_out(self) -> list[str]:
        """The names of folders in which no articles are searched, sorted."""
        return sorted(NEVER_ENTERED | _TEMPLATES | self.templates | self.nothing)


def layout_of(root: Path) -> Layout:
    """Return the layout of the site in a folder, by the files that its generator needs."""
    found = [one for one in _GENERATORS if _has(root, one.files) and (not one.folders or _has(root, one.folders))]
    return Layout(
        tuple(dict.fromkeys(one.name for one in found)),
        frozenset().union(*(one.templates for one in found)),
        frozenset().union(*(one.nothing for one in found)),
    )


def _has(root: Path, names: Collection[str]) -> bool:
    return any(os.path.lexists(root / name) for name in names)
