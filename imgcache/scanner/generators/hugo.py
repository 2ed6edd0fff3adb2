"""Hugo: `hugo.toml`, `config.yaml` and the like, or a folder `config/_default` (https://gohugo.io/configuration/all/)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imgcache.scanner.generators.layout import Layout, Mount, address, below, folders
from imgcache.scanner.generators.settings import Settings, folder, read, text, texts
from imgcache.scanner.markup.syntax import HUGO, Syntax

_ENDINGS = ("toml", "yaml", "yml", "json")
_PARTS = ("module", "languages")  # settings that may be in files of their own
_PUBLISHED = ("content", "static", "assets")  # the components whose files pages can show


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Hugo."""
    settings = _settings(root, file or "hugo.toml")
    languages = {name: one for name, one in _mapping(settings, "languages").items() if isinstance(one, Mapping)}
    content = folder(text(settings, "contentdir"), "content")
    mounts = [*_mounts(settings), Mount(content)]
    for name, language in languages.items():
        if own := folder(text(language, "contentdir")):
            mounts += [Mount(own), Mount(own, name)]
    contents = dict.fromkeys(mount.folder for mount in mounts)
    statics = [one for of in (settings, *languages.values()) for one in texts(of, "staticdir")]
    themes = folder(text(settings, "themesdir"), "themes")
    mounts += map(Mount, map(folder, statics or ["static"]))
    mounts.append(Mount(folder(text(settings, "assetdir"), "assets")))
    mounts += [Mount(below(themes, name, part)) for name in texts(settings, "theme") for part in ("static", "assets")]
    built = {folder(text(settings, "publishdir"), "public"), folder(text(settings, "resourcedir"), "resources")}
    addresses = [text(one, "baseurl") for one in (settings, *languages.values())]
    return Layout(
        title=text(settings, "title"),
        site_url=address(next(filter(None, addresses), "")),
        content=tuple(contents),
        mounts=tuple(dict.fromkeys(mounts)),
        page_folders=True,
        templates=folders({folder(text(settings, "layoutdir"), "layouts"), themes}),
        nothing=folders({folder(text(settings, "archetypedir"), "archetypes"), *built}),
        syntax=Syntax(calls=(HUGO,), footnotes=True),
    )


def _settings(root: Path, file: str) -> Settings:
    """Return all settings with their names in small letters, as Hugo compares them."""
    if file != "config/_default":
        return _lower(read(root / file))
    found: dict[str, Any] = {}
    for name in ("hugo", "config", *_PARTS):
        for ending in _ENDINGS:
            settings = _lower(read(root / file / f"{name}.{ending}"))
            if settings:
                found |= {name: settings} if name in _PARTS else settings
                break
    return found


def _lower(settings: Settings) -> dict[str, Any]:
    """The settings with the names of all levels in small letters."""
    return {key.lower(): _lower(value) if isinstance(value, Mapping) else value for key, value in settings.items()}


def _mapping(settings: Settings, key: str) -> Settings:
    found = settings.get(key)
    return found if isinstance(found, Mapping) else {}


def _mounts(settings: Settings) -> Iterator[Mount]:
    """Yield the mounts of the module that publish files: `source: docs/img`, `target: static/img`."""
    listed = _mapping(settings, "module").get("mounts")
    for one in listed if isinstance(listed, list) else ():
        source, target = folder(text(one, "source")), folder(text(one, "target"))
        component, _, path = target.partition("/")
        if source and component in _PUBLISHED:
            yield Mount(source, path)
